"""The errors that a user can cause, and the end of a run that was asked to stop."""

from __future__ import annotations

import os


class UsageError(Exception):
    """The command line is wrong: exit status 2."""


class DataError(Exception):
    """The command line is right, but what it names cannot be used: exit status 1."""


class MismatchError(DataError):
    """The input can be read, but does not fit the model or the alphabet: exit status 3."""


class LostWorkerError(DataError):
    """Another worker of a training is lost, and all are to be started again: exit status 75."""


class Preempted(Exception):  # noqa: N818 - not an error
    """SIGTERM came, and the work done so far is saved: exit status 143."""


class UselessResult(Exception):  # noqa: N818 - the command did its work
    """All was done as requested, but what came of it is of no use: exit status 3."""


class ChangedData(Exception):  # noqa: N818 - the command did its work
    """All was compared as requested, and a change is beyond its limit: exit status 4."""


def describe_os_error(error: OSError) -> str:
    """Return what the system refused, as `rows.csv: Is a directory`."""
    if error.strerror is None:
        return str(error)
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if name]
    return ": ".join([*([" to ".join(names)] if names else []), error.strerror])
