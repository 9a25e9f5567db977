"""python -m trainer.promote: the best model so far, where TensorFlow Serving loads it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from typing import Any

from charseq.cli import exit_status, heavy_imports
from charseq.errors import DataError, UsageError
from trainer.data.files import check_local, is_address
from trainer.data.manifest import MANIFEST_FILE, Manifest, open_dataset
from trainer.promote.lineage import (
    ENTRY_FILE,
    EXTRA,
    RUN_ASSET,
    check_lineage,
    links,
    read_part,
    seal,
    sha256_of_file,
    sha256_of_files,
    sha256_of_tree,
)
from trainer.promote.registry import Registry
from trainer.run_directory import RUN_FILE, SAVED_MODEL, read_run, write_json

FORMAT_VERSION = 1
SPLIT = "test"
# Measures of `Evaluation`, and whether a higher one is better.
METRICS = {
    "accuracy": True,
    "top3_accuracy": True,
    "macro_f1": True,
    "loss": False,
    "calibration_error": False,
}
_PREVIOUS = 0  # --rollback without a number.

Scores = Mapping[str, float]
Outcome = dict[str, Any]


@dataclass(frozen=True)
class Rules:
    """When a candidate is promoted, and what stays then; each default stands only here.

    data: the dataset to measure on; None is the one that the candidate was trained on.

    Raises:
        UsageError: a value is outside what its flag takes.
    """

    data: str | None = None
    metric: str = "accuracy"
    min_improvement: float = 0.0
    keep: int = 5

    def __post_init__(self) -> None:
        if not 0 <= self.min_improvement < float("inf"):
            raise UsageError(
                f"--min-improvement: got {self.min_improvement}, expected 0 or a number above"
            )
        if self.keep < 1:
            raise UsageError(f"--keep: got {self.keep}, expected 1 or more")

    def prefer(self, candidate: Scores, current: Scores | None) -> bool:
        """Whether the candidate is better by more than `min_improvement`."""
        if current is None:
            return True
        gain = candidate[self.metric] - current[self.metric]
        return (gain if METRICS[self.metric] else -gain) > self.min_improvement


@dataclass(frozen=True)
class Candidate:
    """A run that may be promoted. sha256: of its `run.json`. files: those of its SavedModel."""

    directory: str
    sha256: str
    fingerprint: str
    files: Mapping[str, str]

    @property
    def saved_model(self) -> str:
        """The path of its SavedModel."""
        return os.path.join(self.directory, SAVED_MODEL)


@dataclass(frozen=True)
class Comparison:
    """Two models measured on the same rows; `previous` is None where there was none.

    data: the dataset, of this fingerprint.
    """

    data: str
    fingerprint: str
    candidate: Scores
    previous: Scores | None

    def shown(self, metric: str, previous: str) -> str:
        """The measures that decide, in words; `previous` names the model."""
        own = f"{metric} {self.candidate[metric]:.6f}"
        return f"{own}, {previous} has {self.previous[metric]:.6f}" if self.previous else own


def promote(directory: str, registry: Registry, rules: Rules) -> Outcome:
    """Promote a run if it is better than the current model, and say what was done.

    Raises:
        DataError: the run, the dataset or the registry cannot be used; nothing is changed.
    """
    candidate = read_candidate(directory)
    with registry.locked():
        if finished := registry.repair():
            print(f"{registry.path(finished)} is current now: its promotion had been cut short")
        current = registry.pointer().current
        if number := _number_of(candidate, registry):
            return _already(candidate, number, current, registry)
        with _dataset(candidate, rules) as manifest:
            compared = _compare(candidate, registry, current, manifest)
        own, other = compared.candidate, compared.previous
        shown = compared.shown(rules.metric, registry.path(current))
        if rules.prefer(own, other):
            number = _publish(candidate, registry, current, rules, compared)
            print(f"promoted: {directory} is {registry.path(number)}, the current one: {shown}")
            for removed in registry.prune(rules.keep):
                print(f"removed: {registry.path(removed)}")
        else:
            more = f" by more than {rules.min_improvement:g}" if rules.min_improvement else ""
            print(f"not promoted: {directory} is not better{more}: {shown}")
        return {
            "outcome": "promoted" if number else "not_better",
            "number": number,
            "current": number or current,
            "metric": rules.metric,
            "candidate": own[rules.metric],
            "previous": other[rules.metric] if other else None,
        }


def read_candidate(directory: str) -> Candidate:
    """Look whether a run may be promoted.

    Raises:
        DataError: it is not complete, or its SavedModel is not of the run.
    """
    run = read_run(directory)
    saved_model = run.path(SAVED_MODEL)
    read_part(saved_model, RUN_ASSET)
    digest = sha256_of_file(run.path(RUN_FILE))
    if sha256_of_file(os.path.join(saved_model, RUN_ASSET)) != digest:
        raise DataError(
            f"{saved_model}: its {RUN_ASSET} is not the {RUN_FILE} of {directory}; train again"
        )
    return Candidate(directory, digest, run.fingerprint, sha256_of_files(saved_model))


def _number_of(candidate: Candidate, registry: Registry) -> int | None:
    """The number under which a registry has a run already."""
    digest = sha256_of_tree(candidate.files)
    for number in reversed(registry.numbers()):
        if registry.entry(number)["saved_model"]["sha256"] == digest:
            return number
    return None


def _already(candidate: Candidate, number: int, current: int, registry: Registry) -> Outcome:
    path = registry.path(number)
    if number == current:
        print(f"{candidate.directory} is already {path}, the current one")
        return {"outcome": "already_current", "number": number, "current": current}
    # Someone went back from it, or better ones came: a scheduler's retry is no reason to return.
    print(
        f"not promoted: {candidate.directory} is already {path}, but {current} is current; "
        f"--rollback {number} would make it so"
    )
    return {"outcome": "already_there", "number": number, "current": current}


@contextmanager
def _dataset(candidate: Candidate, rules: Rules) -> Iterator[Manifest]:
    data = rules.data
    if data is None:
        data = str(read_part(candidate.directory, RUN_FILE)["options"]["data"])
    with ExitStack() as stack:
        try:
            manifest = stack.enter_context(open_dataset(data))
        except DataError as error:
            if rules.data is not None:
                raise
            raise DataError(
                f"{error}; {candidate.directory} was trained on it: name a dataset with --data"
            ) from error
        if manifest.fingerprint != candidate.fingerprint:
            print(f"{data} is not the dataset that {candidate.directory} was trained on")
        yield manifest


def _compare(
    candidate: Candidate, registry: Registry, current: int, manifest: Manifest
) -> Comparison:
    with heavy_imports():
        from trainer.promote.compare import measure, remarks

    prepared = read_part(*os.path.split(manifest.path(MANIFEST_FILE)))
    paths = [candidate.saved_model]
    if current:
        registry.entry(current)  # An error for people where it is gone.
        paths.append(registry.path(current))
    scores = []
    for path in paths:
        evaluation = measure(path, manifest, SPLIT)
        scores.append({"rows": evaluation.rows, **{n: getattr(evaluation, n) for n in METRICS}})
        shown = ", ".join(f"{name} {scores[-1][name]:.4f}" for name in METRICS)
        print(f"{path} on {evaluation.rows:,} rows of {SPLIT} of {manifest.directory}: {shown}")
        for remark in remarks(path, manifest, prepared):
            print(f"note: {path} {remark}")
    return Comparison(
        manifest.directory
        if is_address(manifest.directory)
        else os.path.abspath(manifest.directory),
        manifest.fingerprint,
        candidate=scores[0],
        previous=scores[1] if current else None,
    )


def _publish(
    candidate: Candidate, registry: Registry, current: int, rules: Rules, compared: Comparison
) -> int:
    """Copy a candidate into a registry and make it current; return its number."""
    number = registry.next_number()
    entry = {
        "format_version": FORMAT_VERSION,
        "number": number,
        "previous": current or None,
        "promoted": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "dataset": {"fingerprint": candidate.fingerprint},
        "run": {"directory": os.path.abspath(candidate.directory), "sha256": candidate.sha256},
        "saved_model": {"sha256": sha256_of_tree(candidate.files), "files": candidate.files},
        "evaluation": {
            **asdict(compared),
            "split": SPLIT,
            "metric": rules.metric,
            "min_improvement": rules.min_improvement,
        },
    }
    with registry.staged(candidate.saved_model) as staged:
        os.mkdir(os.path.join(staged, EXTRA))
        sealed = {**entry, "entry_sha256": seal(entry, "entry_sha256")}
        write_json(os.path.join(staged, ENTRY_FILE), sealed)
        _require_same(staged, candidate)
        registry.publish(number)
    return number


def _require_same(staged: str, candidate: Candidate) -> None:
    """Look whether a copy is what was measured, and its chain of hashes whole."""
    if sha256_of_files(staged) != candidate.files:
        raise DataError(f"{candidate.saved_model} changed while it was measured; promote it again")
    check_lineage(staged)


def roll_back(registry: Registry, number: int) -> Outcome:
    """Make an earlier version the current one, by default the one that the current one replaced.

    Raises:
        DataError: there is no such version, or it is not what was promoted.
    """
    registry.require()
    with registry.locked():
        current = registry.pointer().current
        target = number or registry.entry(current)["previous"]
        if target is None:
            raise DataError(f"{registry.path(current)} is the first: there is none before it")
        registry.entry(target)
        check_lineage(registry.path(target))
        registry.point(target)
    print(f"{registry.path(target)} is the current one, it was {current}")
    return {"outcome": "rolled_back", "number": target, "current": target, "was": current}


def explain(registry: Registry, number: int) -> None:
    """Print the chain of hashes of a version.

    Raises:
        DataError: a link is broken.
    """
    registry.require()
    registry.entry(number)
    version = registry.path(number)
    broken: list[str] = []
    for link in links(version):
        print(link.name)
        for line in link.lines:
            print(f"  {line}")
        print("  holds" if not link.problems else f"  BROKEN: {'; '.join(link.problems)}")
        broken += link.problems
    if broken:
        raise DataError(f"{version}: the chain is broken: {'; '.join(broken)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Promote, roll back or explain as the command line says; return the exit status."""
    return exit_status(lambda: _run(_parser().parse_args(argv)))


