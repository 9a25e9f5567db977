"""Columns of text normalized, and how many values each step changed.

Few values need any of it, and a look at the column finds them at once: only those are taken out,
changed and put back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from charseq.text.normalization import BLANKS, Normalization, to_nfc
from charseq.text.text_graph import lowercase, strip

# In the words of the summary and the report, in the order in which they are done.
STEPS = {"nfc": "NFC", "lowercase": "--lowercase", "strip": "--strip"}
# So many changed sequences of each step go to parity.jsonl.
PARITY_SEQUENCES = 32
_MAY_BE_UPPERCASE = r"[^\x00-@\[-\x7F]"

Bools = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]


class NormalizedColumn(NamedTuple):
    """n values, and by step which of them it changed, (n,) bool; steps that changed none are out.

    text: (n,) string.
    """

    text: pa.StringArray
    changed: Mapping[str, Bools]

    def is_changed(self) -> Bools:
        """Return which values were changed, (n,) bool."""
        changed = np.zeros(len(self.text), np.bool_)
        for values in self.changed.values():
            changed |= values
        return changed


def normalize_column(text: pa.StringArray, normalization: Normalization) -> NormalizedColumn:
    """Normalize (n,) string without nulls."""
    changed: dict[str, Bools] = {}
    for step, (find, change) in _steps(normalization):
        candidates = find(text)
        if candidates.any():
            before, text = text, _replace(text, candidates, change)
            differs = _to_mask(pc.not_equal(before, text))
            if differs.any():
                changed[step] = differs
    return NormalizedColumn(text, changed)


def cut_column(text: pa.StringArray, max_length: int, normalization: Normalization) -> pa.Array:
    """Return the first `max_length` characters of normalized text, without blanks at the end."""
    cut = pc.utf8_slice_codeunits(text, 0, max_length)
    return normalize_column(cut, replace(normalization, nfc=False, lowercase=False)).text


Find = Callable[[pa.StringArray], Bools]
Change = Callable[[pa.StringArray], pa.StringArray]


def _steps(normalization: Normalization) -> Iterator[tuple[str, tuple[Find, Change]]]:
    """Yield each step: what finds the values that it may change, and what changes them."""
    if normalization.nfc:
        yield "nfc", (_find_unicode, _to_nfc)
    if normalization.lowercase:
        yield "lowercase", (_find_uppercase, _in_graph(lowercase))
    if normalization.strip:
        yield "strip", (_find_blank_ends, _in_graph(strip))


def _find_unicode(text: pa.StringArray) -> Bools:
    if _bytes_of(text).max(initial=0) < 128:
        return np.zeros(len(text), np.bool_)
    return ~_to_mask(pc.string_is_ascii(text))


def _find_uppercase(text: pa.StringArray) -> Bools:
    return _to_mask(pc.match_substring_regex(text, _MAY_BE_UPPERCASE))


def _find_blank_ends(text: pa.StringArray) -> Bools:
    data = _bytes_of(text)
    # A space is the last blank in ASCII.
    if data.min(initial=127) > ord(" ") and data.max(initial=0) < 128:
        return np.zeros(len(text), np.bool_)
    trimmed = pc.utf8_trim(text, BLANKS)
    return _to_mask(pc.less(pc.binary_length(trimmed), pc.binary_length(text)))


def _bytes_of(text: pa.StringArray) -> npt.NDArray[np.uint8]:
    """Return the bytes of all values; of a slice, those of the values around it, too."""
    return np.frombuffer(text.buffers()[2] or b"", np.uint8)


def _to_nfc(text: pa.StringArray) -> pa.StringArray:
    return pa.array(to_nfc(text.to_pylist()), pa.string())


def _in_graph(function: Callable[[tf.Tensor], tf.Tensor]) -> Change:
    def change(text: pa.StringArray) -> pa.StringArray:
        values = tf.constant(text.cast(pa.binary()).to_numpy(zero_copy_only=False))
        return pa.array(function(values).numpy(), pa.binary()).cast(pa.string())

    return change


def _replace(text: pa.StringArray, where: Bools, change: Change) -> pa.StringArray:
    mask = pa.array(where)
    return pc.replace_with_mask(text, mask, change(text.filter(mask)))


def _to_mask(array: pa.BooleanArray) -> Bools:
    return array.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class NormalizedCounts:
    """How many usable rows each step of normalizing changed.

    sequences, labels: rows by step. least_hashes: by step, the least hashes of sequences that it
    changed, (k,) uint64, ascending, `PARITY_SEQUENCES` at most.
    """

    sequences: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    least_hashes: Mapping[str, Hashes] = field(default_factory=dict)

    def to_json(self) -> dict[str, dict[str, int]]:
        """Return the counts above 0 by column, then step, as `dataset.json` holds them."""
        columns = {"sequence": self.sequences, "label": self.labels}
        return {
            column: {step: counts[step] for step in STEPS if counts[step]}
            for column, counts in columns.items()
            if counts.total()
        }

    def parity_hashes(self) -> Hashes:
        """Return the hashes of changed sequences that belong into parity.jsonl, ascending."""
        return np.unique(np.concatenate([np.zeros(0, np.uint64), *self.least_hashes.values()]))


def count_changed(changed: Mapping[str, Bools]) -> Counter[str]:
    """Return how many values each step changed."""
    return Counter({step: int(values.sum()) for step, values in changed.items()})


def least_hashes(changed: Mapping[str, Bools], hashes: Hashes) -> dict[str, Hashes]:
    """Return `NormalizedCounts.least_hashes` of n sequences with the hashes (n,) uint64."""
    return {step: _least(hashes[values]) for step, values in changed.items()}


def add_normalized(counts: Iterable[NormalizedCounts]) -> NormalizedCounts:
    """Return the sum of the counts."""
    sequences: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    hashes: dict[str, Hashes] = {}
    for summand in counts:
        sequences.update(summand.sequences)
        labels.update(summand.labels)
        for step, least in summand.least_hashes.items():
            hashes[step] = _least(np.concatenate([hashes.get(step, least), least]))
    return NormalizedCounts(sequences, labels, hashes)


def _least(hashes: Hashes) -> Hashes:
    return np.unique(hashes)[:PARITY_SEQUENCES]


def describe_normalized(normalized: Mapping[str, Mapping[str, int]]) -> str:
    """Return a user-facing text of `NormalizedCounts.to_json`; empty if nothing was changed."""
    return ", ".join(
        f"{rows:,} {column}{' was' if rows == 1 else 's were'} changed by {STEPS[step]}"
        for column, by_step in normalized.items()
        for step, rows in by_step.items()
    )
