"""Rejected rows: where each stood, and the files they are written to."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.pvalue import AsSingleton, TaggedOutput

from pipeline.rows.sources import Part
from pipeline.runtime.filesystems import create

# The tag of the output of a DoFn that finds rows to reject.
REJECTED = "rejected"
EXAMPLES_PER_REASON = 3
_SHOWN_CHARACTERS = 60
# Rows of so many neighbouring parts share a file, so that the files come in input order.
PARTS_PER_FILE = 64


class Rejected(NamedTuple):
    """A rejected row: the part it stood in, its number there from 0, and its text."""

    part: int
    row: int
    reason: str
    raw: str


@dataclass(frozen=True)
class RejectedFile:
    """One file of rejected rows that waits to be published, and its first rows of each reason."""

    index: int
    staged_path: str
    by_reason: Counter[str]
    examples: tuple[dict[str, object], ...]

    @property
    def file_name(self) -> str:
        """Its path in the dataset directory."""
        return f"rejected/part-{self.index:05d}.jsonl"


def first_rows(parts: Sequence[Part], rows_in_part: Mapping[int, int]) -> list[int]:
    """The row number in its file at which each part begins."""
    first: list[int] = []
    for part in parts:
        previous = parts[part.index - 1] if part.index else None
        if previous is None or previous.source.path != part.source.path:
            first.append(part.source.first_row)
        else:
            first.append(first[-1] + rows_in_part[previous.index])
    return first


def as_json(rejected: Rejected, parts: Sequence[Part], first: Sequence[int]) -> dict[str, object]:
    """The row as it is written: its file, its row number there, why, and its text."""
    return {
        "source": parts[rejected.part].source.path,
        "row": first[rejected.part] + rejected.row,
        "reason": rejected.reason,
        "raw": rejected.raw,
    }


def tag_rejected(rejected: Sequence[Rejected]) -> Iterator[TaggedOutput]:
    """Rejected rows, keyed by the file they will be written to."""
    for row in rejected:
        Metrics.counter("rejected", row.reason).inc()
        yield TaggedOutput(REJECTED, (row.part // PARTS_PER_FILE, row))


def write_all_rejected(
    rejected: beam.PCollection, counts: beam.PCollection, parts: Sequence[Part], staging: str
) -> beam.PCollection:
    """What `tag_rejected` gave, and one ReadCounts, to a RejectedFile for each file written."""
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
    rejected: Iterable[Rejected],
    parts: Sequence[Part],
    rows_in_part: Mapping[int, int],
    staging: str,
) -> RejectedFile:
    """Write one file of rejected rows, in the order they had in the input."""
    first = first_rows(parts, rows_in_part)
    ordered = sorted(rejected)
    path = FileSystems.join(staging, f"rejected-{uuid.uuid4().hex}")
    with create(path) as file:
        for row in ordered:
            line = json.dumps(as_json(row, parts, first), ensure_ascii=False)
            file.write(line.encode("utf-8") + b"\n")
    return RejectedFile(
        index,
        path,
        Counter(row.reason for row in ordered),
        tuple(as_json(row, parts, first) for row in choose_examples(ordered)),
    )


def choose_examples(rejected: Iterable[Rejected]) -> list[Rejected]:
    """The first few rejected rows of each reason, with as much of their text as is shown."""
    taken: Counter[str] = Counter()
    chosen = []
    for row in sorted(rejected):
        taken[row.reason] += 1
        if taken[row.reason] <= EXAMPLES_PER_REASON:
            chosen.append(row._replace(raw=row.raw[:_SHOWN_CHARACTERS]))
    return chosen


def describe_rejected(by_reason: dict[str, int]) -> str:
    """How many rows were rejected, and why, for people."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in by_reason.items())
    return f"rejected {sum(by_reason.values()):,}" + (f" ({reasons})" if reasons else "")
