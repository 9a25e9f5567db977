"""Options that take addresses of object stores, and those that take only local paths."""

from __future__ import annotations

from collections.abc import Iterable

from charseq.errors import UsageError
from charseq.flags import check_encoding
from charseq.stores.addresses import is_address


def check_data(paths: Iterable[str]) -> None:
    """Check the values of `--data`.

    Raises:
        UsageError: one means something else to TensorFlow.
    """
    for path in paths:
        check_encoding("--data", path, is_path=True)


def check_local(flag: str, path: str) -> None:
    """Check that `path`, the value of `flag`, is on this machine's file system.

    Raises:
        UsageError: it is an address.
    """
    if is_address(path):
        raise UsageError(
            f"{flag}: got {path!r}, expected a local directory; a mounted bucket will do"
        )
