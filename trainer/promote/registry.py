"""A directory of promoted models, as TensorFlow Serving loads it, and which of them is current.

    models.config   names the current one: TensorFlow Serving's configuration, replaced by a rename
    1/ 2/ …         a SavedModel each; appears whole, by a rename; a number is never reused
    ledger.jsonl    what was promoted, rolled back and removed (`trainer.promote.ledger`)
    .lock           locked by the process that changes the registry
    owner.json      names that process, where locks do not keep others out

A process that is killed leaves at most `.new`, `.removed-N`, or a whole version that never became
current.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from charseq.errors import DataError
from charseq.files import damage_as_data_error, sync, sync_tree, try_lock, write_text
from charseq.models.saved_model import CURRENT_VERSION, ENTRY_FILE, EXTRA_DIR, POINTER_FILE
from trainer.owner import OWNER_NAMES, owned_directory
from trainer.promote import ledger
from trainer.promote.ledger import LEDGER_FILE, Event
from trainer.promote.lineage import check_no_link, read_model_json

_LOCK = ".lock"
_STAGED = ".new"
_REMOVED = ".removed-"
_FILES = "|".join(map(re.escape, (POINTER_FILE, LEDGER_FILE)))
_KNOWN_NAMES = re.compile(rf"\d+|\.lock|\.new|\.removed-\d+|({_FILES})(\.tmp)?")
_NUMBER = re.compile("[1-9][0-9]*")
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
    """The content of `models.config`, as version numbers; 0 if there is none.

    newest: the highest version when the file was written. A version above it is whole, but the
    process that promoted it was killed before it became current.
    """

    current: int
    newest: int


class Registry:
    """The versions in a directory. Methods that change them are called inside `locked`."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._check_owner: Callable[[], None] = lambda: None

    def path(self, name: str | int) -> str:
        """Return the path of a version, by its number, or of a file."""
        return os.path.join(self.directory, str(name))

    def numbers(self) -> list[int]:
        """Return the numbers of all versions, ascending."""
        names = os.listdir(self.directory)
        return sorted(int(name) for name in names if _NUMBER.fullmatch(name))

    def entry(self, number: int) -> dict[str, Any]:
        """Return the content of a version's `entry.json`.

        Raises:
            DataError: there is no such version, or it is not one of a registry.
        """
        if not os.path.isdir(self.path(number)):
            numbers = ", ".join(map(str, self.numbers())) or "no version"
            raise DataError(
                f"{self.path(number)}: no such version; {self.directory} holds {numbers}"
            )
        entry = read_model_json(self.path(number), ENTRY_FILE)
        path = os.path.join(self.path(number), ENTRY_FILE)
        with damage_as_data_error(path, "the entry of a promoted model"):
            str(entry["saved_model"]["sha256"]), int(entry["previous"] or 0)
        if entry.get("number") != number:
            raise DataError(
                f"{self.path(number)}: its {ENTRY_FILE} is of version {entry.get('number')}"
            )
        return entry

    def require(self) -> None:
        """Check that the registry exists, and that none of its files is a link.

        Raises:
            DataError: it does not, or one is.
        """
        self._check_no_links()
        if not os.path.exists(self.path(POINTER_FILE)):
            raise DataError(f"{self.directory} holds no {POINTER_FILE}: not a registry, or empty")

    def _check_no_links(self) -> None:
        for name in os.listdir(self.directory) if os.path.isdir(self.directory) else ():
            if _is_known(name):
                check_no_link(self.path(name))

    def pointer(self) -> Pointer:
        """Read which version is current.

        Raises:
            DataError: `models.config` was edited so that it does not name exactly one.
        """
        text = self._pointer_text()
        current, newest = CURRENT_VERSION.findall(text), _NEWEST.findall(text)
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
        with (
            open(self.path(POINTER_FILE), encoding="utf-8") as file,
            damage_as_data_error(self.path(POINTER_FILE), "a models.config of a registry"),
        ):
            return file.read()

    def point(self, number: int) -> None:
        """Make a version the current one.

        Raises:
            DataError: another process has taken over the registry.
        """
        self._check_owner()
        newest = max(number, self.pointer().newest, *self.numbers())
        text = CURRENT_VERSION.sub(f"versions: {number}", self._pointer_text())
        write_text(self.path(POINTER_FILE), _NEWEST.sub(f"# newest: {newest}", text))

    def point_back(self, number: int) -> None:
        """Make an earlier version, or a later one again, the current one, and note it.

        Raises:
            DataError: another process has taken over the registry.
        """
        self._check_owner()
        # First the note: a retry of what was gone back from must find it.
        ledger.add_events(self.directory, [ledger.rollback(number, self.pointer().current)])
        self.point(number)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other process change the registry while the block runs; others wait for its end.

        Raises:
            DataError: the directory holds files that are not of a registry, or links.
        """
        os.makedirs(self.directory, exist_ok=True)
        names = sorted(os.listdir(self.directory))
        unknown = [name for name in names if not _is_known(name)]
        if unknown and not os.path.exists(self.path(POINTER_FILE)):
            raise DataError(
                f"{self.directory} holds files that are not of a registry, such as {unknown[0]}: "
                "choose another --registry"
            )
        self._check_no_links()
        with (
            _lock_file(self.path(_LOCK)) as locked,
            owned_directory(self.directory, locked=locked, wait=True) as ownership,
        ):
            self._check_owner = ownership.check
            yield

    def events(self) -> list[Event]:
        """Return the events of the ledger, the oldest first.

        Raises:
            DataError: the ledger is damaged.
        """
        return ledger.read_events(self.directory)

    def update_ledger(self) -> None:
        """Write to the ledger which versions have appeared and disappeared since.

        Raises:
            DataError: the ledger or an entry is damaged.
        """
        self._check_owner()
        events = self.events()
        known = ledger.promotions(events)
        removed = {event["number"] for event in events if event["event"] == ledger.REMOVED}
        here, pointer = self.numbers(), self.pointer()
        more = [ledger.promotion(self.entry(number)) for number in here if number not in known]
        if not events and pointer.current < pointer.newest:
            # Of an earlier version of charseq, which kept no ledger.
            more.append(ledger.rollback(pointer.current, pointer.newest))
        gone = sorted(known.keys() - set(here) - removed)
        ledger.add_events(self.directory, [*more, *map(ledger.removal, gone)])

    def repair(self) -> int | None:
        """Finish what a killed process began.

        Returns:
            The version that became current by it; None if none did.
        """
        for name in os.listdir(self.directory):
            if name == _STAGED or name.startswith(_REMOVED):
                shutil.rmtree(self.path(name))
        newest = max(self.numbers(), default=0)
        # The version won its comparison, and TensorFlow Serving may have loaded it already.
        if newest > self.pointer().newest:
            self.point(newest)
            return newest
        return None

    @contextmanager
    def staged(self, saved_model: str) -> Iterator[str]:
        """Copy a SavedModel to where no server looks, and remove it after the block.

        A copy that was published in the block is no longer there, and stays.

        Yields:
            The path of the copy.
        """
        copy = self.path(_STAGED)
        try:
            # A link stays one, for the check of the copy to find.
            shutil.copytree(saved_model, copy, symlinks=True, copy_function=shutil.copyfile)
            # Files of another owner, such as the entry of another registry.
            shutil.rmtree(os.path.join(copy, EXTRA_DIR), ignore_errors=True)
            yield copy
        finally:
            shutil.rmtree(copy, ignore_errors=True)

    def next_number(self) -> int:
        """Return the number of the next version."""
        return max(self.pointer().newest, *self.numbers(), 0) + 1

    def publish(self, number: int) -> None:
        """Rename the staged copy to a version, whole and durable, and make it the current one."""
        staged = self.path(_STAGED)
        sync_tree(staged)
        self._check_owner()
        os.rename(staged, self.path(number))
        sync(self.directory)
        self.point(number)

    def prune(self, keep: int) -> list[int]:
        """Remove the oldest versions beyond `keep`, but not the current one and its predecessor.

        Returns:
            The numbers of the removed versions.
        """
        current = self.pointer().current
        needed = {current, self.entry(current)["previous"]}
        numbers = self.numbers()
        removable = [number for number in numbers if number not in needed]
        removed = removable[: max(len(numbers) - keep, 0)]
        for number in removed:
            renamed = self.path(f"{_REMOVED}{number}")
            os.rename(self.path(number), renamed)
            shutil.rmtree(renamed)
        return removed


def _is_known(name: str) -> bool:
    """Return whether a file in a registry's directory is one of the registry."""
    return bool(_KNOWN_NAMES.fullmatch(name) or OWNER_NAMES.fullmatch(name))


@contextmanager
def _lock_file(path: str) -> Iterator[bool]:
    """Lock a file, and wait until it can be locked; yield False where files cannot be locked."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        locked = try_lock(descriptor)
        if locked is None:
            print(f"waiting for another process in {os.path.dirname(path)}", file=sys.stderr)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            locked = True
        yield locked
    finally:
        os.close(descriptor)
