"""python -m trainer.promote: the best model so far, where TensorFlow Serving loads it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from charseq.cli import exit_status
from charseq.errors import DataError, UsageError
from trainer.data.files import check_local
from trainer.promote.lineage import read_lineage
from trainer.promote.options import METRICS, PromotionRules
from trainer.promote.promotion import promote, roll_back
from trainer.promote.registry import Registry

_PREVIOUS = 0  # --rollback without a number.


def explain(registry: Registry, number: int) -> None:
    """Print the chain of hashes of a version.

    Raises:
        DataError: a link is broken.
    """
    registry.require()
    registry.entry(number)
    version = registry.path(number)
    links = read_lineage(version)
    for link in links:
        print(link.name)
        for line in link.lines:
            print(f"  {line}")
        print(f"  BROKEN: {'; '.join(link.problems)}" if link.problems else "  holds")
    problems = [problem for link in links for problem in link.problems]
    if problems:
        raise DataError(f"{version}: the chain is broken: {'; '.join(problems)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Promote, roll back or explain as the command line says; return the exit status."""
    return exit_status(lambda: _run(_parser().parse_args(argv)))


def _run(options: argparse.Namespace) -> None:
    check_local("--registry", options.registry)
    if options.candidate is not None:
        check_local("--candidate", options.candidate)
    registry = Registry(options.registry)
    given = {f.name: getattr(options, f.name) for f in fields(PromotionRules) if f.name in options}
    if given and options.candidate is None:
        flag = next(iter(given)).replace("_", "-")
        raise UsageError(f"--{flag}: only with --candidate")
    if options.explain is not None:
        explain(registry, options.explain)
        return
    if options.candidate is not None:
        outcome = promote(options.candidate, registry, PromotionRules(**given))
    else:
        outcome = roll_back(registry, options.rollback)
    print(json.dumps(outcome))


def _parser() -> argparse.ArgumentParser:
    default = PromotionRules()
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
