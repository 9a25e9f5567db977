"""An input file is known by its content, and a change while it is read is noticed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

import charseq.files
from charseq.errors import DataError
from pipeline.rows import identity
from pipeline.rows.identity import Identity, check_identities, read_versions
from pipeline.runtime.s3 import share_client
from tests.support.stores import s3_server

ABC = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
NOTHING = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def identify(sizes: dict[str, int]) -> dict[str, Identity]:
    return identity.identify(sizes, read_versions(list(sizes)))


def contents(sizes: dict[str, int]) -> dict[str, str]:
    return {path: found.content for path, found in identify(sizes).items()}


@pytest.mark.unit
def test_a_local_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("abc")
    (tmp_path / "b").write_text("")
    sizes = {str(tmp_path / "a"): 3, str(tmp_path / "b"): 0}
    assert contents(sizes) == {str(tmp_path / "a"): ABC, str(tmp_path / "b"): NOTHING}


@pytest.mark.unit
def test_bytes_are_hashed_in_order_over_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charseq.files, "_CHUNK_BYTES", 2)
    (tmp_path / "a").write_text("abc")
    assert contents({str(tmp_path / "a"): 3}) == {str(tmp_path / "a"): ABC}


@pytest.mark.unit
def test_much_is_known_by_the_time_of_its_last_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "MAX_HASHED_BYTES", 5)
    paths = [str(tmp_path / name) for name in ("a", "b")]
    for path in paths:
        Path(path).write_text("abc")
    os.utime(paths[0], ns=(0, 1_500_000_000_123_456_789))
    os.utime(paths[1], ns=(0, 7))
    assert contents(dict.fromkeys(paths, 3)) == {
        paths[0]: "mtime:1500000000123456789",
        paths[1]: "mtime:7",
    }
    assert contents({paths[0]: 3}) == {paths[0]: ABC}


def cut(path: Path) -> None:
    os.truncate(path, 2)


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write("d")


def rewrite_at_the_same_time(path: Path) -> None:
    before = path.stat()
    path.write_text("abd")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_by_another(path: Path) -> None:
    (path.parent / "other").write_text("abd")
    (path.parent / "other").replace(path)


CHANGES = [cut, append, rewrite_at_the_same_time, replace_by_another, Path.unlink]


@pytest.mark.unit
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_a_file_is_named(tmp_path: Path, change: Callable[[Path], None]) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("abc")
    found = identify({str(tmp_path / name): 3 for name in ("a", "b")})
    check_identities(found)
    change(tmp_path / "b")
    with pytest.raises(DataError, match=rf"^{tmp_path}/b: changed while it was read; nothing was"):
        check_identities(found)


@pytest.mark.unit
def test_what_does_not_change_the_content_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("abc")
    found = identify({str(path): 3})
    path.chmod(0o600)
    os.utime(path)
    (tmp_path / "link").hardlink_to(path)
    (tmp_path / "copy").write_text("abc")
    (tmp_path / "copy").replace(path)
    check_identities(found)


@pytest.mark.unit
def test_a_change_of_size_before_it_was_hashed_is_named(tmp_path: Path) -> None:
    """The size comes from the list of files, which is older."""
    (tmp_path / "a").write_text("abcd")
    with pytest.raises(DataError, match="a: changed while it was read"):
        check_identities(identify({str(tmp_path / "a"): 3}))


@pytest.mark.unit
def test_a_change_of_a_file_that_is_known_by_its_time_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "MAX_HASHED_BYTES", 0)
    (tmp_path / "a").write_text("abc")
    found = identify({str(tmp_path / "a"): 3})
    (tmp_path / "a").chmod(0o600)
    check_identities(found)
    os.utime(tmp_path / "a", ns=(0, 7))
    with pytest.raises(DataError, match="a: changed while it was read"):
        check_identities(found)


@pytest.mark.unit
def test_of_many_changes_five_are_named(tmp_path: Path) -> None:
    for number in range(1_009):
        (tmp_path / f"{number:04}").write_text("abc")
    sizes = {f"{tmp_path}/{number:04}": 2 for number in range(1_009)}
    with pytest.raises(DataError, match=r"0003, .*/0004 and 1,004 more: changed while it was read"):
        check_identities(identify(sizes))


def test_a_change_of_an_object_is_named() -> None:
    with s3_server() as bucket:
        share_client()
        FileSystems.set_options(PipelineOptions(bucket.flags))
        bucket.put("in/a", b"abc")
        found = identify({"s3://bucket/in/a": 3})
        bucket.put("in/a", b"abc")
        check_identities(found)
        bucket.put("in/a", b"abd")
        with pytest.raises(DataError, match="s3://bucket/in/a: changed while it was read"):
            check_identities(found)
        bucket.delete("in/a")
        with pytest.raises(DataError, match="s3://bucket/in/a: changed while it was read"):
            check_identities(found)
