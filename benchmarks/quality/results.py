"""What a system reached on a unit, kept as lines of JSON so that a stopped benchmark goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Seconds:
    """wall: as a clock shows. cpu: of all cores, user and system."""

    wall: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall + other.wall, self.cpu + other.cpu)

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall - other.wall, self.cpu - other.cpu)


NO_TIME = Seconds()


class Key(NamedTuple):
    """Names a result: there is one for each."""

    task: str
    fold: int
    seed: int
    system: str


@dataclass(frozen=True)
class Result:
    """A system, trained and tested once.

    accuracy, macro_f1: on the test rows, 0 to 1. start: imports, and what else is neither tuning
    nor training. training: with the settings that were chosen. rate: sequences a second of the
    epochs after the first; None where they are not known. options: resolved. load: average of the
    machine at its end.
    """

    key: Key
    accuracy: float
    macro_f1: float
    train_rows: int
    test_rows: int
    start: Seconds
    tuning: Seconds
    training: Seconds
    prediction: Seconds
    options: Mapping[str, Any]
    rate: float | None = None
    load: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the result as a line holds it."""
        content = asdict(self)
        return {**self.key._asdict(), **{name: content[name] for name in content if name != "key"}}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Result:
        """Return the result of such a line."""
        rest = dict(content)
        key = Key(*(rest.pop(name) for name in Key._fields))
        for name in ("start", "tuning", "training", "prediction"):
            rest[name] = Seconds(**rest[name])
        return cls(key, **rest)


def read_results(path: Path) -> dict[Key, Result]:
    """Return the results of a file, none if there is no file; a line that is torn is removed."""
    results = (Result.from_json(content) for content in read_lines(path))
    return {result.key: result for result in results}


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a file of JSON Lines; see `read_results`."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        os.truncate(path, len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def add_result(path: Path, result: Result) -> None:
    """Append a result, durably."""
    add_line(path, result.to_json())


def add_line(path: Path, content: Mapping[str, Any]) -> None:
    """Append an object to a file of JSON Lines, durably."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(content, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def of_system(results: Iterable[Result], task: str, system: str) -> list[Result]:
    """Return the results of a system on all folds of a task, with all seeds."""
    return [one for one in results if (one.key.task, one.key.system) == (task, system)]
