"""The transform graph of a base with new labels appended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.io.filesystems import FileSystems
from google.protobuf import text_format
from tensorflow_metadata.proto.v0.schema_pb2 import Schema
from tensorflow_transform import TFTransformOutput

from charseq.manifest import TRANSFORM_DIR
from charseq.models.saved_model import ASSETS_DIR
from pipeline.base import Base
from pipeline.manifests.verified import read_verified
from pipeline.runtime.filesystems import copy_tree, create, open_file
from pipeline.transform.encoding import LABELS_FILE, from_analyzed

_SCHEMA_FILE = "schema.pbtxt"


def count_new_labels(train: pa.RecordBatch, base: Base) -> Counter[str]:
    """Return the rows of each label that the base does not have, of rows to analyze."""
    _, label = from_analyzed(train)
    new = label.filter(pc.invert(pc.is_in(label, value_set=pa.array(base.labels))))
    return Counter({value["values"]: value["counts"] for value in new.value_counts().to_pylist()})


def add_new_labels(counts: Iterable[Counter[str]]) -> Counter[str]:
    """Return the sum of the counts."""
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return total


def extend_transform(base: Base, new: Mapping[str, int], directory: str) -> str:
    """Copy the transform graph of a base to `directory`, with its labels and new ones.

    Args:
        base: of which the graph of the last member is copied.
        new: the train rows of each new label; the most frequent one first, then by name.
        directory: where the copy is written; it is returned.

    Raises:
        DataError: a file of the base's graph is missing or has changed.
    """
    source = FileSystems.join(base.last.directory, TRANSFORM_DIR)
    for listed in base.last.manifest.files:
        if listed.path.startswith(f"{TRANSFORM_DIR}/"):
            read_verified(base.last, listed.path)
    copy_tree(source, directory)
    if new:
        labels = [*base.labels, *sorted(new, key=lambda label: (-new[label], label))]
        graph = FileSystems.join(directory, TFTransformOutput.TRANSFORM_FN_DIR)
        with create(FileSystems.join(graph, ASSETS_DIR, LABELS_FILE)) as file:
            file.write("".join(f"{label}\n" for label in labels).encode())
        metadata = FileSystems.join(directory, TFTransformOutput.TRANSFORMED_METADATA_DIR)
        _write_number_of_labels(FileSystems.join(metadata, _SCHEMA_FILE), len(labels))
    return directory


def _write_number_of_labels(path: str, labels: int) -> None:
    with open_file(path) as file:
        schema = text_format.Parse(file.read(), Schema())
    for feature in schema.feature:
        if feature.name == "label":
            feature.int_domain.max = labels - 1
    with create(path) as file:
        file.write(text_format.MessageToString(schema).encode())
