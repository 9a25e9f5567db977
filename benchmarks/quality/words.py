"""Words by language: wordfreq's lists, simplemma's forms, dictionaries of Debian.

Runs in the peers' interpreter. Words of wordfreq come by frequency, those of dictionaries in an
order that has nothing to do with the alphabet.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from simplemma.strategies.dictionaries import DefaultDictionaryFactory
from wordfreq import top_n_list

from benchmarks.quality.rows import clean_word, shuffle_words
from benchmarks.quality.sources import ASPELL, HUNSPELL, SIMPLEMMA, WORDFREQ, lingua_crate

_MOST_FREQUENT = 150_000
_PYTHON_ENCODINGS = {"microsoft-cp1251": "cp1251"}


def list_words(raw: Path, language: str) -> Sequence[str]:
    """Return the words of a language that any of the sources has, each once."""
    if language in WORDFREQ:
        words: Sequence[str] = top_n_list(WORDFREQ[language], _MOST_FREQUENT)
    elif language in SIMPLEMMA:
        words = shuffle_words(DefaultDictionaryFactory().get_dictionary(SIMPLEMMA[language]))
    elif language in HUNSPELL:
        words = shuffle_words(_read_hunspell(raw, HUNSPELL[language]))
    else:
        words = shuffle_words(_read_aspell(raw, ASPELL[language]))
    return list(dict.fromkeys(filter(None, map(clean_word, words))))


def list_test_words(raw: Path, language: str) -> set[str]:
    """Return the words that Lingua, a language detector, is tested with."""
    vendored = raw / "lingua/vendor" / lingua_crate(language)
    lines = (vendored / "testdata/single-words.txt").read_text(encoding="utf-8").splitlines()
    return set(filter(None, map(clean_word, lines)))


def _read_hunspell(raw: Path, name: str) -> Iterator[str]:
    """Yield the stems of a dictionary, which is UTF-8 or in the encoding that its rules name."""
    directory = raw / "debian/usr/share/hunspell"
    data = (directory / f"{name}.dic").read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        rules = (directory / f"{name}.aff").read_text(encoding="latin-1")
        named = re.findall(r"^SET\s+(\S+)", rules, re.MULTILINE)[0]
        text = data.decode(_PYTHON_ENCODINGS.get(named, named))
    for line in text.splitlines()[1:]:
        yield re.split(r"[/\t ]", line)[0]


def _read_aspell(raw: Path, name: str) -> list[str]:
    """Return the words of a list compressed twice: by gzip, and by their common beginnings."""
    usr = raw / "debian/usr"
    unpacked = subprocess.run(
        ["zcat", usr / f"share/aspell/{name}.cwl.gz"], stdout=subprocess.PIPE, check=True
    )
    words = subprocess.run(
        [usr / "bin/prezip-bin", "-d"], input=unpacked.stdout, stdout=subprocess.PIPE, check=True
    )
    return words.stdout.decode().splitlines()
