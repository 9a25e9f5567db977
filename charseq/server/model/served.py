"""The model in its process: calls in, results out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from charseq.ask.answers import Asked, Classified, Wanted
from charseq.ask.rendering import to_json
from charseq.errors import DataError
from charseq.manifest import Manifest
from charseq.models.saved_model import (
    CLASSIFY,
    COVERAGE,
    LABEL,
    PROBABILITY,
    SEQUENCE,
    STRANGENESS,
)
from charseq.server.model.classifier import BatchClassifier
from charseq.server.model.messages import (
    ANSWER,
    ASK,
    Array,
    Call,
    Counted,
    Failed,
    Result,
    Signature,
    TensorSpec,
)

if TYPE_CHECKING:
    import tensorflow as tf

_INTERNAL = 13
_INVALID_ARGUMENT = 3


class ServedModel(Asked):
    """A model that answers calls of the server.

    Args:
        directory, manifest, trust_model, name: as of `Asked`.

    Raises:
        DataError: as `Asked`.
    """

    def __init__(self, directory: str, manifest: Manifest, trust_model: bool, name: str) -> None:
        super().__init__(directory, manifest, trust_model, name)
        self.classifier = BatchClassifier(self._loaded, manifest)
        self._counted: Counted | None = None

    def signatures(self) -> dict[str, Signature]:
        """Return the signatures by name."""
        return {
            name: Signature(
                {
                    argument: _describe(spec)
                    for argument, spec in function.structured_input_signature[1].items()
                },
                tuple(function.structured_outputs),
            )
            for name, function in self._loaded.signatures.items()
        }

    def classify(self, texts: list[str]) -> Classified:
        """Return the labels of texts, as `Asked.classify`."""
        encoded = np.empty(len(texts), object)
        encoded[:] = [text.encode("utf-8") for text in texts]
        outputs = self._classify(encoded)
        labels = [label.decode("utf-8", "replace") for label in outputs[LABEL].tolist()]
        return Classified(labels, outputs[PROBABILITY], outputs.get(STRANGENESS))

    def call(self, call: Call) -> Result | Failed:
        """Return the result of a call, or how the model fails."""
        import tensorflow as tf

        self._counted = None
        try:
            return Result(self._outputs(call), self._counted)
        except DataError as error:
            cause = error.__cause__
            code = cause.error_code if isinstance(cause, tf.errors.OpError) else _INTERNAL
            return Failed(str(error), code)
        except (TypeError, ValueError) as error:  # Of shapes that the signature does not take.
            return Failed(str(error).partition("\n")[0], _INVALID_ARGUMENT)

    def _outputs(self, call: Call) -> Mapping[str, Array]:
        if call.signature == ASK:
            wanted = Wanted(call.shared["influence"], call.shared[COVERAGE])
            answers = self.answer(call.columns[SEQUENCE].tolist(), wanted)
            return {ANSWER: np.array([to_json(answer) for answer in answers], object)}
        if call.signature == CLASSIFY and call.rows and set(call.columns) == {SEQUENCE}:
            return self._classify(call.columns[SEQUENCE])
        return self.run(call.signature, {**call.columns, **call.shared})

    def _classify(self, texts: Array) -> dict[str, Array]:
        outputs, self._counted = self.guarded(lambda: self.classifier(texts))
        return outputs


def _describe(spec: tf.TensorSpec) -> TensorSpec:
    return TensorSpec(spec.dtype.name, tuple(spec.shape.as_list()))
