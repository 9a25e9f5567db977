"""The ledger of a registry: what was promoted, rolled back and removed, and when.

`ledger.jsonl` has a line of JSON for each event, the oldest first. It outlives the versions that
`--keep` removes. A registry of an earlier version gets one from the entries of its versions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from charseq.files import damage_as_data_error, write_text

LEDGER_FILE = "ledger.jsonl"
PROMOTED, ROLLED_BACK, REMOVED = "promoted", "rolled_back", "removed"
# What an event of a promotion holds of the version's entry.
_OF_ENTRY = ("number", "previous", "promoted", "dataset", "run", "evaluation")

Event = dict[str, Any]


def now() -> str:
    """Return the time, UTC, in ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def read_events(directory: str) -> list[Event]:
    """Return the events of a registry, the oldest first; none if it has no ledger.

    Raises:
        DataError: the ledger is damaged.
    """
    path = os.path.join(directory, LEDGER_FILE)
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file, damage_as_data_error(path, "a ledger"):
        events: list[Event] = [json.loads(line) for line in file]
        for event in events:
            str(event["event"]), str(event["time"]), int(event["number"])
        return events


def add_events(directory: str, events: Sequence[Event]) -> None:
    """Add events to the ledger, all of them or none."""
    if events:
        lines = [json.dumps(event) + "\n" for event in (*read_events(directory), *events)]
        write_text(os.path.join(directory, LEDGER_FILE), "".join(lines))


def promotion(entry: Mapping[str, Any]) -> Event:
    """Return the event that a version was promoted.

    entry: the content of its `entry.json`.
    """
    return {
        "event": PROMOTED,
        "time": entry["promoted"],
        "model": entry["saved_model"]["sha256"],
        **{name: entry[name] for name in _OF_ENTRY if name in entry},
    }


def rollback(number: int, was: int) -> Event:
    """Return the event that a version was made current by hand; was: the one before."""
    return {"event": ROLLED_BACK, "time": now(), "number": number, "was": was}


def removal(number: int) -> Event:
    """Return the event that the files of a version were removed."""
    return {"event": REMOVED, "time": now(), "number": number}


def promotions(events: Sequence[Event]) -> dict[int, Event]:
    """Return the promotion of each version, by number."""
    return {event["number"]: event for event in events if event["event"] == PROMOTED}


def find_rollback(events: Sequence[Event], model: str) -> Event | None:
    """Return how somebody went back from a model; None if nobody did, or it became current since.

    Going back from version 5 to 2 goes back from 3 and 4, too.

    Args:
        events: of the ledger.
        model: the SHA-256 of its files.
    """
    models = {number: event["model"] for number, event in promotions(events).items()}
    found = None
    for event in events:
        number = event["number"]
        if event["event"] != REMOVED and models.get(number) == model:
            found = None
        elif event["event"] == ROLLED_BACK:
            left = range(number + 1, event["was"] + 1)
            if any(models.get(other) == model for other in left):
                found = event
    return found
