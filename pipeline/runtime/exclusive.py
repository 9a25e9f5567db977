"""Files that only one of several runs can create, on disks without locks and in object stores."""

from __future__ import annotations

import errno
import os
from typing import Any

from apache_beam.io.filesystems import FileSystems

from charseq.files import sync
from pipeline.runtime import s3
from pipeline.runtime.filesystems import is_local, write_text

# The error numbers of file systems that have no hard links.
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK)


def create_exclusively(path: str, text: str, unfinished: str) -> bool:
    """Create the UTF-8 file `path`, whole and durably, unless it exists; return whether it did.

    Of several callers at once, one creates it: by a hard link on a disk, by a condition of the
    request in S3 and in Google Cloud Storage. Beam's other file systems have no such operation;
    there two callers that meet within milliseconds may both create it.

    Args:
        path: the file.
        text: its content.
        unfinished: the path of a temporary file of this caller alone, on the same disk.
    """
    if is_local(path):
        return _create_on_disk(path, text, unfinished)
    scheme = FileSystems.get_scheme(path)
    if scheme == "s3":
        return s3.create_exclusively(path, text.encode("utf-8"))
    if scheme == "gs":
        client = FileSystems.get_filesystem(path)._gcsIO().client
        return create_gs_object(client, path, text)
    if FileSystems.exists(path):
        return False
    write_text(path, text)
    return True


def _create_on_disk(path: str, text: str, unfinished: str) -> bool:
    # Not `create`: that is for files that are written once.
    with open(unfinished, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        created = _link(unfinished, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        created = _create_in_place(path, text)
    os.remove(unfinished)
    sync(os.path.dirname(path))
    return created


def _link(source: str, path: str) -> bool:
    """Give a file a second name unless that is taken; return whether it has it.

    Over NFS the answer to a link that was made may be lost, and the repeated request then fails.
    So the number of names of the file decides.
    """
    try:
        os.link(source, path)
    except FileExistsError:
        return os.stat(source).st_nlink == 2
    return True


def _create_in_place(path: str, text: str) -> bool:
    try:
        with open(path, "x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    return True


def create_gs_object(client: Any, path: str, text: str) -> bool:
    """Create an object of Google Cloud Storage unless it exists; return whether this call did.

    Args:
        client: a `google.cloud.storage.Client`.
        path: the address of the object.
        text: its content.
    """
    from google.api_core.exceptions import PreconditionFailed

    bucket, _, name = path.removeprefix("gs://").partition("/")
    try:
        # Generation 0: the object does not exist.
        client.bucket(bucket).blob(name).upload_from_string(text, if_generation_match=0)
    except PreconditionFailed:
        return False
    return True
