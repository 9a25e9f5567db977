"""Promotions: a run becomes the current model of a registry, or an earlier version does again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from charseq.chain import alone_note
from charseq.console.messages import name_first, print_error
from charseq.errors import DataError
from charseq.files import seal, sha256_of_file, write_json
from charseq.models.saved_model import CARD_FILE, ENTRY_FILE, EXTRA_DIR, RUN_ASSET, RUN_FILE
from trainer.data.dataset import Dataset
from trainer.promote.comparison import Comparison, compare, is_better
from trainer.promote.ledger import Event, find_rollback, now
from trainer.promote.lineage import (
    ENTRY_SEAL_KEY,
    check_lineage,
    check_no_link,
    read_model_json,
    sha256_of_files,
    sha256_of_tree,
)
from trainer.promote.options import PromotionRules
from trainer.promote.registry import Registry
from trainer.run_dataset import open_run_dataset, training_data
from trainer.run_directory import MODEL_CARD_FILE, SAVED_MODEL, read_run

FORMAT_VERSION = 1
TRIVIAL, FEWER_LABELS = "trivial", "fewer_labels"

# The JSON object that ends the output of a command.
Outcome = dict[str, Any]


@dataclass(frozen=True)
class Candidate:
    """A run that may be promoted.

    sha256: of its `run.json`. fingerprint: of its dataset. files: the SHA-256 of each file of its
    SavedModel, by path.
    """

    directory: str
    sha256: str
    fingerprint: str
    files: Mapping[str, str]

    @property
    def saved_model(self) -> str:
        """The path of its SavedModel."""
        return os.path.join(self.directory, SAVED_MODEL)


def read_candidate(directory: str) -> Candidate:
    """Read a run and check that it can be promoted.

    Raises:
        DataError: it is not complete, its SavedModel comes from another run, or a link is in it.
    """
    for name in (RUN_FILE, MODEL_CARD_FILE):
        check_no_link(os.path.join(directory, name))
    run = read_run(directory)
    saved_model = run.path(SAVED_MODEL)
    files = sha256_of_files(saved_model)
    read_model_json(saved_model, RUN_ASSET)
    digest = sha256_of_file(run.path(RUN_FILE))
    if sha256_of_file(os.path.join(saved_model, RUN_ASSET)) != digest:
        raise DataError(
            f"{saved_model}: its {RUN_ASSET} is not the {RUN_FILE} of {directory}; train again"
        )
    return Candidate(directory, digest, run.fingerprint, files)


def promote(directory: str, registry: Registry, rules: PromotionRules) -> Outcome:
    """Promote a run if it is better than the current model, and print the decision.

    Raises:
        DataError: the run, the dataset or the registry cannot be used; nothing is changed.
    """
    candidate = read_candidate(directory)
    with registry.locked():
        if finished := registry.repair():
            print(f"{registry.path(finished)} is current now: its promotion had been cut short")
        registry.update_ledger()
        current = registry.pointer().current
        number = _find_version(candidate, registry)
        if number and (number == current or not rules.again):
            return _report_existing(candidate, number, current, registry)
        digest = sha256_of_tree(candidate.files)
        if (event := find_rollback(registry.events(), digest)) and not rules.again:
            return _report_rolled_back(candidate, event, current, registry)
        with _open_dataset(candidate, rules) as dataset:
            previous = _path_of_current(registry, current)
            comparison = compare(candidate.saved_model, previous, dataset, rules)
        return _decide(candidate, registry, current, rules, comparison)


def _find_version(candidate: Candidate, registry: Registry) -> int | None:
    """Return the newest version that has the files of a candidate, if any."""
    digest = sha256_of_tree(candidate.files)
    for number in reversed(registry.numbers()):
        if registry.entry(number)["saved_model"]["sha256"] == digest:
            return number
    return None


def _report_existing(
    candidate: Candidate, number: int, current: int, registry: Registry
) -> Outcome:
    """Report a candidate that is a version already.

    If another version is current, a rollback or a better model made it so: a scheduler's retry is
    no reason to change that.
    """
    path = registry.path(number)
    if number == current:
        print(f"{candidate.directory} is already {path}, the current one")
        return {"outcome": "already_current", "number": number, "current": current}
    print(
        f"not promoted: {candidate.directory} is already {path}, but {current} is current; "
        f"--rollback {number} would make it so"
    )
    return {"outcome": "already_there", "number": number, "current": current}


def _report_rolled_back(
    candidate: Candidate, event: Event, current: int, registry: Registry
) -> Outcome:
    """Report a candidate that was promoted and rolled back, and whose version has been removed."""
    print(
        f"not promoted: {candidate.directory} was promoted to {registry.directory} and rolled back "
        f"to version {event['number']} at {event['time']}; --again compares it all the same"
    )
    return {"outcome": "was_rolled_back", "number": None, "current": current}


@contextmanager
def _open_dataset(candidate: Candidate, rules: PromotionRules) -> Iterator[Dataset]:
    """Open the dataset of a candidate's training, where the rules say that it lies now.

    Raises:
        DataError: it is not there, or rows that are to be left out cannot be.
    """
    why = f"with the fingerprint {candidate.fingerprint[:16]}"
    with open_run_dataset(candidate.directory, rules.data, why) as dataset:
        if rules.exclude:
            from trainer.data.exclusion import exclude_rows  # Late, as it imports numpy.

            dataset = exclude_rows(dataset, rules.exclude)
        dataset = dataset.of_fold(read_run(candidate.directory).fold)
        fingerprint = dataset.manifest.fingerprint
        if fingerprint != candidate.fingerprint:
            addresses = rules.data or training_data(candidate.directory)
            raise DataError(
                f"{', '.join(addresses)}: its fingerprint is {fingerprint[:16]}, and "
                f"{candidate.directory} was trained on the dataset of {candidate.fingerprint[:16]}:"
                " say with --data where that is"
            )
        if note := alone_note(dataset.directory, dataset.manifest):
            print_error(f"note: {note}")
        if dataset.excluded:
            print_error(dataset.excluded.describe())
        yield dataset


def _path_of_current(registry: Registry, current: int) -> str | None:
    """Return the path of the current version; None for an empty registry.

    Raises:
        DataError: the version is missing.
    """
    if not current:
        return None
    registry.entry(current)
    return registry.path(current)


def _decide(
    candidate: Candidate,
    registry: Registry,
    current: int,
    rules: PromotionRules,
    comparison: Comparison,
) -> Outcome:
    """Publish a candidate and remove the oldest versions if it is better; print the decision.

    A trivial candidate is refused even by an empty registry.
    """
    if comparison.trivial and not rules.allow_trivial:
        print(
            f"not promoted: {candidate.directory} is trivial on {comparison.split}: "
            f"{comparison.trivial}; --allow-trivial would let it be compared all the same"
        )
        return _outcome(TRIVIAL, None, current, rules.metric, comparison)
    if comparison.lost_labels and not rules.allow_fewer_labels:
        print(
            f"not promoted: {candidate.directory} does not know the labels "
            f"{name_first(comparison.lost_labels)}, which {registry.path(current)} gives; "
            "--allow-fewer-labels would let it be compared all the same"
        )
        return _outcome(FEWER_LABELS, None, current, rules.metric, comparison)
    scores = comparison.format(rules.metric, registry.path(current))
    if not is_better(comparison.candidate, comparison.previous, rules):
        margin = f" by more than {rules.min_improvement:g}" if rules.min_improvement else ""
        print(f"not promoted: {candidate.directory} is not better{margin}: {scores}")
        return _outcome("not_better", None, current, rules.metric, comparison)
    number = registry.next_number()
    _publish(candidate, registry, make_entry(candidate, number, current, rules, comparison))
    path = registry.path(number)
    print(f"promoted: {candidate.directory} is {path}, the current one: {scores}")
    for removed in registry.prune(rules.keep):
        print(f"removed: {registry.path(removed)}")
    registry.update_ledger()
    return _outcome("promoted", number, number, rules.metric, comparison)


def _outcome(
    name: str, number: int | None, current: int, metric: str, comparison: Comparison
) -> Outcome:
    previous = comparison.previous
    return {
        "outcome": name,
        "number": number,
        "current": current,
        "metric": metric,
        "candidate": comparison.candidate[metric],
        "previous": previous[metric] if previous else None,
        "previous_trained_on": comparison.previous_trained_on,
    }


def make_entry(
    candidate: Candidate,
    number: int,
    current: int,
    rules: PromotionRules,
    comparison: Comparison,
) -> dict[str, Any]:
    """Return the sealed `entry.json` of a candidate that becomes version `number`."""
    entry = {
        "format_version": FORMAT_VERSION,
        "number": number,
        "previous": current or None,
        "promoted": now(),
        "dataset": {"fingerprint": candidate.fingerprint},
        "run": {"directory": os.path.abspath(candidate.directory), "sha256": candidate.sha256},
        "saved_model": {"sha256": sha256_of_tree(candidate.files), "files": candidate.files},
        "evaluation": {
            **comparison.to_json(),
            "metric": rules.metric,
            "min_improvement": rules.min_improvement,
        },
    }
    return {**entry, ENTRY_SEAL_KEY: seal(entry, ENTRY_SEAL_KEY)}


def _publish(candidate: Candidate, registry: Registry, entry: Mapping[str, Any]) -> None:
    """Copy a candidate, with the card of its run if it has one, into a registry; make it current.

    Raises:
        DataError: the candidate is no longer what was measured, or the card is a link.
    """
    with registry.staged(candidate.saved_model) as staged:
        os.mkdir(os.path.join(staged, EXTRA_DIR))
        _copy_card(candidate, staged)
        write_json(os.path.join(staged, ENTRY_FILE), entry)
        _check_copy(staged, candidate)
        registry.publish(entry["number"])


def _copy_card(candidate: Candidate, staged: str) -> None:
    """Copy the card of a candidate's run, if it was evaluated.

    Raises:
        DataError: it is a link.
    """
    card, copy = os.path.join(candidate.directory, MODEL_CARD_FILE), os.path.join(staged, CARD_FILE)
    if os.path.isfile(card):
        # A link stays one, for the check of the copy to find.
        shutil.copyfile(card, copy, follow_symlinks=False)
        check_no_link(copy)


def _check_copy(staged: str, candidate: Candidate) -> None:
    """Check that a copy is what was measured, and that its chain of hashes holds."""
    if sha256_of_files(staged) != candidate.files:
        raise DataError(f"{candidate.saved_model} changed while it was measured; promote it again")
    check_lineage(staged)


def roll_back(registry: Registry, number: int) -> Outcome:
    """Make an earlier version the current one; 0 is the one that the current one replaced.

    Raises:
        DataError: there is no such version, or its chain of hashes is broken.
    """
    registry.require()
    with registry.locked():
        registry.update_ledger()
        current = registry.pointer().current
        target = number or registry.entry(current)["previous"]
        if target is None:
            raise DataError(f"{registry.path(current)} is the first: there is none before it")
        registry.entry(target)
        check_lineage(registry.path(target))
        registry.point_back(target)
    print(f"{registry.path(target)} is the current one, it was {current}")
    return {"outcome": "rolled_back", "number": target, "current": target, "was": current}
