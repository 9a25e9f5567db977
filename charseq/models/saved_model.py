"""The exported SavedModel: its signatures, their inputs and outputs, and the files it carries.

| signature | input | outputs |
|---|---|---|
| `serving_default` | `sequence` (batch,) string | `label` (batch,) string, `probability` (batch,) float32, `probabilities` (batch, labels) float32; `surprise` and `strangeness` (batch,) float32 |
| `top_k` | `sequence` (batch,) string, `k` () int32 | `labels` (batch, k) string, `probabilities` (batch, k) float32 |
| `encode` | `sequence` (batch,) string | `ids` (batch, max_length) int64, `length` (batch,) int64 |
| `classify_ids` | `ids` and `length`, as `encode` gives them | `probabilities` (batch, labels) float32 |
| `strangeness_ids` | the same | `surprise` and `strangeness` (batch,) float32 |
| `predict_set`, `predict_set_adaptive` | `sequence` (batch,) string, `coverage` () float32, 0 to 1 | `labels` (batch, labels) string, most probable first, their `probabilities` (batch, labels) float32, and `size` (batch,) int32: the set is the first `size` labels |
| `explain` | `sequence` (batch,) string | `label` (batch,) string, `log_probability` (batch,) float32, `influence` (batch, max_length) float32, `length` (batch,) int64 |

`surprise` and `strangeness`, of `trainer.strangeness.model`, `strangeness_ids` and the sets are of models that had validation rows: sets of labels that hold the right one as often as `coverage` says, by the
methods `lac` and `aps` of `charseq.measures.conformal`.
`sequence` is in NFC if the dataset in the assets was prepared with `--normalize nfc`; see `charseq.text.normalization`.
"""  # noqa: E501 - a table

from __future__ import annotations

import os
import re
from typing import Any

from charseq.errors import DataError
from charseq.files import literal_path
from charseq.manifest import MANIFEST_FILE
from charseq.models.graph_check import check_graph

SAVED_MODEL_FILE = "saved_model.pb"
FINGERPRINT_FILE = "fingerprint.pb"
# What TensorFlow raises, besides errors of its own, for files that were cut off or changed.
_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError)

CLASSIFY = "serving_default"
TOP_K = "top_k"
ENCODE = "encode"
CLASSIFY_IDS = "classify_ids"
STRANGENESS_IDS = "strangeness_ids"
PREDICT_SET = "predict_set"
PREDICT_SET_ADAPTIVE = "predict_set_adaptive"
EXPLAIN = "explain"

SEQUENCE = "sequence"
K = "k"
COVERAGE = "coverage"
SIZE = "size"
SURPRISE = "surprise"
STRANGENESS = "strangeness"
LABEL = "label"
LABELS = "labels"
PROBABILITY = "probability"
PROBABILITIES = "probabilities"
IDS = "ids"
LENGTH = "length"
LOG_PROBABILITY = "log_probability"
INFLUENCE = "influence"

# How far probabilities may differ when float32 sums are added in another order.
PROBABILITY_TOLERANCE = 1e-5

RUN_FILE = "run.json"
CALIBRATION_FILE = "calibration.json"
ASSETS_DIR = "assets"
DATASET_ASSET = f"{ASSETS_DIR}/{MANIFEST_FILE}"
RUN_ASSET = f"{ASSETS_DIR}/{RUN_FILE}"
CALIBRATION_ASSET = f"{ASSETS_DIR}/{CALIBRATION_FILE}"
# Where a SavedModel has room for files of its owner, which a server does not read.
EXTRA_DIR = "assets.extra"
ENTRY_FILE = f"{EXTRA_DIR}/entry.json"
CARD_FILE = f"{EXTRA_DIR}/MODEL_CARD.md"
# Of a registry: which of its versions is current, as TensorFlow Serving reads it.
POINTER_FILE = "models.config"
CURRENT_VERSION = re.compile(r"\bversions: *(\d+)")

TRUST_MODEL_HELP = (
    "load a model with operations that no model of the trainer has; they may read and write your "
    "files"
)


def load_saved_model(directory: str, name: str, trust_model: bool) -> Any:
    """Load a SavedModel that only computes, as `tf.saved_model.load` does.

    Args:
        directory: the local directory of the model.
        name: of the model, for errors.
        trust_model: load any other too, and run what it does.

    Raises:
        DataError: it is not a SavedModel, does more than compute, or cannot be loaded.
    """
    import tensorflow as tf

    try:
        if not trust_model:
            with open(os.path.join(directory, SAVED_MODEL_FILE), "rb") as file:
                check_graph(file.read(), name)
        return tf.saved_model.load(literal_path(directory))
    except (*_DAMAGE, tf.errors.OpError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise DataError(f"{name}: cannot be loaded: {reason}") from error
