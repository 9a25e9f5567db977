"""Rows of files counted by a Beam job: what their profile is made of.

read ─▶ count ─▶ add up ─▶ write the profile
           └──▶ hashes of rows, by range ─▶ count those that differ ─ ┘ side input
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.pvalue import AsSingleton, TaggedOutput

from charseq.manifest import Manifest
from pipeline.compare.profile import Profile
from pipeline.input_options import InputOptions
from pipeline.options import RowRules
from pipeline.rows.assumed_columns import check_assumed, find_assumed
from pipeline.rows.blocks import Block, parse_block, read_blocks
from pipeline.rows.counts import ReadCounts, add_counts
from pipeline.rows.hashing import hash_sequences, mix
from pipeline.rows.label_counts import hash_labels
from pipeline.rows.normalizing import cut_column
from pipeline.rows.packing import unpack_rows
from pipeline.rows.parts import Part, cut_into_parts
from pipeline.rows.rejected import choose_examples, locate_rejected
from pipeline.rows.rejected_fraction import check_any_usable
from pipeline.rows.sources import Source
from pipeline.rows.validation import validate_rows
from pipeline.runtime import progress
from pipeline.runtime.filesystems import write_text
from pipeline.runtime.threads import ThreadedDoFn
from pipeline.sizes.characters import CharacterCounts, add_character_counts, count_characters
from pipeline.split.plan import cut_ranges

_HASHES = "hashes"
_PROFILES = "profiles"
_HASH = pa.schema([("hash", pa.uint64())])
# Of more labels the least frequent are not told apart.
_MAX_LABELS = 100_000


@dataclass
class RowCounts:
    """Usable rows by label and by length as they are cut, and how often each character occurs."""

    labels: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    characters: CharacterCounts = field(default_factory=CharacterCounts)


def count_rows(sequence: pa.StringArray, label: pa.StringArray) -> RowCounts:
    """Return the counts of usable rows; those without a label count for none.

    Args:
        sequence: (n,) string, as they are cut.
        label: (n,) string, empty where there is none.
    """
    counts = RowCounts(characters=count_characters(sequence.cast(pa.large_binary())))
    for length in pc.value_counts(pc.utf8_length(sequence)).to_pylist():
        counts.lengths[length["values"]] = length["counts"]
    for value in pc.value_counts(label.filter(pc.not_equal(label, ""))).to_pylist():
        counts.labels[value["values"]] = value["counts"]
    return counts


def add_rows(counts: Iterable[RowCounts]) -> RowCounts:
    """Return the sum of the counts."""
    total, characters = RowCounts(), []
    for summand in counts:
        total.labels.update(summand.labels)
        total.lengths.update(summand.lengths)
        characters.append(summand.characters)
        if len(total.labels) > 2 * _MAX_LABELS:
            total.labels = Counter(dict(total.labels.most_common(_MAX_LABELS)))
    total.characters = add_character_counts(characters)
    return total


def make_profile(
    read: ReadCounts, rows: RowCounts, distinct: int | None, *, has_labels: bool
) -> Profile:
    """Return the profile of rows; distinct: how many there are without repetitions, if known."""
    code_points, occurrences = rows.characters.code_point, rows.characters.occurrences
    return Profile(
        rows=read.usable,
        labels=dict(rows.labels) if has_labels and rows.labels else None,
        lengths=dict(rows.lengths),
        characters=dict(zip(map(chr, code_points.tolist()), occurrences.tolist(), strict=True)),
        duplicates=None if distinct is None else 1 - distinct / max(read.usable, 1),
        rejected=dict(read.rejected),
        read_with=read.read,
    )


def rules_like(manifest: Manifest, label_column: str | None) -> RowRules:
    """Return the rules by which the rows of a dataset were read, for other rows."""
    too_long = manifest.options.get("too_long", "truncate")
    return RowRules(manifest.max_length, too_long, label_column, manifest.normalization)


def build(
    pipeline: beam.Pipeline,
    sources: Sequence[Source],
    rules: RowRules,
    options: InputOptions,
    path: str,
) -> beam.PCollection:
    """Add to `pipeline` the steps that write the profile of `sources` to the file `path`."""
    parts = cut_into_parts(sources)
    read = (
        pipeline
        | "Parts" >> beam.Create(parts)
        | "Spread" >> beam.Reshuffle()
        | "Count" >> beam.ParDo(CountRows(rules)).with_outputs(_PROFILES, _HASHES, main="counts")
    )
    counts = read["counts"] | "AddCounts" >> beam.CombineGlobally(add_counts)
    rows = read[_PROFILES] | "AddRows" >> beam.CombineGlobally(add_rows)
    distinct = (
        read[_HASHES]
        | "GroupByRange" >> beam.GroupByKey()
        | "Distinct" >> beam.Map(lambda group: count_distinct(group[1]))
        | "AddDistinct" >> beam.CombineGlobally(sum)
    )
    has_labels = options.label_column is not None

    def write(_: None, read: ReadCounts, rows: RowCounts, distinct: int) -> str:
        check_assumed(read, parts, options)
        check_any_usable(read, parts)
        profile = make_profile(read, rows, distinct if has_labels else None, has_labels=has_labels)
        return write_text(path, json.dumps(asdict(profile)))

    return (
        pipeline
        | "Once" >> beam.Create([None])
        | "Write" >> beam.Map(write, AsSingleton(counts), AsSingleton(rows), AsSingleton(distinct))
    )


def read_profile(text: str | bytes) -> Profile:
    """Return the profile that `build` wrote."""
    content = json.loads(text)
    lengths = {int(length): rows for length, rows in content["lengths"].items()}
    return Profile(**{**content, "lengths": lengths})


class CountedBlock(NamedTuple):
    """The counts of a block, and hashes of its rows, by range; none where rows have no labels."""

    read: ReadCounts
    rows: RowCounts
    hashes: list[tuple[int, bytes]]


class CountRows(ThreadedDoFn):
    """Part to a ReadCounts per block; to _PROFILES its RowCounts, to _HASHES those of its rows."""

    def __init__(self, rules: RowRules) -> None:
        self._rules = rules

    def process(self, part: Part) -> Iterator[ReadCounts | TaggedOutput]:
        """See the class."""
        for block in read_blocks(part):
            yield from self.submit(count_block, block, self._rules)
        progress.advance(bytes_read=part.bytes)

    def emit(self, counted: CountedBlock) -> Iterator[ReadCounts | TaggedOutput]:
        """See the class."""
        progress.advance(read=counted.read.read)
        yield counted.read
        yield TaggedOutput(_PROFILES, counted.rows)
        for group in counted.hashes:
            yield TaggedOutput(_HASHES, group)


def count_block(block: Block, rules: RowRules) -> CountedBlock:
    """Return the counts of a block.

    Raises:
        DataError: the block cannot be parsed.
    """
    parsed = parse_block(block)
    checked = validate_rows(parsed, rules)
    rejected = locate_rejected(block.part, checked.bad)
    read = ReadCounts(
        usable=len(checked.row),
        rejected=Counter(row.reason for row in rejected),
        examples=choose_examples(rejected),
        rows_in_part=Counter({block.part.index: parsed.rows}),
        found=find_assumed(block, parsed),
    )
    sequence = cut_column(checked.sequence, rules.max_length, rules.normalization)
    hashes = [] if rules.label_column is None else _hash_rows(sequence, checked.label)
    return CountedBlock(read, count_rows(sequence, checked.label), hashes)


def _hash_rows(sequence: pa.StringArray, label: pa.StringArray) -> list[tuple[int, bytes]]:
    """Return the hashes of pairs of sequence and label, each once, see `cut_ranges`."""
    hashes = np.unique(mix(hash_sequences(sequence, 0) ^ mix(hash_labels(label))))
    return list(cut_ranges(hashes, pa.record_batch([pa.array(hashes)], schema=_HASH)))


def count_distinct(groups: Iterable[bytes]) -> int:
    """Return how many different hashes there are; `groups` are of `_hash_rows`."""
    return len(np.unique(unpack_rows(groups, _HASH)["hash"].to_numpy()))
