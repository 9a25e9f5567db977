"""Text to ids in Python alone, beside the preparation."""

from __future__ import annotations

import itertools
import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from charseq.text.normalization import Normalization
from charseq.text.sequences import cut, normalize
from tests.support.manifests import toy_manifest
from tests.support.preparation import prepare
from trainer.data.dataset import read_dataset
from trainer.export.parity import read_parity
from trainer.onnx.alphabet import describe_alphabet
from trainer.onnx.encode import encode

CHARACTERS = ("a", "B", "b", "é", "ς", "σ", "i", "\u0307", "ǰ", "\u200b", "😀")
MAX_LENGTH = 5
ROWS = [
    *("aBbé", "e\u0301e\u0301", "ABCDEFGHIJ", "ΒΑΣ Σ", "İB", "J\u030c", "J\u0331\u030c"),
    *(" \t\ufeffab  ", "\u200b", "", "abcd \u3000e", "a\0B", "😀😀B?", "\u0391\u0313\u0342"),
]


def manifest_of(normalization: Normalization):
    return toy_manifest(
        max_length=MAX_LENGTH,
        alphabet=CHARACTERS,
        alphabet_size=20,
        unknown_id=21,
        options={
            "normalize": "nfc" if normalization.nfc else "none",
            "lowercase": normalization.lowercase,
            "strip": normalization.strip,
        },
    )


def alphabet_of(normalization: Normalization):
    """Return the content of `alphabet.json`, as it is read."""
    return json.loads(json.dumps(describe_alphabet(manifest_of(normalization))))


def test_ids_and_lengths() -> None:
    ids, length = encode(["aB?", "", "  bbbbbbb"], alphabet_of(Normalization(True, True, True)))
    assert ids == [[1, 3, 21, 0, 0], [0, 0, 0, 0, 0], [3, 3, 3, 3, 3]]
    assert length == [3, 1, 5]
    ids, length = encode(["aB?", "  bb"], alphabet_of(Normalization(True, False, False)))
    assert ids == [[1, 2, 21, 0, 0], [21, 21, 3, 3, 0]]
    assert length == [3, 4]


@pytest.mark.parametrize(
    "normalization", [Normalization(*steps) for steps in itertools.product([True, False], repeat=3)]
)
def test_text_is_normalized_as_in_the_preparation(normalization: Normalization) -> None:
    texts = cut(normalize(ROWS, normalization), MAX_LENGTH, normalization)
    places = {character: place for place, character in enumerate(CHARACTERS, start=1)}
    expected = [[places.get(character, 21) for character in text] for text in texts]
    ids, length = encode(ROWS, alphabet_of(normalization))
    assert ids == [row + [0] * (MAX_LENGTH - len(row)) for row in expected]
    assert length == [max(len(row), 1) for row in expected]


# Letters of Unicode 14, which TensorFlow does not lower, and the mark of one of them.
NEWER = {0x2C2F, 0x2C5F, *range(0xA7C0, 0xA7DD), *range(0x10570, 0x105BD)}


@pytest.mark.parametrize("pattern", ["{}", "aΣ{}", "{}Σ", "{}\u0331\u0342", "a{}\u030c"])
def test_lowercase_of_all_letters_with_case(pattern: str) -> None:
    letters = [chr(code) for code in range(0x110000) if chr(code).swapcase() != chr(code)]
    letters = [letter for letter in letters if ord(letter) not in NEWER]
    assert len(letters) > 2700
    normalization = Normalization(nfc=True, lowercase=True, strip=False)
    texts = [pattern.format(letter) for letter in letters]
    lowered = normalize(texts, normalization)
    characters = sorted(set("".join(lowered)))
    alphabet = {**alphabet_of(normalization), "characters": characters}
    ids, _ = encode(texts, alphabet)
    got = ["".join(characters[place - 1] for place in row if place) for row in ids]
    different = [
        unicodedata.name(letter)
        for letter, mine, expected in zip(letters, got, lowered, strict=True)
        if mine != expected
    ]
    assert different == []


@pytest.mark.integration
@pytest.mark.parametrize(
    "flags", ["", "--lowercase --no-strip", "--normalize none --alphabet eaσçn"]
)
def test_the_rows_that_a_preparation_keeps_for_this(flags: str, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    parts = ["e", "A", "c\u0327", "Σ", "İ", "J\u030c", " ", "\u200b", "n", "N", "O\u0308", "ñ"]
    texts = ["".join(random.choice(parts, random.integers(1, 9))) for _ in range(300)]
    rows = [{"sequence": text, "label": str(n % 3)} for n, text in enumerate(texts)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    prepare(path, tmp_path / "data", *flags.split())
    dataset = read_dataset(str(tmp_path / "data"))
    parity = read_parity(dataset)
    assert len(parity.texts) > 30
    alphabet = json.loads(json.dumps(describe_alphabet(dataset.manifest)))
    ids, length = map(tf.constant, encode(parity.texts, alphabet))
    parity.replay(lambda _: (ids, length))
