"""Build the rows of all tasks from the raw data: `python -m benchmarks.quality.build DIR`.

Runs in the peers' interpreter, which has the lists of words. Writes `train.tsv` and `test.tsv`
into `DIR/SET`, or into `DIR/SET/fold0` and so on where a set has folds.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.quality.rows import Row, leave_out_shared, split_fold, write_rows
from benchmarks.quality.sources import LANGUAGES, NPM, TEN_LANGUAGES
from benchmarks.quality.tasks import FOLDS
from benchmarks.quality.words import list_test_words, list_words

_TEST_SHARE = 10  # One row in ten, where a set has a single test set of its own rows.
_AMYLO = {"0": "other", "1": "amyloid"}
_SOLUBLE = {"0": "insoluble", "1": "soluble"}
# Words a language, by set.
_SIXTY_FOUR = {"langs3k": 3_000, "langs10k": 10_000}


def build(directory: Path) -> None:
    """Write every set that is not there yet."""
    raw = directory / "raw"
    if not (directory / "amylo").exists():
        _write_folds(directory / "amylo", _read_aaanalysis(raw, "AMYLO", _AMYLO))
    if not (directory / "amp").exists():
        _write_folds(directory / "amp", _read_peptides(raw))
    if not (directory / "names").exists():
        _write_folds(directory / "names", _read_names(raw))
    if not (directory / "soluble").exists():
        _write_split(directory / "soluble", _read_aaanalysis(raw, "SOLUBLE", _SOLUBLE))
    if not (directory / "ten").exists():
        lists = [(language, list_words(raw, language)) for language in TEN_LANGUAGES]
        _write_split(directory / "ten", leave_out_shared(lists))
    if not all((directory / name).exists() for name in _SIXTY_FOUR):
        _write_sixty_four(directory)


def _write_folds(directory: Path, rows: set[Row]) -> None:
    for fold in range(FOLDS):
        _write(directory / f"fold{fold}", *split_fold(rows, fold, FOLDS))


def _write_split(directory: Path, rows: Iterable[Row]) -> None:
    _write(directory, *split_fold(rows, 0, _TEST_SHARE))


def _write(directory: Path, train: Iterable[Row], test: Iterable[Row]) -> None:
    """Write both files; train.tsv last, so that a directory with it is complete."""
    num_test = write_rows(directory / "test.tsv", test)
    num_train = write_rows(directory / "train.tsv", train)
    print(f"{directory}: {num_train:,} rows to train on, {num_test:,} to test", flush=True)


def _write_sixty_four(directory: Path) -> None:
    """Write the words of all languages; no test word is in the train rows of any language."""
    raw = directory / "raw"
    test = {
        Row(word, language) for language in LANGUAGES for word in list_test_words(raw, language)
    }
    tested = {word for word, _ in test}
    words = {
        language: [word for word in list_words(raw, language) if word not in tested]
        for language in LANGUAGES
    }
    for name, most in _SIXTY_FOUR.items():
        _write(directory / name, first_words(words, most), test)


def first_words(words: Mapping[str, list[str]], most: int) -> set[Row]:
    """Return the first `most` words of each language."""
    return {Row(word, language) for language, found in words.items() for word in found[:most]}


def _read_aaanalysis(raw: Path, name: str, labels: Mapping[str, str]) -> set[Row]:
    path = raw / f"aaanalysis/_data/benchmarks/SEQ_{name}.tsv"
    with path.open(encoding="utf-8", newline="") as file:
        return {
            Row(row["sequence"], labels[row["label"]])
            for row in csv.DictReader(file, delimiter="\t")
        }


def _read_peptides(raw: Path) -> set[Row]:
    """Read rows of sequence and 0 or 1, below a line: rows, columns, name of 0, name of 1."""
    text = (raw / "modlamp/data/AMPvsUniProt.csv").read_text(encoding="utf-8")
    (_, _, zero, one), *rows = csv.reader(text.splitlines())
    return {
        Row(sequence.strip(), one if number.strip() == "1" else zero) for sequence, number in rows
    }


def _read_names(raw: Path) -> set[Row]:
    paths = ((sex, raw / f"npm/{sex}/package/data/names.txt") for sex in NPM)
    return leave_out_shared((sex, path.read_text(encoding="utf-8").split()) for sex, path in paths)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
