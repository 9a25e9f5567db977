"""The process of a model: it loads and checks one version, and answers calls until it is left.

A process for each version, because TensorFlow never gives back all that a model took, and because
loading would keep the requests of the old version waiting.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from charseq.cli import heavy_imports
from charseq.errors import DataError, describe_os_error
from charseq.manifest import parse_manifest
from charseq.models.batches import batch_rows
from charseq.models.saved_model import COVERAGE, DATASET_ASSET, SAVED_MODEL_FILE, SEQUENCE
from charseq.server.model.messages import ASK, Call, Ready, Refused, pack, receive

if TYPE_CHECKING:
    from charseq.server.model.served import ServedModel


def main(descriptor: int, directory: str, name: str, trust_model: bool) -> None:
    """Serve a model to the process at the other end of a socket, until that closes it.

    Args:
        descriptor: of the socket.
        directory: of the SavedModel.
        name: of the model, for messages.
        trust_model: load it even if it does more than compute.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # The server ends it, when all is answered.
    with socket.socket(fileno=descriptor) as connection, suppress(ConnectionError):
        with heavy_imports():
            model, message = _try_to_load(directory, name, trust_model)
        connection.sendall(pack(message))
        if model is None:
            return
        Thread(target=model.classifier.compile_largest).start()
        while (call := receive(connection)) is not None:
            connection.sendall(pack(model.call(call)))


def _try_to_load(
    directory: str, name: str, trust_model: bool
) -> tuple[ServedModel, Ready] | tuple[None, Refused]:
    try:
        return _load(directory, name, trust_model)
    except DataError as error:
        return None, Refused(str(error).removeprefix(f"{name}: "))
    except OSError as error:
        return None, Refused(describe_os_error(error))


def _load(directory: str, name: str, trust_model: bool) -> tuple[ServedModel, Ready]:
    """Return a model that was checked, and what the server has to know of it.

    Raises:
        DataError: it is damaged or does more than compute, or its answers are wrong.
    """
    from charseq.server.model.card import make_card, read_entry
    from charseq.server.model.checks import check_answers, check_files
    from charseq.server.model.served import ServedModel

    began = time.monotonic()
    check_files(directory)
    path = os.path.join(directory, DATASET_ASSET)
    with open(path, "rb") as file:
        manifest = parse_manifest(file.read(), path)
    model = ServedModel(directory, manifest, trust_model, name)
    model.classifier.compile()
    check_answers(model, manifest)
    model.call(_first_question(model))
    ready = Ready(
        model.signatures(),
        read_signature_def(directory),
        manifest.normalization,
        manifest.labels,
        manifest.max_length,
        batch_rows(manifest.max_length),
        time.monotonic() - began,
        make_card(manifest, read_entry(directory)),
    )
    return model, ready


def _first_question(model: ServedModel) -> Call:
    """Return a call of what TensorFlow prepares when it is called first."""
    shared = {"influence": model.explains, COVERAGE: 0.5 if model.has_sets else None}
    return Call(ASK, {SEQUENCE: np.array([b"a"], object)}, shared)


def read_signature_def(directory: str) -> Mapping[str, Any]:
    """Return the signatures of a SavedModel as TensorFlow Serving describes them, by name."""
    from google.protobuf.json_format import MessageToDict
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    with open(os.path.join(directory, SAVED_MODEL_FILE), "rb") as file:
        saved_model = SavedModel.FromString(file.read())
    return {
        name: MessageToDict(
            signature, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        for name, signature in sorted(saved_model.meta_graphs[0].signature_def.items())
    }
