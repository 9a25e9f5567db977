"""The files of rejected rows, written by Beam: rejected/part-….jsonl, in the order of the input."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.pvalue import AsSingleton, TaggedOutput

from charseq.files import encode_text
from charseq.manifest import REJECTED_DIR
from pipeline.rows.parts import Part
from pipeline.rows.rejected import RejectedRow, choose_examples, first_rows
from pipeline.runtime.filesystems import create

# The tag of the output of a DoFn that rejects rows.
REJECTED = "rejected"
# Rows of so many neighbouring parts share a file, so that the files come in input order.
PARTS_PER_FILE = 64


@dataclass(frozen=True)
class RejectedFile:
    """A staged file of rejected rows: how many there are, and its first rows of each reason."""

    index: int
    staged_path: str
    by_reason: Counter[str]
    examples: tuple[dict[str, object], ...]

    @property
    def file_name(self) -> str:
        """Its path in the output directory."""
        return f"{REJECTED_DIR}/part-{self.index:05d}.jsonl"


def tag_rejected(rejected: Sequence[RejectedRow]) -> Iterator[TaggedOutput]:
    """Yield rejected rows for the output `REJECTED`, keyed by the file they go to; count them."""
    for row in rejected:
        Metrics.counter("rejected", row.reason).inc()
        yield TaggedOutput(REJECTED, (row.part // PARTS_PER_FILE, row))


def write_all_rejected(
    rejected: beam.PCollection, counts: beam.PCollection, parts: Sequence[Part], staging: str
) -> beam.PCollection:
    """Write the rejected rows of a job; return a PCollection of RejectedFile.

    Args:
        rejected: the outputs of `tag_rejected`.
        counts: one ReadCounts, of all rows.
        parts: all parts of the input.
        staging: the staging directory.
    """
    return (
        rejected
        | "GroupByFile" >> beam.GroupByKey()
        | "WriteRejected"
        >> beam.Map(
            lambda group, counted: write_rejected(
                group[0], group[1], parts, counted.rows_in_part, staging
            ),
            AsSingleton(counts),
        )
    )


def write_rejected(
    index: int,
    rejected: Iterable[RejectedRow],
    parts: Sequence[Part],
    rows_in_part: Mapping[int, int],
    staging: str,
) -> RejectedFile:
    """Write file number `index` of rejected rows, in the order they had in the input."""
    first = first_rows(parts, rows_in_part)
    ordered = sorted(rejected)
    path = FileSystems.join(staging, f"rejected-{uuid.uuid4().hex}")
    with create(path) as file:
        for row in ordered:
            line = json.dumps(row.to_json(parts, first), ensure_ascii=False)
            file.write(encode_text(line) + b"\n")
    return RejectedFile(
        index,
        path,
        Counter(row.reason for row in ordered),
        tuple(row.to_json(parts, first) for row in choose_examples(ordered)),
    )
