"""The DoFns of a batch prediction: they run its steps in threads, emit and count the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput

from pipeline.compare.rows import count_rows
from pipeline.formats.parsed_rows import ParsedRows
from pipeline.options import RowRules
from pipeline.predict.characters import CharacterCounts
from pipeline.predict.classifier import Classifier, Floats, Ints, load_classifier
from pipeline.predict.columns import OutputColumns
from pipeline.predict.evaluation import LabelledRows, find_label_ids, no_rows
from pipeline.predict.model import Model
from pipeline.predict.predicted_files import (
    PredictedFile,
    PredictedRows,
    predicted_schema,
    write_predictions,
)
from pipeline.predict.sets import SetRule
from pipeline.rows.assumed_columns import find_assumed
from pipeline.rows.blocks import Block, parse_block, read_blocks
from pipeline.rows.counts import ReadCounts
from pipeline.rows.normalizing import NormalizedCounts, count_changed, cut_column
from pipeline.rows.packing import pack_rows
from pipeline.rows.parts import Part
from pipeline.rows.rejected import choose_examples, locate_rejected
from pipeline.rows.rejected_files import tag_rejected
from pipeline.rows.spilling import Spill
from pipeline.rows.validation import ValidatedRows, validate_rows
from pipeline.runtime import progress
from pipeline.runtime.threads import ThreadedDoFn

# Tags of outputs.
CHARACTERS = "characters"
COMPARED = "compared"
COUNTS = "counts"
LABELLED = "labelled"
ROWS = "predicted"

# Enough that batches of one length can be cut from them, few enough for several threads at once.
_SLICE_ROWS = 1 << 14


class PredictedSlice(NamedTuple):
    """Usable rows of a part with their predictions.

    part: the index of the part. before, packed: as of `PredictedRows`. labelled: the rows compared
    with their labels, if that is wanted.
    """

    part: int
    num_rows: int
    before: int
    packed: bytes
    characters: CharacterCounts
    labelled: LabelledRows | None


class Predict(ThreadedDoFn):
    """Part to (its index, PredictedRows).

    To COUNTS a ReadCounts per block, to CHARACTERS the CharacterCounts of its usable rows, to
    LABELLED their LabelledRows if they have labels, to COMPARED their RowCounts if they are to be
    compared with those of the model's dataset, to REJECTED the rows that are not usable. spill:
    where the packed rows are kept.
    """

    def __init__(
        self,
        model: Model,
        trust_model: bool,
        columns: OutputColumns,
        spill: Spill,
        *,
        has_labels: bool = False,
        compares: bool = False,
        rule: SetRule | None = None,
    ) -> None:
        self._model, self._trust_model, self._columns = model, trust_model, columns
        self._spill = spill
        self._has_labels, self._compares, self._rule = has_labels, compares, rule
        self._rules = RowRules(
            model.max_length,
            "truncate",
            label_column=None,
            normalization=model.normalization,
            keeps_others=True,
        )
        self._read = Metrics.counter("rows", "read")
        self._predicted = Metrics.counter("rows", "predicted")

    def setup(self) -> None:
        """See the class."""
        super().setup()
        self._classifier = load_classifier(self._model, self._trust_model)

    def process(self, part: Part) -> Iterator[tuple[int, PredictedRows] | TaggedOutput]:
        """See the class."""
        for block in read_blocks(part):
            parsed = parse_block(block)
            checked = validate_rows(parsed, self._rules)
            yield from self._emit_counts(block, parsed, checked)
            for start in range(0, len(checked.row), _SLICE_ROWS):
                yield from self.submit(
                    predict_slice,
                    self._classifier,
                    block,
                    checked,
                    start,
                    self._columns,
                    self._model if self._has_labels else None,
                    self._rule,
                )
        progress.advance(bytes_read=part.bytes)

    def _emit_counts(
        self, block: Block, parsed: ParsedRows, checked: ValidatedRows
    ) -> Iterator[TaggedOutput]:
        """Yield the counts and the rejected rows of a block."""
        rejected = locate_rejected(block.part, checked.bad)
        counts = ReadCounts(
            usable=len(checked.row),
            truncated=checked.truncated,
            rejected=Counter(row.reason for row in rejected),
            examples=choose_examples(rejected),
            rows_in_part=Counter({block.part.index: parsed.rows}),
            normalized=NormalizedCounts(count_changed(checked.changed_sequences)),
            found=find_assumed(block, parsed),
        )
        self._read.inc(counts.read)
        yield TaggedOutput(COUNTS, counts)
        if self._compares:
            rules = self._rules
            cut = cut_column(checked.sequence, rules.max_length, rules.normalization)
            yield TaggedOutput(COMPARED, count_rows(cut, checked.label))
        yield from tag_rejected(rejected)

    def emit(self, done: PredictedSlice) -> Iterator[tuple[int, PredictedRows] | TaggedOutput]:
        """See the class."""
        self._predicted.inc(done.num_rows)
        progress.advance(read=done.num_rows, usable=done.num_rows)
        yield TaggedOutput(CHARACTERS, done.characters)
        if done.labelled is not None:
            yield TaggedOutput(LABELLED, done.labelled)
        yield done.part, PredictedRows(done.before, self._spill.put(done.packed))


def predict_slice(
    classifier: Classifier,
    block: Block,
    checked: ValidatedRows,
    start: int,
    columns: OutputColumns,
    compared: Model | None = None,
    rule: SetRule | None = None,
) -> PredictedSlice:
    """Predict the usable rows of a block from number `start` on, `_SLICE_ROWS` at most.

    compared: the model, if rows are compared with their labels. rule: of sets, if there are any.
    """
    sequence = checked.sequence.slice(start, _SLICE_ROWS)
    labelled = compare = None
    if compared is not None:
        labelled = no_rows(compared)
        ids = find_label_ids(checked.label.slice(start, _SLICE_ROWS), compared, labelled)
        compare = partial(_compare, labelled, ids)
    predictions = classifier.classify(
        sequence, columns.top, compare, rule, columns.with_strangeness
    )
    before = int(checked.row[start - 1]) if start else block.first - 1
    row = checked.row[start : start + _SLICE_ROWS]
    step = np.diff(row, prepend=before).astype(np.int32)
    best, *others = leave_unsure(
        [(predictions.label, predictions.probability), *predictions.others], columns.min_confidence
    )
    arrays = [*best, pa.array(step), *chain.from_iterable(others)]
    if predictions.sets is not None:
        arrays.append(predictions.sets)
    if predictions.strangeness is not None:
        arrays.append(pa.array(predictions.strangeness))
    if columns.with_sequence:
        arrays.append(pc.coalesce(checked.raw.slice(start, _SLICE_ROWS), sequence))
    arrays += [column.slice(start, _SLICE_ROWS) for column in checked.others]
    rows = pa.RecordBatch.from_arrays(arrays, schema=predicted_schema(columns))
    return PredictedSlice(
        block.part.index,
        len(row),
        before,
        pack_rows(rows),
        predictions.characters,
        labelled,
    )


def leave_unsure(
    ranks: list[tuple[pa.StringArray, Floats]], min_confidence: float | None
) -> list[tuple[pa.StringArray, pa.FloatArray]]:
    """Return labels and probabilities, the labels null in rows that are not sure enough.

    Args:
        ranks: the labels and probabilities (n,) each, the most probable ones first.
        min_confidence: the least probability of the first of them; None for any.
    """
    columns = [(label, pa.array(probability)) for label, probability in ranks]
    if min_confidence is None:
        return columns
    # As a single, so that a probability that is written like the limit is not below it.
    is_sure = pa.array(ranks[0][1] >= np.float32(min_confidence))
    none = pa.scalar(None, pa.string())
    return [(pc.if_else(is_sure, label, none), probability) for label, probability in columns]


def _compare(
    labelled: LabelledRows, ids: Ints, rows: Ints, probabilities: Floats, lengths: Ints
) -> None:
    """Add a batch to the rows that are compared.

    Args:
        labelled: where it is added.
        ids: of the labels of all n rows, (n,).
        rows: which of them are in the batch, (rows,).
        probabilities: of these, (rows, labels).
        lengths: of these, (rows,).
    """
    known = ids[rows] >= 0
    labelled.metrics.add(ids[rows][known], probabilities[known], lengths[known])


class WritePart(ThreadedDoFn):
    """(Index of a part, its PredictedRows, and None) to the PredictedFile written."""

    def __init__(self, parts: Sequence[Part], staging: str, columns: OutputColumns) -> None:
        self._parts, self._staging, self._columns = parts, staging, columns
        self._written = Metrics.counter("rows", "written")

    def process(
        self, group: tuple[int, Iterable[PredictedRows | None]], first_rows: Sequence[int]
    ) -> Iterator[PredictedFile]:
        """See the class."""
        index, values = group
        rows = [value for value in values if value is not None]
        yield from self.submit(
            write_predictions,
            self._parts[index],
            rows,
            first_rows[index],
            self._staging,
            self._columns,
        )

    def emit(self, file: PredictedFile) -> Iterator[PredictedFile]:
        """See the class."""
        self._written.inc(file.rows)
        progress.advance(written=file.rows)
        yield file
