"""Is a version what was promoted, and do its signatures say the same?

A version in a registry has not the `parity.jsonl` of its dataset. It has `dataset.json`, by which
texts of the alphabet have known ids; and `entry.json`, by which its files have known checksums.
"""

from __future__ import annotations

import os
from itertools import cycle

import numpy as np

from charseq.errors import DataError
from charseq.files import damage_as_data_error, read_json_object, sha256_of_file
from charseq.manifest import Manifest
from charseq.models.saved_model import (
    CLASSIFY,
    ENCODE,
    ENTRY_FILE,
    IDS,
    LABEL,
    LENGTH,
    PROBABILITIES,
    PROBABILITY_TOLERANCE,
    SEQUENCE,
)
from charseq.server.model.messages import Array
from charseq.server.model.served import ServedModel
from charseq.text.normalization import BLANKS

_TEXTS = 64
_LONGEST = 32


def check_files(directory: str) -> None:
    """Check that the files of a version are those that were promoted.

    Raises:
        DataError: one is missing, or differs from the checksum in `entry.json`.
    """
    path = os.path.join(directory, ENTRY_FILE)
    if not os.path.exists(path):
        return
    with damage_as_data_error(path, "the entry of a promoted model"):
        files = dict(read_json_object(path)["saved_model"]["files"])
    for name, expected in files.items():
        if (got := sha256_of_file(os.path.join(directory, name))) != expected:
            raise DataError(f"{name}: has SHA-256 {got}, expected {expected} by its {ENTRY_FILE}")


def check_answers(model: ServedModel, manifest: Manifest) -> None:
    """Check a model on texts that are made of its alphabet.

    `encode` must give the ids of the alphabet, and what is served the answers of the signature
    `serving_default`, within 0.00001.

    Raises:
        DataError: it does not, or gives something that is not a probability.
    """
    made = make_texts(manifest)
    if {IDS, LENGTH} <= model.outputs_of(ENCODE):
        _check_ids(model, manifest, made)
    texts = np.array([text.encode("utf-8") for text in [*made, "\U0010fffd", "a b"]], object)
    expected = model.run(CLASSIFY, {SEQUENCE: texts})
    got, _ = model.guarded(lambda: model.classifier(texts))
    of_all = expected[PROBABILITIES]
    if not ((of_all >= 0) & (of_all <= 1)).all():
        raise DataError(f"signature {CLASSIFY} gives no probabilities, 0 to 1")
    for name, values in expected.items():
        if name != LABEL:
            _check_close(name, got[name], values)
    # Labels as probable as each other may differ.
    top = np.sort(of_all, axis=1)[:, -2:]
    is_sure = top[:, -1] - top[:, 0] > PROBABILITY_TOLERANCE
    if (got[LABEL] != expected[LABEL])[is_sure | (of_all.shape[1] == 1)].any():
        raise DataError(f"signatures {CLASSIFY} and classify_ids give different labels")


def _check_close(name: str, got: Array, expected: Array) -> None:
    distance = float(np.abs(got - expected).max(initial=0))
    if not distance <= PROBABILITY_TOLERANCE:
        raise DataError(
            f"signature {CLASSIFY} and those of ids differ: {name} by {distance:.2g}, expected at "
            f"most {PROBABILITY_TOLERANCE}"
        )


def _check_ids(model: ServedModel, manifest: Manifest, texts: list[str]) -> None:
    encoded = model.run(
        ENCODE, {SEQUENCE: np.array([text.encode("utf-8") for text in texts], object)}
    )
    numbers = {character: at for at, character in enumerate(manifest.alphabet, start=1)}
    for text, ids, length in zip(texts, encoded[IDS], encoded[LENGTH], strict=True):
        expected = [numbers[character] for character in text]
        got = ids[:length].tolist()
        if got != expected:
            raise DataError(f"{ENCODE} gives {got} for {text!r}, expected {expected}")


def make_texts(manifest: Manifest) -> list[str]:
    """Return some texts of the alphabet, of many lengths, that no normalization changes."""
    alphabet = "".join(manifest.alphabet)
    lengths = cycle(range(1, min(manifest.max_length, _LONGEST) + 1))
    texts = []
    for start, length in zip(range(_TEXTS), lengths, strict=False):
        doubled = alphabet[start % max(len(alphabet), 1) :] + alphabet * length
        text = doubled[:length].strip(BLANKS)
        if text and not manifest.normalization.changes(text):
            texts.append(text)
    return texts
