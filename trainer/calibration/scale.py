"""The temperature in the weights of a model: all that is made of it then answers the same."""

from __future__ import annotations

import keras

from trainer.config import NGRAMS
from trainer.model.network import PROBABILITIES_LAYER
from trainer.ngrams.classifier import LAYER


def divide_scores(model: keras.Model, representation: str, temperature: float) -> None:
    """Divide what the softmax of a model gets by a temperature.

    Of n-grams that is what the log-probabilities of the experts are multiplied by; of a stacked
    LSTM the kernel and the bias of the last layer.
    """
    if representation == NGRAMS:
        weights = [model.get_layer(LAYER).experts.mixture]
    else:
        dense = model.get_layer(PROBABILITIES_LAYER)
        weights = [dense.kernel, dense.bias]
    for weight in weights:
        weight.assign(weight / temperature)
