"""Files on any of Beam's file systems: local paths and object stores.

TensorFlow reads and writes local paths, and only the object stores that it was built for. So what
it reads is fetched through Beam, and what it wrote is copied to its place.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError, UsageError
from charseq.files import FileDigest, check_name, digest_stream, encode_text, literal_path
from pipeline.runtime import s3


def is_local(path: str) -> bool:
    """Return whether `path` is on this machine's own file system."""
    return FileSystems.get_scheme(path) is None


def check_store(path: str) -> None:
    """Check that the store of `path`, a file, directory or glob, answers.

    Beam itself takes a missing bucket for an empty one, and without credentials repeats for ten
    minutes requests that cannot succeed.

    Raises:
        UsageError: Beam has no such file system.
        DataError: the store cannot be reached, or refuses.
    """
    try:
        FileSystems.get_filesystem(path)
    except ValueError as error:
        raise UsageError(f"{path}: {_explain_scheme(path, error)}") from error
    check = {"s3": s3.check_bucket, "gs": _check_gs_bucket}.get(FileSystems.get_scheme(path) or "")
    if check:
        check(re.split(r"[*?\[]", path)[0])


def _explain_scheme(path: str, error: ValueError) -> str:
    """Return why Beam has no file system for a path, and what to do."""
    scheme = FileSystems.get_scheme(path)
    if scheme in ("s3", "gs"):
        return str(error)  # It says which extra of Beam to install.
    return (
        f"there is no file system for {scheme}://, only local paths, s3:// and gs://; fetch or "
        "copy the files to one of these"
    )


def _check_gs_bucket(path: str) -> None:
    from apache_beam.io.gcp.gcsio import parse_gcs_path
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        bucket, prefix = parse_gcs_path(path, object_optional=True)
        client = FileSystems.get_filesystem(path)._gcsIO().client
        next(iter(client.list_blobs(bucket, prefix=prefix, max_results=1)), None)
    except (GoogleAPIError, GoogleAuthError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error


class _DurableFile(io.FileIO):
    """A local file that is on the disk once it is closed."""

    def close(self) -> None:
        """Wait for the disk, and close the file."""
        try:
            if not self.closed:
                os.fsync(self.fileno())
        finally:
            super().close()


def create(path: str) -> BinaryIO:
    """Return a stream that writes the file `path`, uncompressed whatever its name.

    Once it is closed, the content is on the disk or in the store.
    """
    if is_local(path):
        make_parent(path)
        return io.BufferedWriter(_DurableFile(path, "w"))
    if FileSystems.get_scheme(path) == "s3":
        return s3.create(path)
    return FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED)  # type: ignore[no-any-return]


def open_file(path: str) -> BinaryIO:
    """Return a stream that reads the bytes of the file `path`, compressed or not."""
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)  # type: ignore[no-any-return]


def write_text(path: str, text: str) -> str:
    """Write the UTF-8 file `path`, and return the path."""
    with create(path) as file:
        file.write(encode_text(text))
    return path


def digest_file(path: str, name: str) -> FileDigest:
    """Return size and SHA-256 of the file `path`, under the name `name`."""
    with open_file(path) as file:
        return digest_stream(file, name)


def list_tree(directory: str) -> list[str]:
    """Return the paths of all files below `directory`; none where it does not exist.

    `directory` is a name, never a pattern: `FileSystems.match` would take brackets for one.
    """
    prefix = f"{directory.rstrip('/')}/"
    return [file.path for file in FileSystems.get_filesystem(directory)._list(prefix)]


def delete_files(paths: Sequence[str]) -> None:
    """Delete those of some files that exist; all are on one file system.

    Their paths are names, never patterns. Beam's own `delete` matches local paths and those of
    gs:// as patterns: `run[1]/a` is `run1/a`.

    Raises:
        OSError: a file cannot be deleted.
    """
    scheme = FileSystems.get_scheme(paths[0]) if paths else None
    if scheme is None:
        for path in paths:
            with suppress(FileNotFoundError):
                os.remove(path)
    elif scheme == "gs":
        for path, error in FileSystems.get_filesystem(paths[0])._gcsIO().delete_batch(paths):
            if error:
                raise OSError(f"{path}: cannot be deleted: {error}")
    elif existing := [path for path in paths if FileSystems.exists(path)]:
        FileSystems.delete(existing)


def copy_tree(source: str, target: str) -> str:
    """Copy each file below `source` to its place below `target`, and return `target`.

    The two may be on different file systems. Hidden files are left out: TensorFlow Transform keeps
    its notes on a graph there. So are the empty objects that mark directories in a bucket.

    Raises:
        DataError: the key of a bucket would leave `target`, as `a/../../b` does.
    """
    for path in list_tree(source):
        name = path[len(source.rstrip("/")) + 1 :]
        if not name.endswith("/") and "/." not in f"/{check_name(name, source)}":
            copy_file(path, f"{target}/{name}")
    return target


def copy_file(source: str, target: str) -> None:
    """Copy a file, also to another file system."""
    make_parent(target)
    with open_file(source) as original, create(target) as copy:
        shutil.copyfileobj(original, copy)


def make_parent(path: str) -> None:
    """Create the directory of the file `path`, where the file system has directories at all."""
    parent = FileSystems.split(path)[0]
    if is_local(path):
        os.makedirs(parent, exist_ok=True)
    elif FileSystems.get_filesystem(path).has_dirs() and not FileSystems.exists(parent):
        FileSystems.mkdirs(parent)


def remove_tree(directory: str) -> None:
    """Remove `directory` and all below it, if it exists."""
    if is_local(directory):
        # Another run may be removing it as well.
        while os.path.lexists(directory):
            with suppress(FileNotFoundError):
                shutil.rmtree(directory)
    elif files := list_tree(directory):
        delete_files(files)


@contextmanager
def local_file(path: str) -> Iterator[str]:
    """Yield a local path of the file `path`: its own, or that of a copy removed after the block.

    TensorFlow can read it whatever the name of its directory is.
    """
    if is_local(path):
        with local_tree(os.path.dirname(os.path.abspath(path))) as directory:
            yield os.path.join(directory, os.path.basename(path))
        return
    with tempfile.NamedTemporaryFile() as copy:
        with open_file(path) as original:
            shutil.copyfileobj(original, copy)
        copy.flush()
        yield copy.name


@contextmanager
def local_tree(directory: str) -> Iterator[str]:
    """Yield a local path of `directory`: its own, or that of a copy removed after the block.

    TensorFlow can read it whatever its name is.
    """
    if is_local(directory):
        yield literal_path(directory)
        return
    with tempfile.TemporaryDirectory() as copy:
        yield copy_tree(directory, copy)
