"""Which parsed rows can be used: the reasons a row is rejected, checked over whole columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from charseq.text.normalization import BLANKS
from pipeline.columns.read import ZERO_WEIGHT, OtherColumns, read_columns
from pipeline.formats.parsed_rows import KEPT_BYTES, BadRow, ParsedRows, invalid_utf8
from pipeline.options import RowRules
from pipeline.rows.lengths import count_lengths
from pipeline.rows.normalizing import NormalizedColumn, normalize_column

Bools = npt.NDArray[np.bool_]

RARE_LABEL, UNSEEN_LABEL = "rare_label", "unseen_label"
IN_OTHER_SPLIT, NEAR_OTHER_SPLIT = "in_other_split", "near_other_split"
BETWEEN_SPLITS = "between_splits"
# By reason, in the words of the report and of error messages.
REASONS = {
    # From parsing:
    "line_break": "a carriage return or newline inside the row or its label",
    "broken_quoting": "a quote that is not closed on its line, or stands inside a field",
    "wrong_number_of_fields": "more or fewer fields than the header",
    "repeated_header": "the header again, as in files that were put together",
    "invalid_json": "not a JSON object whose sequence is text",
    "label_not_text": "a label that is neither text, a whole number, true nor false",
    # From `validate_rows`; parsing gives the first one, and labels may have the line break:
    "invalid_utf8": "bytes that are not UTF-8, as in Windows-1252, from which iconv converts",
    "empty_sequence": "no character in the sequence, or nothing but blanks",
    "missing_label": "no label",
    "too_long": "longer than --max-length, with --too-long=reject",
    "unknown_split": "no value in --split-column, or one that is neither train, validation, test "
    "nor in --split-values",
    "unreadable_time": "no time in --time-column, or one that is not ISO 8601",
    "missing_group": "no value in --group-column",
    "invalid_weight": "no value in --weight-column, or one that is no number from 0 to 1e30",
    ZERO_WEIGHT: "a weight of 0, or below 1e-30; not counted in --max-rejected-fraction",
    # Once all rows with given splits are read:
    IN_OTHER_SPLIT: "a train row whose sequence is in another given split, too",
    # Once similar sequences are found:
    NEAR_OTHER_SPLIT: "a train row that is like one of another split, see --similar-policy",
    # Once they are compared with the groups of a base:
    BETWEEN_SPLITS: "a row of a group that is tied to several splits of the base",
    # Once the labels of the train split are known:
    UNSEEN_LABEL: "a label that no row of the train split has",
    # Once the labels of all rows are counted:
    RARE_LABEL: "a label with fewer rows than --min-label-rows",
}


@dataclass(frozen=True)
class ValidatedRows:
    """The n usable rows of a block, and the others.

    sequence, label: (n,) string, normalized, no nulls; labels that are not wanted are empty.
    Sequences are cut only at `KEPT_BYTES` characters, or at `--max-length` where that is more.
    raw: (n,) string, the sequences that normalizing changed, as they were read; null for the others
    and for longer ones than are kept. changed_sequences, changed_labels: by step of normalizing,
    (n,) bool. row: (n,) int64. bad: the rows that are rejected. truncated: how many of the n are
    longer than `--max-length`. lengths: see `count_lengths`; of the n rows and of those that are
    rejected only for their length. columns: of splits, groups and weights. others: (n,) string
    each, with nulls, of columns that are carried through.
    """

    sequence: pa.StringArray
    label: pa.StringArray
    raw: pa.StringArray
    changed_sequences: Mapping[str, Bools]
    changed_labels: Mapping[str, Bools]
    row: npt.NDArray[np.int64]
    bad: tuple[BadRow, ...]
    truncated: int
    lengths: Counter[int]
    columns: OtherColumns = field(default_factory=OtherColumns)
    others: tuple[pa.StringArray, ...] = ()


def validate_rows(parsed: ParsedRows, rules: RowRules) -> ValidatedRows:
    """Normalize rows, and separate those to reject, each with the first reason that applies."""
    reasons = _Reasons(len(parsed.row))
    reasons.add("invalid_utf8", invalid_utf8(parsed.sequence) | invalid_utf8(parsed.label))
    read = _to_string(parsed.sequence, reasons.bad)
    sequences = normalize_column(read, rules.normalization)
    labels = normalize_column(
        _to_string(parsed.label, reasons.bad), replace(rules.normalization, lowercase=False)
    )
    sequence, label = sequences.text, labels.text
    length = pc.utf8_length(sequence).to_numpy()
    reasons.add("empty_sequence", _is_blank(sequence))
    if rules.label_column is not None:
        reasons.add("missing_label", _to_mask(pc.equal(pc.utf8_trim_whitespace(label), "")))
        reasons.add("line_break", _has_line_break(label))
    carried = _carried_columns(parsed.others, reasons) if rules.keeps_others else ()
    columns = read_columns(
        dict(zip(rules.columns, parsed.others, strict=False)), rules.splits, reasons.add
    )
    lengths = count_lengths(length[~reasons.bad], rules.max_length)
    too_long = length > rules.max_length
    if rules.too_long == "reject":
        reasons.add("too_long", too_long)
    # No record holds what is cut off here, and a huge line should not travel through the shuffle.
    kept = max(rules.max_length, KEPT_BYTES)
    if length.max(initial=0) > kept:
        sequence = pc.utf8_slice_codeunits(sequence, 0, kept)
    good = ~reasons.bad
    bad = reasons.bad_rows(parsed)
    raw = _changed_only(read, sequences, kept)
    if bad:
        sequence, label, raw = (column.filter(pa.array(good)) for column in (sequence, label, raw))
    return ValidatedRows(
        sequence,
        label,
        raw,
        {step: changed[good] for step, changed in sequences.changed.items()},
        {step: changed[good] for step, changed in labels.changed.items()},
        parsed.row[good],
        parsed.bad + bad,
        truncated=int((too_long & good).sum()),
        lengths=lengths,
        columns=columns.filter(good),
        others=tuple(column.filter(pa.array(good)) for column in carried),
    )


def _carried_columns(
    columns: Sequence[pa.BinaryArray], reasons: _Reasons
) -> tuple[pa.StringArray, ...]:
    """Return columns to be carried through as text; a row that is not UTF-8 is rejected."""
    for column in columns:
        reasons.add("invalid_utf8", invalid_utf8(column))
    bad = pa.array(reasons.bad)
    none = pa.scalar(None, pa.binary())
    return tuple(pc.if_else(bad, none, column).cast(pa.string()) for column in columns)


def _changed_only(
    read: pa.StringArray, normalized: NormalizedColumn, longest: int
) -> pa.StringArray:
    """Return `ValidatedRows.raw` of (n,) string, as read and normalized."""
    if not normalized.changed:
        return pa.nulls(len(read), pa.string())
    is_kept = normalized.is_changed() & (pc.utf8_length(read).to_numpy() <= longest)
    return pc.if_else(pa.array(is_kept), read, pa.scalar(None, pa.string()))


class _Reasons:
    """The first reason that applies to each of n rows; bad: (n,) bool, the rows with a reason."""

    def __init__(self, n: int) -> None:
        self.bad = np.zeros(n, np.bool_)
        self._names: list[str] = []
        self._first = np.zeros(n, np.int8)

    def add(self, name: str, applies: npt.NDArray[np.bool_]) -> None:
        self._first[applies & ~self.bad] = len(self._names)
        self._names.append(name)
        self.bad |= applies

    def bad_rows(self, parsed: ParsedRows) -> tuple[BadRow, ...]:
        return tuple(
            BadRow(int(parsed.row[i]), self._names[int(self._first[i])], parsed.raw(i))
            for i in np.flatnonzero(self.bad).tolist()
        )


def _is_blank(text: pa.StringArray) -> npt.NDArray[np.bool_]:
    """Return which values have nothing but blanks, as there are without --strip."""
    return _to_mask(pc.equal(pc.utf8_trim(text, BLANKS), ""))


def _has_line_break(label: pa.StringArray) -> npt.NDArray[np.bool_]:
    has_return, has_newline = (
        _to_mask(pc.match_substring(label, character)) for character in "\r\n"
    )
    return has_return | has_newline


def _to_mask(array: pa.BooleanArray) -> npt.NDArray[np.bool_]:
    return array.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _to_string(column: pa.BinaryArray, blank: npt.NDArray[np.bool_]) -> pa.StringArray:
    """Return text without nulls; `blank` rows, and those without a value, become empty."""
    if blank.any():
        column = pc.if_else(pa.array(blank), pa.scalar(b"", pa.binary()), column)
    text = column.cast(pa.string())
    return text.fill_null("") if text.null_count else text
