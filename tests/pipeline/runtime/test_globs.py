"""The patterns of `--input`: what they match, and in what time."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from apache_beam.io.filesystem import FileMetadata, FileSystem
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import UsageError
from pipeline.runtime.globs import _choose, _matches, expand_braces, match_files

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.csv", ["a.csv", "b[1].csv"]),
        ("**.csv", ["a.csv", "b[1].csv", "below/a.csv", "below/deep/é.csv"]),
        ("*/?.csv", ["below/a.csv"]),
        ("[!b]*.csv", ["a.csv"]),
        ("b[1].csv", ["b[1].csv"]),
        ("b[[]*", ["b[1].csv"]),
        ("below/", ["below/a.csv", "below/deep/é.csv"]),
        ("below", ["below/a.csv", "below/deep/é.csv"]),
        ("below/deep/?.csv", ["below/deep/é.csv"]),
        ("a.csv", ["a.csv"]),
        ("c.csv", []),
    ],
)
def test_a_pattern_matches_within_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, expected: list[str]
) -> None:
    for name in ("a.csv", "b[1].csv", "below/a.csv", "below/deep/é.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    sizes = {f"{tmp_path}/{name}": len(name.encode()) for name in expected}
    assert match_files(f"{tmp_path}/{pattern}").sizes == sizes
    monkeypatch.chdir(tmp_path)
    assert sorted(map(Path, match_files(pattern).sizes)) == sorted(map(Path, expected))


@pytest.mark.parametrize(
    ("pattern", "taken", "passed_over"),
    [
        ("*", {"a.csv"}, {"._a.csv", "_SUCCESS"}),
        ("**", {"a.csv", "_day=1/b.csv"}, {"._a.csv", "_SUCCESS", "_temporary/0/b.csv"}),
        ("", {"a.csv", "_day=1/b.csv"}, {"._a.csv", "_SUCCESS", "_temporary/0/b.csv"}),
        ("_S*", {"_SUCCESS"}, set()),
        (".*", {"._a.csv"}, set()),
        ("_temporary/**", {"_temporary/0/b.csv"}, set()),
        ("_*/**.csv", {"_day=1/b.csv", "_temporary/0/b.csv"}, set()),
        ("_SUCCESS", {"_SUCCESS"}, set()),
    ],
)
def test_hidden_names_are_passed_over_unless_they_are_named(
    tmp_path: Path, pattern: str, taken: set[str], passed_over: set[str]
) -> None:
    # A hidden name above the pattern does not count.
    folder = tmp_path / "_all"
    for name in ("a.csv", "._a.csv", "_SUCCESS", "_day=1/b.csv", "_temporary/0/b.csv"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    found = match_files(f"{folder}/{pattern}")
    assert {path.removeprefix(f"{folder}/") for path in found.sizes} == taken
    assert {path.removeprefix(f"{folder}/") for path in found.passed_over} == passed_over


def test_marks_of_folders_are_passed_over_if_they_are_empty() -> None:
    files = [
        FileMetadata(f"s3://b/raw/{name}", size)
        for name, size in {"": 0, "x/": 0, "x_$folder$": 0, "y/": 1, "a.csv": 0}.items()
    ]
    found = _choose(files, "s3://b/raw", ())
    assert found.sizes == {"s3://b/raw/y/": 1, "s3://b/raw/a.csv": 0}
    assert found.passed_over == ("s3://b/raw/", "s3://b/raw/x/", "s3://b/raw/x_$folder$")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.csv", ["a.csv"]),
        ("{a,b}.csv", ["a.csv", "b.csv"]),
        ("{,b}c{d,e}", ["cd", "ce", "bcd", "bce"]),
        ("x{a,b{c,d}}", ["xa", "xbc", "xbd"]),
        ("{a}", ["{a}"]),
        ("{a}{b,c}", ["{a}b", "{a}c"]),
        ("{a,b", ["{a,b"]),
        ("a,b}", ["a,b}"]),
    ],
)
def test_braces_are_expanded_as_in_a_shell(pattern: str, expected: list[str]) -> None:
    assert expand_braces(pattern) == expected


def test_too_many_alternatives_are_refused() -> None:
    with pytest.raises(UsageError, match="stands for more than 1,000 patterns"):
        expand_braces("{a,b}" * 40)


@given(
    st.text("*?[]!a-b/.", max_size=8),
    st.lists(st.text("ab-]./\n\udcff", max_size=8), max_size=4),
)
def test_a_pattern_matches_what_beam_would_match(pattern: str, paths: list[str]) -> None:
    try:
        expected = re.compile(FileSystem.translate_pattern(pattern))
    except re.error:
        return
    assert _matches(paths, pattern) == [path for path in paths if expected.match(path)]


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Fail when the block takes longer; Python's own matching never ends, but heeds a signal."""

    def fail(*_: object) -> None:
        pytest.fail(f"not done after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_pattern_of_forty_stars_ends(tmp_path: Path) -> None:
    (tmp_path / f"{'a' * 120}.csv").touch()
    with at_most(seconds=10):
        assert match_files(f"{tmp_path}/{'a*' * 40}b.csv").sizes == {}


def test_what_is_no_pattern_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(UsageError, match=r"--input '.*\[z-a\]': not a pattern: "):
        match_files(f"{tmp_path}/[z-a]")
