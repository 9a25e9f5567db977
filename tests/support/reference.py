"""The preparation in plain Python, one row at a time: the pipeline must give the same."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from fractions import Fraction

from charseq.text.normalization import BLANKS

SPLIT_ENDS = {"train": Fraction(8, 10), "validation": Fraction(9, 10), "test": Fraction(1)}

_WORD = 2**64 - 1


def reference_hash(data: bytes, seed: int) -> int:
    """Return the 64-bit hash as its documentation defines it, of one sequence's UTF-8 bytes."""

    def mix(value: int) -> int:
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _WORD
        return value ^ (value >> 31)

    state = mix((seed + len(data) * 0x9E3779B97F4A7C15) & _WORD)
    for start in range(0, len(data), 8):
        state = mix(state ^ int.from_bytes(data[start : start + 8], "little"))
    return state


def prepare(
    rows: Iterable[tuple[str, str]], max_length: int, size: int, seed: int
) -> tuple[dict[str, list[tuple[list[int], int, str]]], Counter[str]]:
    """Return the records (ids, length, label) of each split in order, and the counts of rows.

    Args:
        rows: (sequence, label).
        max_length: of sequences, in characters.
        size: of the alphabet.
        seed: of the hash.
    """
    counts: Counter[str] = Counter()
    groups: dict[str, set[tuple[int, bytes, bytes]]] = defaultdict(set)
    characters: Counter[str] = Counter()
    for sequence, label in rows:
        counts["read"] += 1
        sequence, label = (unicodedata.normalize("NFC", t).strip(BLANKS) for t in (sequence, label))
        if not sequence or not label:
            counts["rejected"] += 1
            continue
        counts["truncated"] += len(sequence) > max_length
        cut = sequence[:max_length].strip(BLANKS)
        hashed = reference_hash(cut.encode(), seed)
        split = next(name for name, end in SPLIT_ENDS.items() if hashed < end * 2**64)
        if split == "train":
            characters.update(cut)
        row = (hashed, cut.encode(), label.encode())
        counts["duplicates"] += row in groups[split]
        groups[split].add(row)
    known = {label for _, _, label in groups["train"]}
    by_count = sorted(characters, key=lambda c: (-characters[c], _TieOrder(c)))[:size]
    ids = {character: number for number, character in enumerate(by_count, start=1)}
    records: dict[str, list[tuple[list[int], int, str]]] = {}
    for split, group in groups.items():
        records[split] = [
            ([ids.get(c, size + 1) for c in text.decode()], len(text.decode()), label.decode())
            for _, text, label in sorted(group)
            if label in known
        ]
    return records, counts


class _TieOrder(str):
    """Orders equally frequent characters as TFT does: the greater token first, as text."""

    def __lt__(self, other: str) -> bool:
        return str(ord(self)) > str(ord(other))
