"""Local files: written whole and durably, hashed in pieces, in directories with one writer."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO

from charseq.errors import DataError

_CHUNK_BYTES = 1 << 20
# File systems whose locks other machines may not see.
_LOCKED_ON_THIS_MACHINE = ("fuse", "9p", "virtiofs")
# The error numbers of file systems that cannot lock a directory; NFS gives the first.
_NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
# What TensorFlow takes as a pattern, and (as Python holds it) what is not UTF-8.
_PATTERN = re.compile(r"[*?\[\]\\\ud800-\udfff]")
_LINK = "directory"
# The error numbers of file systems that cannot sync a directory.
_NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class FileDigest:
    """A file by its path relative to a directory, its size in bytes and its SHA-256."""

    path: str
    bytes: int
    sha256: str


def digest_stream(stream: BinaryIO, path: str) -> FileDigest:
    """Return the digest of all that `stream` holds, under the name `path`.

    The stream is read in pieces of 1 MiB, so that a large file does not fill the memory.
    """
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    return FileDigest(path, size, digest.hexdigest())


def sha256_of_file(path: str) -> str:
    """Return the SHA-256 of a file, as `sha256sum` prints it."""
    with open(path, "rb") as file:
        return digest_stream(file, path).sha256


def sha256_of_json(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a JSON object in canonical form: keys sorted, ASCII, no spaces."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def seal(content: Mapping[str, Any], key: str) -> str:
    """Return the SHA-256 of a JSON object without `key`, the key under which it is kept."""
    return sha256_of_json({name: value for name, value in content.items() if name != key})


def to_json_text(content: Any) -> str:
    """Return the text of a JSON file: indented by one space, with a newline at its end.

    Raises:
        ValueError: a number is not finite, which JSON has no form for.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    return encode_text(text).decode("utf-8") + "\n"


def encode_text(text: str) -> bytes:
    r"""Return a text as UTF-8; a byte of a file name that is not UTF-8, as F1, becomes \udcf1.

    In a string of JSON that is an escape, which is read back as the same name.
    """
    return text.encode("utf-8", "backslashreplace")


def write_json(path: str, content: Any) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, to_json_text(content))


def write_text(path: str, text: str) -> None:
    """Write a UTF-8 file whole or not at all, as `whole_file` does."""
    with whole_file(path) as file:
        file.write(encode_text(text))


@contextmanager
def whole_file(path: str) -> Iterator[BinaryIO]:
    """Open a file to be written whole or not at all; nothing is left of it if the block fails.

    It appears under its name by a rename once it is on the disk, and then its name is, too. Until
    then it is `path` with `.tmp`, a new file: what was there under that name, such as a link, is
    neither followed nor written to.
    """
    unfinished = f"{path}.tmp"
    with suppress(FileNotFoundError):
        os.remove(unfinished)
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except Exception:
        with suppress(FileNotFoundError):
            os.remove(unfinished)
        raise
    sync(os.path.dirname(path) or ".")


def check_name(name: str, where: str) -> str:
    """Return `name`, the path of a file relative to a directory, with slashes.

    Names come from outside: from a manifest, or as the keys of a bucket.

    Raises:
        DataError: it would not stay in the directory, or is not one spelling of its file; `where`
            says in the message what holds the name.
    """
    if "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise DataError(
            f"{where} names the file {name!r}, expected a path that stays in the directory; it may "
            "be damaged or forged"
        )
    return name


def read_json(path: str) -> Any:
    """Read a JSON file.

    Raises:
        DataError: it is not JSON.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON: {error}") from error


def read_json_object(path: str) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        DataError: it is not JSON, or holds another value.
    """
    return _require_object(read_json(path), path)


def parse_json(text: str | bytes, path: str) -> Any:
    """Parse the text of the JSON file `path`.

    Raises:
        DataError: it is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON: {error}") from error


def parse_json_object(text: str | bytes, path: str) -> dict[str, Any]:
    """Parse the text of the JSON file `path`, which holds an object.

    Raises:
        DataError: it is not JSON, or holds another value.
    """
    return _require_object(parse_json(text, path), path)


def _require_object(content: Any, path: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise DataError(f"{path}: got {type(content).__name__}, expected a JSON object")
    return content


@contextmanager
def damage_as_data_error(path: str, expected: str) -> Iterator[None]:
    """Turn the error of a block that parses the content of a file into a user-facing one.

    Args:
        path: of the file.
        expected: what it should be, such as "a run.json of a training".

    Raises:
        DataError: a key is missing in the block, or a value is of another kind.
    """
    try:
        yield
    except KeyError as error:
        raise DataError(f"{path}: damaged, or not {expected}: no {error} in it") from error
    except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged, or not {expected}: {error}") from error


def sync(path: str) -> None:
    """Wait until the content of a file, or the names in a directory, are on the disk.

    Some file systems, such as mounted buckets, cannot sync a directory: it is left to them.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC or not os.path.isdir(path):
            raise
    finally:
        os.close(descriptor)


def sync_tree(directory: str) -> None:
    """Wait until all files below a directory, and all names in it, are on the disk."""
    for folder, _, names in os.walk(directory):
        for name in (*names, "."):
            sync(os.path.join(folder, name))


def is_literal(path: str) -> bool:
    """Return whether TensorFlow takes a path for a name, see `literal_path`."""
    return not _PATTERN.search(path)


def literal_path(directory: str) -> str:
    """Return another name of a directory for TensorFlow, if it would misread the given one.

    Where a checkpoint or a SavedModel is loaded or saved, TensorFlow takes brackets, stars,
    question marks and backslashes in its path as a pattern, and it refuses a path that is not
    UTF-8. The other name is a link in a temporary directory, which stays as long as the process:
    what was loaded may still read files of it.
    """
    if is_literal(directory):
        return directory
    return os.path.join(_directory_of_link(os.path.abspath(directory)).name, _LINK)


@cache
def _directory_of_link(directory: str) -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="charseq-")
    os.symlink(directory, os.path.join(folder.name, _LINK))
    return folder


@contextmanager
def directory_lock(directory: str) -> Iterator[bool]:
    """Create a directory and keep other runs out of it while the block runs.

    The directory itself is locked: a lock file would have to stay in it. On a file system that
    cannot lock a directory, no run is kept out. Yield whether runs on all machines are.

    Raises:
        DataError: another run holds the lock, or the directory cannot be created.
    """
    try:
        os.makedirs(directory, exist_ok=True)
    except FileExistsError as error:
        raise DataError(f"{directory}: is a file, expected a directory") from error
    except OSError as error:
        raise DataError(f"{directory}: cannot be made: {error.strerror}") from error
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        locked = try_lock(descriptor)
        if locked is None:
            raise DataError(
                f"{directory}: another run is writing there; let it end, or choose another --output"
            )
        yield locked and not _locks_this_machine_only(directory)
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool | None:
    """Lock an open file or directory.

    Returns:
        True: it is locked. False: its file system has no locks. None: another process holds it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


def _locks_this_machine_only(directory: str) -> bool:
    """Return whether the kernel may lock a directory without asking the machine that holds it."""
    device = os.stat(directory).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
        for mount in mounts:
            # ID PARENT MAJOR:MINOR ROOT MOUNT_POINT OPTIONS [OPTIONAL…] - TYPE SOURCE …
            fields, _, described = mount.partition(" - ")
            if fields.split()[2] == number:
                return described.startswith(_LOCKED_ON_THIS_MACHINE)
    return False
