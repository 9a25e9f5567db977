"""The versions that a registry has had, and what became of them, as its ledger knows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from trainer.promote.ledger import REMOVED, ROLLED_BACK, Event, find_rollback, promotions


def list_versions(events: Sequence[Event], current: int) -> Iterator[str]:
    """Yield a line for each version, the oldest first.

    Args:
        events: of the ledger.
        current: the number of the current version.
    """
    for number, event in promotions(events).items():
        states = ["current"] if number == current else []
        if number != current and (back := find_rollback(events, event["model"])):
            states.append(f"rolled back to {back['number']} at {back['time']}")
        states += [f"removed at {each['time']}" for each in _removals(events, number)]
        yield (
            f"{number}  promoted {event['time']} from {event['run']['directory']}  "
            f"{_scores(event['evaluation'])}  {', '.join(states) or 'kept'}"
        )


def describe_removed(events: Sequence[Event], number: int) -> list[str]:
    """Return what is known of a version whose files were removed; nothing if it never was there."""
    event = promotions(events).get(number)
    if event is None:
        return []
    evaluation = event["evaluation"]
    later = [
        f"{each['event'].replace('_', ' ')} to {each['number']} at {each['time']}, from {number}"
        for each in events
        if each["event"] == ROLLED_BACK and each["was"] == number
    ]
    return [
        f"dataset\n  fingerprint {event['dataset']['fingerprint']}",
        f"run.json\n  sha256:{event['run']['sha256']}",
        f"SavedModel\n  sha256:{event['model']}",
        f"ledger\n  promoted {event['time']} from {event['run']['directory']}",
        f"  {_scores(evaluation)} on {evaluation['split']} of {evaluation['data']}",
        *(f"  {line}" for line in later),
        *(f"  removed at {each['time']}" for each in _removals(events, number)),
    ]


def _removals(events: Sequence[Event], number: int) -> list[Event]:
    return [event for event in events if event["event"] == REMOVED and event["number"] == number]


def _scores(evaluation: dict[str, Any]) -> str:
    metric = evaluation["metric"]
    return f"{metric} {evaluation['candidate'][metric]:.6f}"
