"""`owner.json`: which process writes to a directory, also where locks do not say so.

On a mounted bucket or a network file system, a lock may hold on one machine only, or not at all. So
the process that writes to a directory leaves its name there and renews it. A name that is not
renewed any more is taken over; a process that was only held up finds that out before it saves
anything, and stops.

The age of a name is measured by the clock of the file system, which all machines share.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass

from charseq.errors import DataError
from charseq.files import damage_as_data_error, read_json_object, whole_file

OWNER_FILE = "owner.json"
# The file, and what a process that was killed while it wrote it leaves.
OWNER_NAMES = re.compile(r"owner\.json(\.[0-9a-f]{32}(\.tmp)?)?")
RENEWED_AFTER_SECONDS = 30.0
TAKEN_OVER_AFTER_SECONDS = 120.0
_SECONDS_BETWEEN_LOOKS = 1.0
# States of a process that has ended: a zombie, or dead.
_ENDED = "ZX"


@dataclass(frozen=True)
class Owner:
    """A process.

    id: a random number, of its claim. boot, pid_namespace: where its pid counts. started: when the
    process began, in ticks since the boot; another one may get its pid.
    """

    id: str
    host: str
    boot: str
    pid_namespace: str
    pid: int
    started: int


class Ownership:
    """The right of this process to write to a directory, until another takes it over."""

    def __init__(self, directory: str, owner: Owner) -> None:
        self._directory = directory
        self._path = os.path.join(directory, OWNER_FILE)
        self._owner = owner

    def check(self) -> None:
        """Check that the directory still belongs to this process.

        Raises:
            DataError: another process has taken it over.
        """
        owner = read_owner(self._path)
        if owner is None:  # Somebody removed the file, or is just about to take over.
            owner = self._owner if _create(self._path, self._owner) else read_owner(self._path)
        if owner != self._owner:
            by = f"process {owner.pid} on {owner.host}" if owner else "another process"
            raise DataError(
                f"{self._directory}: {by} has taken it over, as this one was not heard of for "
                f"{TAKEN_OVER_AFTER_SECONDS / 60:g} minutes; this one ends and saves nothing"
            )

    def renew_until(self, stop: threading.Event) -> None:
        """Renew the name from time to time, as long as it is there."""
        while not stop.wait(RENEWED_AFTER_SECONDS):
            # A file system that fails now may work the next time; `check` reports what lasts.
            with suppress(OSError, DataError):
                if read_owner(self._path) == self._owner:
                    os.utime(self._path)

    def release(self) -> None:
        """Remove the name, if it is still that of this process."""
        with suppress(OSError, DataError):
            if read_owner(self._path) == self._owner:
                os.remove(self._path)


@contextmanager
def owned_directory(directory: str, *, locked: bool, wait: bool = False) -> Iterator[Ownership]:
    """Write to a directory as its only owner while the block runs.

    Args:
        directory: exists.
        locked: whether this process holds a lock on it.
        wait: for an owner to end, or to be not renewed for two minutes; else it is an error.

    Raises:
        DataError: it has another owner, who may still be alive.
    """
    owner = _this_process()
    while other := _claim(directory, owner, locked):
        if not wait:
            raise DataError(
                f"{directory}: another run is writing there, process {other.pid} on {other.host}; "
                "let it end, or choose another --output. If it was killed, give the command again "
                f"in {TAKEN_OVER_AFTER_SECONDS / 60:g} minutes"
            )
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    _remove_left_over(directory)
    ownership, stop = Ownership(directory, owner), threading.Event()
    renewal = threading.Thread(target=ownership.renew_until, args=(stop,), daemon=True)
    renewal.start()
    try:
        yield ownership
    finally:
        stop.set()
        renewal.join()
        ownership.release()


def read_owner(path: str) -> Owner | None:
    """Read an `owner.json`; None if there is none.

    Raises:
        DataError: it is not one.
    """
    try:
        content = read_json_object(path)
    except FileNotFoundError:
        return None
    with damage_as_data_error(path, "an owner.json of a training or a promotion"):
        return Owner(**content)


def _claim(directory: str, owner: Owner, locked: bool) -> Owner | None:
    """Make `owner` the owner of a directory.

    Returns:
        Another owner, who may still be alive; None if the directory is claimed.
    """
    path = os.path.join(directory, OWNER_FILE)
    if _create(path, owner):
        return None
    with _written(path, owner) as new:
        other = read_owner(path)
        if other and not _is_dead(other, owner, locked):
            age = _age(path, new)
            if age < TAKEN_OVER_AFTER_SECONDS:
                return other
            print(
                f"note: {directory} belonged to process {other.pid} on {other.host}, not heard of "
                f"for {age:.0f} seconds: taken over",
                file=sys.stderr,
            )
        os.replace(new, path)
    return None


def _age(path: str, new: str) -> float:
    """Return how many seconds `path` is older than `new`; 0 if one of them is just being replaced.

    The owner may remove `new`, for what a killed process left.
    """
    try:
        return os.stat(new).st_mtime - os.stat(path).st_mtime
    except FileNotFoundError:
        return 0.0


def _remove_left_over(directory: str) -> None:
    """Remove what processes that were killed while they claimed a directory left in it."""
    for name in os.listdir(directory):
        if OWNER_NAMES.fullmatch(name) and name != OWNER_FILE:
            with suppress(FileNotFoundError):
                os.remove(os.path.join(directory, name))


def _create(path: str, owner: Owner) -> bool:
    """Write an `owner.json`, whole, unless there is one; return whether it was written."""
    with _written(path, owner) as new:
        try:
            os.link(new, path)
        except FileExistsError:
            return False
        except OSError:  # A file system without links.
            if os.path.exists(path):
                return False
            os.replace(new, path)
    return True


@contextmanager
def _written(path: str, owner: Owner) -> Iterator[str]:
    """Write an owner beside `path` and yield where; the file is removed, if it is still there."""
    new = f"{path}.{owner.id}"
    with whole_file(new) as file:
        file.write(json.dumps(asdict(owner)).encode())
    try:
        yield new
    finally:
        with suppress(FileNotFoundError):
            os.remove(new)


def _is_dead(other: Owner, here: Owner, locked: bool) -> bool:
    """Return whether an owner is known to have ended; of another machine that is not known.

    A container that starts again has the name of the one before it, but its processes have numbers
    of their own: there, a lock that is held here tells that no other process holds it.
    """
    if (other.host, other.boot) != (here.host, here.boot):
        return False
    if other.pid_namespace != here.pid_namespace:
        return locked
    return not _is_running(other)


def _is_running(owner: Owner) -> bool:
    """Return whether a process of this machine, and of this container, is running."""
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # Of another user, who may hide more.
        return True
    try:
        state, started = _process_status(owner.pid)
    except FileNotFoundError:  # It has ended just now.
        return False
    return state not in _ENDED and started == owner.started


def _process_status(pid: int) -> tuple[str, int]:
    """Return the state of a process, a letter, and when it began (see proc_pid_stat(5))."""
    # The name before the bracket may hold anything, also brackets.
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[0], int(fields[19])


def _this_process() -> Owner:
    return Owner(
        id=uuid.uuid4().hex,
        host=socket.gethostname(),
        boot=_read("/proc/sys/kernel/random/boot_id").strip(),
        pid_namespace=os.readlink("/proc/self/ns/pid"),
        pid=os.getpid(),
        started=_process_status(os.getpid())[1],
    )


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
