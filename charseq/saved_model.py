"""The exported SavedModel: its signatures, their inputs and outputs, and the files it carries.

| signature | input | outputs |
|---|---|---|
| `serving_default` | `sequence` (batch,) string | `label` (batch,) string, `probability` (batch,) float32, `probabilities` (batch, labels) float32 |
| `top_k` | `sequence` (batch,) string, `k` () int32 | `labels` (batch, k) string, `probabilities` (batch, k) float32 |
| `encode` | `sequence` (batch,) string | `ids` (batch, max_length) int64, `length` (batch,) int64 |

`sequence` is in NFC if the dataset in the assets was prepared with `--normalize nfc`; see `charseq.normalization`.
"""  # noqa: E501 - a table

from __future__ import annotations

from charseq.manifest import MANIFEST_FILE

SAVED_MODEL_FILE = "saved_model.pb"

CLASSIFY = "serving_default"
TOP_K = "top_k"
ENCODE = "encode"

SEQUENCE = "sequence"
K = "k"
LABEL = "label"
LABELS = "labels"
PROBABILITY = "probability"
PROBABILITIES = "probabilities"
IDS = "ids"
LENGTH = "length"

RUN_FILE = "run.json"
ASSETS_DIR = "assets"
DATASET_ASSET = f"{ASSETS_DIR}/{MANIFEST_FILE}"
RUN_ASSET = f"{ASSETS_DIR}/{RUN_FILE}"
# Where a SavedModel has room for files of its owner, which a server does not read.
EXTRA_DIR = "assets.extra"
ENTRY_FILE = f"{EXTRA_DIR}/entry.json"
