"""python -m trainer.promote: the best model so far, where TensorFlow Serving loads it."""

from __future__ import annotations

from charseq.process.signals import watch_signals

if __name__ == "__main__":
    watch_signals()  # Before the other imports, which take a moment.

import json
import os
import sys
from collections.abc import Sequence

from charseq.cli import exit_status
from charseq.errors import DataError, UselessResult
from trainer.promote.lineage import read_lineage
from trainer.promote.listing import describe_removed, list_versions
from trainer.promote.options import PromoteOptions, parse_command_line
from trainer.promote.promotion import FEWER_LABELS, TRIVIAL, promote, roll_back
from trainer.promote.registry import Registry


def explain(registry: Registry, number: int) -> None:
    """Print the chain of hashes of a version; of one that was removed, what the ledger knows.

    Raises:
        DataError: a link is broken.
    """
    registry.require()
    version = registry.path(number)
    if not os.path.isdir(version) and (lines := describe_removed(registry.events(), number)):
        print("\n".join(lines))
        return
    registry.entry(number)
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
    return exit_status(lambda: _run(parse_command_line(argv)))


def _run(options: PromoteOptions) -> None:
    registry = Registry(options.registry)
    if options.candidate is not None:
        outcome = promote(options.candidate, registry, options.rules)
        print(json.dumps(outcome))
        if outcome["outcome"] == TRIVIAL:
            raise UselessResult(f"{options.candidate} is trivial and was not promoted")
        if outcome["outcome"] == FEWER_LABELS:
            raise UselessResult(f"{options.candidate} knows fewer labels and was not promoted")
    if options.rollback is not None:
        print(json.dumps(roll_back(registry, options.rollback)))
    if options.explain is not None:
        explain(registry, options.explain)
    if options.list:
        registry.require()
        print("\n".join(list_versions(registry.events(), registry.pointer().current)))


if __name__ == "__main__":
    sys.exit(main())
