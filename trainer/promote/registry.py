"""A directory of promoted models, as TensorFlow Serving loads it, and which of them is current.

    models.config   which is current: TensorFlow Serving's own configuration, replaced by a rename
    1/ 2/ …         a SavedModel each; appears whole, by a rename; a number is never used again
    .lock           held by whoever promotes or rolls back

What changes a registry holds the lock, on a local file system: `flock`. A process that is killed
leaves at most `.new`, `.removed-N`, or a version that is whole but never became current.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from charseq.errors import DataError
from trainer.promote.lineage import ENTRY_FILE, EXTRA, read_part

POINTER_FILE = "models.config"
_LOCK = ".lock"
_NEW = ".new"
_REMOVED = ".removed-"
_OURS = re.compile(rf"\d+|\.lock|\.new|\.removed-\d+|{re.escape(POINTER_FILE)}(\.tmp)?")
_NUMBER = re.compile("[1-9][0-9]*")
_CURRENT = re.compile(r"\bversions: *(\d+)")
_NEWEST = re.compile(r"^# newest: *(\d+) *$", re.MULTILINE)
_POINTER = """\
# Which model is current, for TensorFlow Serving's --model_config_file, kept by trainer.promote.
# Name and path are yours to change, numbers are not: python -m trainer.promote --rollback NUMBER.
# newest: 0
model_config_list {
  config {
    name: "charseq"
    base_path: BASE_PATH
    model_platform: "tensorflow"
    model_version_policy { specific { versions: 0 } }
  }
}
"""


@dataclass(frozen=True)
class Pointer:
    """Which version is current, and the highest that ever could have been; 0 if there is none.

    A version above `newest` is whole, but whoever promoted it was killed before it became current.
    """

    current: int
    newest: int


class Registry:
    """The versions in a directory. What changes them is to be called in `locked`."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def path(self, name: str | int) -> str:
        """The path of a version, by number, or of a file."""
        return os.path.join(self.directory, str(name))

    def numbers(self) -> list[int]:
        """The versions that are there, ascending."""
        names = os.listdir(self.directory)
        return sorted(int(name) for name in names if _NUMBER.fullmatch(name))

    def entry(self, number: int) -> dict[str, Any]:
        """What is known of a version.

        Raises:
            DataError: there is no such version, or it is not one of a registry.
        """
        if not os.path.isdir(self.path(number)):
            held = ", ".join(map(str, self.numbers())) or "no version"
            raise DataError(f"{self.path(number)}: no such version; {self.directory} holds {held}")
        entry = read_part(self.path(number), ENTRY_FILE)
        if entry.get("number") != number:
            raise DataError(
                f"{self.path(number)}: its {ENTRY_FILE} is of version {entry.get('number')}"
            )
        return entry

    def require(self) -> None:
        """Look whether it is there.

        Raises:
            DataError: it is not.
        """
        if not os.path.exists(self.path(POINTER_FILE)):
            raise DataError(f"{self.directory} holds no {POINTER_FILE}: not a registry, or empty")

    def pointer(self) -> Pointer:
        """Which version is current.

        Raises:
            DataError: the file was changed so that it cannot be told.
        """
        text = self._pointer_text()
        current, newest = _CURRENT.findall(text), _NEWEST.findall(text)
        if len(current) != 1 or len(newest) != 1:
            raise DataError(
                f"{self.path(POINTER_FILE)}: got {len(current)} times 'versions: NUMBER' and "
                f"{len(newest)} lines '# newest: NUMBER', expected one each"
            )
        return Pointer(int(current[0]), int(newest[0]))

    def _pointer_text(self) -> str:
        if not os.path.exists(self.path(POINTER_FILE)):
            base = json.dumps(os.path.abspath(self.directory), ensure_ascii=False)
            return _POINTER.replace("BASE_PATH", base)
        with open(self.path(POINTER_FILE), encoding="utf-8") as file:
            return file.read()

    def point(self, number: int) -> None:
        """Make a version the current one."""
        newest = max(number, self.pointer().newest, *self.numbers())
        text = _CURRENT.sub(f"versions: {number}", self._pointer_text())
        unfinished = self.path(f"{POINTER_FILE}.tmp")
        with open(unfinished, "w", encoding="utf-8") as file:
            file.write(_NEWEST.sub(f"# newest: {newest}", text))
        _sync(unfinished)
        os.replace(unfinished, self.path(POINTER_FILE))
        _sync(self.directory)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Change it in the block, alone; another process waits until the block is left.

        Raises:
            DataError: the directory holds files that are not of a registry.
        """
        os.makedirs(self.directory, exist_ok=True)
        strange = sorted(name for name in os.listdir(self.directory) if not _OURS.fullmatch(name))
        if strange and not os.path.exists(self.path(POINTER_FILE)):
            raise DataError(
                f"{self.directory} holds files that are not of a registry, such as {strange[0]}: "
                "choose another --registry"
            )
        with open(self.path(_LOCK), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"waiting for another process in {self.directory}", file=sys.stderr)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def repair(self) -> int | None:
        """Finish what a killed process began; return the version that became current by it."""
        for name in os.listdir(self.directory):
            if name == _NEW or name.startswith(_REMOVED):
                shutil.rmtree(self.path(name))
        newest = max(self.numbers(), default=0)
        # It has won its comparison, and TensorFlow Serving may have loaded it.
        if newest > self.pointer().newest:
            self.point(newest)
            return newest
        return None

    @contextmanager
    def staged(self, saved_model: str) -> Iterator[str]:
        """A copy of a SavedModel where no server looks, for as long as the block lasts."""
        copy = self.path(_NEW)
        try:
            shutil.copytree(saved_model, copy, copy_function=shutil.copyfile)
            # What another owner keeps there is not of this registry.
            shutil.rmtree(os.path.join(copy, EXTRA), ignore_errors=True)
            yield copy
        finally:
            shutil.rmtree(copy, ignore_errors=True)

    def next_number(self) -> int:
        """The number that the next version gets."""
        return max(self.pointer().newest, *self.numbers(), 0) + 1

    def publish(self, number: int) -> None:
        """Make what is staged a version, whole at once, then the current one."""
        staged = self.path(_NEW)
        for folder, _, names in os.walk(staged):
            for name in (*names, "."):
                _sync(os.path.join(folder, name))
        os.rename(staged, self.path(number))
        _sync(self.directory)
        self.point(number)

    def prune(self, keep: int) -> list[int]:
        """Remove the oldest versions over `keep`, but never the current one or the one before it.

        Returns:
            The numbers of those removed.
        """
        current = self.pointer().current
        needed = {current, self.entry(current)["previous"]}
        numbers = self.numbers()
        removable = [number for number in numbers if number not in needed]
        removed = removable[: max(len(numbers) - keep, 0)]
        for number in removed:
            away = self.path(f"{_REMOVED}{number}")
            os.rename(self.path(number), away)
            shutil.rmtree(away)
        return removed


def _sync(path: str) -> None:
    """Wait until a file, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