def _run(options: argparse.Namespace) -> None:
    check_local("--registry", options.registry)
    if options.candidate is not None:
        check_local("--candidate", options.candidate)
    registry = Registry(options.registry)
    given = {f.name: getattr(options, f.name) for f in fields(Rules) if f.name in options}
    if given and options.candidate is None:
        flag = next(iter(given)).replace("_", "-")
        raise UsageError(f"--{flag}: only with --candidate")
    if options.explain is not None:
        explain(registry, options.explain)
        return
    if options.candidate is not None:
        outcome = promote(options.candidate, registry, Rules(**given))
    else:
        outcome = roll_back(registry, options.rollback)
    print(json.dumps(outcome))


def _parser() -> argparse.ArgumentParser:
    default = Rules()
    parser = argparse.ArgumentParser(
        prog="python -m trainer.promote",
        allow_abbrev=False,
        description="Keep the best model so far where TensorFlow Serving loads it: a candidate "
        "that is better than the current model on the same test split becomes the current one.",
        epilog="The last line of --candidate and --rollback is JSON: its outcome is promoted, "
        "not_better, already_current, already_there (promoted earlier, but not current now) or "
        "rolled_back; current is the number of the current version. Exit status: 0 done, whatever "
        "the outcome; 1 the run, the data or the registry cannot be used, or --explain found a "
        "broken link; 2 the command line is wrong.",
    )

    def rule(flag: str, text: str, **settings: Any) -> None:
        parser.add_argument(flag, help=text, default=argparse.SUPPRESS, **settings)

    parser.add_argument("--registry", help="directory of the promoted models", required=True,
                        metavar="DIR")  # fmt: skip
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--candidate", help="run directory of python -m trainer", metavar="RUN")
    action.add_argument("--rollback", help="make a version the current one; without a number, "
                        "the one that the current one replaced", nargs="?", type=_number,
                        const=_PREVIOUS, metavar="NUMBER")  # fmt: skip
    action.add_argument("--explain", help="print a version's chain of hashes from the input files "
                        "on, each looked at anew", type=_number, metavar="NUMBER")  # fmt: skip
    rule("--data", "dataset whose test split both are measured on (default: the one that the "
         "candidate was trained on)", metavar="DIR")  # fmt: skip
    rule("--metric", f"that decides (default: {default.metric})", choices=tuple(METRICS))
    rule("--min-improvement", "the candidate must be better by more than this (default: "
         f"{default.min_improvement:g}; equal is not better)", type=float, metavar="X")  # fmt: skip
    rule("--keep", "how many versions stay; the current one and the one it replaced always do "
         f"(default: {default.keep})", type=int, metavar="N")  # fmt: skip
    return parser


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
