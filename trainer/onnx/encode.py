"""Text to ids for `model.onnx`, as charseq's preparation makes them; needs Python alone.

with open("alphabet.json", encoding="utf-8") as file:
    alphabet = json.load(file)
ids, length = encode(["ACDEFGHIKL", "MNPQRSTVWYACD"], alphabet)
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any


def encode(texts: Sequence[str], alphabet: Mapping[str, Any]) -> tuple[list[list[int]], list[int]]:
    """Return the ids (texts, max_length) and lengths (texts,) of texts; alphabet: alphabet.json."""
    places = {character: place for place, character in enumerate(alphabet["characters"], start=1)}
    max_length, blanks = alphabet["max_length"], alphabet["strip"]
    ids, lengths = [], []
    for text in texts:
        if alphabet["normalize"] == "nfc":
            text = unicodedata.normalize("NFC", text)
        if alphabet["lowercase"]:
            text = text.lower()
            for pair, character in alphabet["compositions"].items():
                text = text.replace(pair, character)
        text = text.strip(blanks)[:max_length].strip(blanks)
        row = [places.get(character, alphabet["unknown_id"]) for character in text]
        ids.append(row + [alphabet["padding_id"]] * (max_length - len(row)))
        lengths.append(max(len(row), 1))
    return ids, lengths
