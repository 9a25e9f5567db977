"""The patterns of `--input`: what they match, and in what time."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from apache_beam.io.filesystem import FileSystem
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import UsageError
from pipeline.runtime.globs import _matches, match_files

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
        ("below/", ["below/a.csv"]),
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
    assert match_files(f"{tmp_path}/{pattern}") == sizes
    monkeypatch.chdir(tmp_path)
    assert sorted(map(Path, match_files(pattern))) == sorted(map(Path, expected))


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
        assert match_files(f"{tmp_path}/{'a*' * 40}b.csv") == {}


def test_what_is_no_pattern_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(UsageError, match=r"--input '.*\[z-a\]': not a pattern: "):
        match_files(f"{tmp_path}/[z-a]")
