"""`model.keras`: what may be in it, and how it is loaded."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from charseq.console.terminal import escape_terminal
from charseq.errors import DataError
from trainer.archives import ARCHIVE_DAMAGE

if TYPE_CHECKING:
    import keras

# Of an archive, and what h5py and Keras raise besides.
_DAMAGE = (*ARCHIVE_DAMAGE, AttributeError)
_CONFIG_FILE = "config.json"
_SHOWN_WIDTH = 60
# The classes of the models that `trainer.model` builds. None of them runs Python of its file, as
# Lambda does, or reads another file, as StringLookup does.
_LAYERS = {"Functional", "InputLayer", "Embedding", "LSTM", "Dropout", "Dense"}
_OPERATIONS = {"GetItem", "OnesLike", "Cumsum", "ExpandDims", "LessEqual"}
_ARGUMENTS = {"DTypePolicy", "RandomNormal", "GlorotUniform", "Orthogonal", "Zeros"}
_OWN_LAYERS = {"trainer.ngrams.classifier.NgramClassifier"}
_CLASSES = _LAYERS | _OPERATIONS | _ARGUMENTS | _OWN_LAYERS | {"__keras_tensor__", "__slice__"}


def load_keras_model(path: str, trust_model: bool) -> keras.Model:
    """Load a `model.keras` that consists of the layers that the trainer uses.

    Args:
        path: of the file.
        trust_model: load other layers too, and the Python code in them.

    Raises:
        DataError: it is no such file, is damaged, or has other layers.
    """
    import keras

    import trainer.ngrams.classifier  # noqa: F401 - registers its layer with Keras

    if not trust_model:
        check_layers(path)
    try:
        model: keras.Model = keras.saving.load_model(path, compile=False, safe_mode=not trust_model)
    except _DAMAGE as error:
        reason = str(error).strip().partition("\n")[0]
        raise DataError(f"{path}: cannot be loaded: {reason}; train again") from error
    return model


def check_layers(path: str) -> None:
    """Check that a `model.keras` has the layers that the trainer uses, and no others.

    Raises:
        DataError: it is no such file, or has others.
    """
    try:
        with zipfile.ZipFile(path) as file:
            config = json.loads(file.read(_CONFIG_FILE))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file, but a run has one; train again") from error
    except _DAMAGE as error:
        raise DataError(f"{path}: not a Keras model: {error}; train again") from error
    for name in _class_names(config):
        if name not in _CLASSES:
            raise DataError(
                f"{path}: {escape_terminal(name, _SHOWN_WIDTH)} is not a layer of a model that the "
                "trainer saved. A model is a program that may read and write your files: load it "
                "only if you trust its origin, with --trust-model"
            )


def _class_names(config: Any) -> Iterator[str]:
    """Yield the name of each class in a configuration, with its module where it is not Keras's."""
    if isinstance(config, dict):
        if "class_name" in config:
            module = config.get("module") or "keras"
            is_of_keras = str(module).partition(".")[0] == "keras"
            name = str(config["class_name"])
            yield name if is_of_keras else f"{module}.{name}"
        for value in config.values():
            yield from _class_names(value)
    elif isinstance(config, list):
        for value in config:
            yield from _class_names(value)
