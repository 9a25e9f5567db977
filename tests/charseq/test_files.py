"""Files that appear whole, their hashes, and directories with one writer."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from pathlib import Path

import pytest

from charseq.errors import DataError
from charseq.files import (
    FileDigest,
    check_name,
    digest_stream,
    directory_lock,
    literal_path,
    read_json,
    read_json_object,
    seal,
    sha256_of_file,
    sha256_of_json,
    sync,
    sync_tree,
    whole_file,
    write_json,
    write_text,
)

pytestmark = pytest.mark.unit


def test_a_stream_is_hashed_in_pieces(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    digest = hashlib.sha256(data).hexdigest()
    assert digest_stream(io.BytesIO(data), "a/b") == FileDigest("a/b", 2_560_000, digest)
    (tmp_path / "file").write_bytes(data)
    assert sha256_of_file(str(tmp_path / "file")) == digest


def test_the_hash_of_json_does_not_depend_on_the_order_of_keys() -> None:
    expected = hashlib.sha256(b'{"a":1,"b":"\\u00e9"}').hexdigest()
    assert sha256_of_json({"b": "é", "a": 1}) == expected
    assert seal({"b": "é", "sha256": "old", "a": 1}, "sha256") == expected


def test_a_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    write_json(str(path), {"é": [1]})
    assert path.read_text(encoding="utf-8") == '{\n "é": [\n  1\n ]\n}\n'

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("charseq.files.os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_text(str(path), "half")
    assert read_json(str(path)) == {"é": [1]}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_has_no_form_for_is_never_written(tmp_path: Path, number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(str(tmp_path / "file.json"), {"epochs": [{"loss": number}]})
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_on_the_disk_before_its_name_and_its_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        calls.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")
        fsync(descriptor)

    def renamed(old: str, new: str) -> None:
        calls.append(f"rename {Path(new).name}")
        replace(old, new)

    monkeypatch.setattr("charseq.files.os.fsync", synced)
    monkeypatch.setattr("charseq.files.os.replace", renamed)
    with whole_file(str(tmp_path / "weights")) as file:
        file.write(b"\0\xff")
    assert calls == ["sync weights.tmp", "rename weights", f"sync {tmp_path.name}"]
    assert (tmp_path / "weights").read_bytes() == b"\0\xff"


def test_a_link_at_the_temporary_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "file.tmp").symlink_to(tmp_path / "precious")
    write_text(str(tmp_path / "file"), "new")
    assert (tmp_path / "precious").read_text() == "kept"
    assert (tmp_path / "file").read_text() == "new"
    assert not (tmp_path / "file").is_symlink()


def test_nothing_is_left_of_a_file_that_could_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError), whole_file(str(tmp_path / "file")) as file:
        file.write("no bytes")  # type: ignore[call-overload]
    assert list(tmp_path.iterdir()) == []


def test_every_file_and_directory_of_a_tree_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("")
    synced: list[str] = []
    monkeypatch.setattr("charseq.files.sync", lambda path: synced.append(os.path.normpath(path)))
    sync_tree(str(tmp_path))
    expected = [tmp_path / "a" / "b" / "file", tmp_path / "a" / "b", tmp_path / "a", tmp_path]
    assert sorted(synced) == sorted(map(str, expected))


def test_a_file_system_that_cannot_sync_a_directory_is_left_to_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")

    def fail(_: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("charseq.files.os.fsync", fail)
    sync(str(tmp_path))
    with pytest.raises(OSError, match="Invalid argument"):
        sync(str(tmp_path / "file"))


@pytest.mark.parametrize("name", ["run [1]", "a*b", "what?", "back\\slash", "latin-\udce9"])
def test_a_directory_has_a_name_without_patterns(tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.mkdir()
    plain = literal_path(str(directory))
    assert name not in plain
    Path(plain, "file").write_text("text")
    assert (directory / "file").read_text() == "text"


def test_a_plain_name_stays() -> None:
    assert literal_path("runs/größe {1}, é") == "runs/größe {1}, é"


def test_json_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text("{")
    with pytest.raises(DataError, match=r"file\.json: not JSON"):
        read_json(str(path))


def test_a_directory_has_one_writer(tmp_path: Path) -> None:
    directory = str(tmp_path / "new" / "output")
    with (
        directory_lock(directory),
        pytest.raises(DataError, match="another run is writing there"),
        directory_lock(directory),
    ):
        pass
    with directory_lock(directory):
        pass


def test_a_directory_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DataError, match="file/output: cannot be made"),
        directory_lock(str(tmp_path / "file" / "output")),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "some.json: not JSON: "),
        ("[" * 100_000, "some.json: not JSON: "),
        ("[]", "some.json: got list, expected a JSON object"),
    ],
)
def test_a_file_that_holds_no_json_object_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "some.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_json_object(str(path))


@pytest.mark.parametrize(
    "name", ["a/../../x", "..", "/etc/passwd", "a//b", "./a", "a/", "", "a/./b", "a\0b"]
)
def test_a_name_that_leaves_its_directory_is_refused(name: str) -> None:
    with pytest.raises(
        DataError, match=r"s3://bucket/data names the file .*, expected a path that"
    ):
        check_name(name, "s3://bucket/data")


@pytest.mark.parametrize("name", ["a", "a/..b", "train/part-00000-of-00001.tfrecord", "a b/é[1]"])
def test_a_name_that_stays_in_its_directory_is_returned(name: str) -> None:
    assert check_name(name, "data") == name
