"""The options of a promotion, its rules among them, and the command line that sets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from charseq.flags import flag, make_parser, parse, validate
from charseq.models.saved_model import TRUST_MODEL_HELP
from trainer.addresses import check_data, check_local
from trainer.config import EXCLUDE_HELP

# The metrics by weight, and the fields of `WeightedScores`.
WEIGHTED_METRICS = {f"weighted_{name}": name for name in ("accuracy", "macro_f1", "loss")}
# Fields of `Evaluation`, or metrics by weight; and whether a higher value is better.
METRICS = {
    "accuracy": True,
    "top3_accuracy": True,
    "macro_f1": True,
    "loss": False,
    "calibration_error": False,
    **{name: field != "loss" for name, field in WEIGHTED_METRICS.items()},
}

Scores = Mapping[str, float]

PREVIOUS = 0  # The value of --rollback without a number.


@dataclass(frozen=True)
class PromotionRules:
    """When a candidate is promoted, and which versions are kept then.

    data: where the datasets are that the candidate was trained on; () for where they were then.

    Raises:
        UsageError: a value is outside the limits of its flag.
    """

    data: tuple[str, ...] = flag(
        "where the dataset that the candidate was trained on is now, whose test split both models "
        "are measured on; of several, each of them (default: where it was then)",
        default=(),
        metavar="DIR",
        is_path=True,
        only_with="candidate",
    )
    exclude: str | None = flag(
        EXCLUDE_HELP, default=None, metavar="FILE", is_path=True, only_with="candidate"
    )
    metric: str = flag(
        "metric that decides; weighted_… in a dataset with weights",
        default="accuracy",
        choices=tuple(METRICS),
        only_with="candidate",
    )
    min_improvement: float = flag(
        "promote only if the metric is better by more than this; at 0, an equal one is not enough",
        default=0.0,
        metavar="X",
        minimum=0,
        only_with="candidate",
    )
    allow_trivial: bool = flag(
        "promote a better candidate even if it is trivial: no better than the shares of the labels "
        "alone, or with one label for nearly all rows",
        default=False,
        only_with="candidate",
    )
    allow_fewer_labels: bool = flag(
        "promote a better candidate even if it does not know all labels of the current model",
        default=False,
        only_with="candidate",
    )
    again: bool = flag(
        "compare a candidate even if it was promoted earlier, or rolled back",
        default=False,
        only_with="candidate",
    )
    keep: int = flag(
        "number of versions to keep; the current one and the one it replaced always stay",
        default=5,
        metavar="N",
        minimum=1,
        only_with="candidate",
    )
    trust_model: bool = flag(TRUST_MODEL_HELP, default=False, only_with="candidate")

    def __post_init__(self) -> None:
        check_data(self.data)
        check_local("--exclude", self.exclude or "")
        validate(self)


def _parse_number(text: str) -> int:
    """Return the number of a version.

    Raises:
        ValueError: it is not a whole number from 1.
    """
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError(f"got {text!r}, expected a number from 1")
    return int(text)


@dataclass(frozen=True)
class PromoteOptions:
    """The registry and what to do in it: promote a candidate, roll back or explain a version.

    Raises:
        UsageError: a directory is not local.
    """

    registry: str = flag("directory of the promoted models", metavar="DIR", is_path=True)
    candidate: str | None = flag(
        "run directory of python -m trainer",
        default=None,
        metavar="RUN",
        is_path=True,
        exclusive=True,
    )
    rollback: int | None = flag(
        "make a version the current one; without a number, the one that the current one replaced",
        default=None,
        metavar="NUMBER",
        parse=_parse_number,
        const=PREVIOUS,
        exclusive=True,
    )
    explain: int | None = flag(
        "print the chain of hashes of a version, from the input files on, and check each of them",
        default=None,
        metavar="NUMBER",
        parse=_parse_number,
        exclusive=True,
    )
    list: bool = flag(
        "print all versions that there have been, and what became of them",
        default=False,
        exclusive=True,
    )
    rules: PromotionRules = field(default_factory=PromotionRules)

    def __post_init__(self) -> None:
        check_local("--registry", self.registry)
        if self.candidate is not None:
            check_local("--candidate", self.candidate)


def parse_command_line(argv: Sequence[str] | None) -> PromoteOptions:
    """Return the options of `python -m trainer.promote`.

    Raises:
        UsageError, SystemExit: as `charseq.flags.parse`.
    """
    parser = make_parser(
        PromoteOptions,
        prog="python -m trainer.promote",
        description="Keep the best model so far where TensorFlow Serving loads it: a candidate "
        "that is better than the current model on the same test split becomes the current one.",
        epilog="The last line of --candidate and --rollback is JSON: its outcome is promoted, "
        "not_better, trivial (no better than the label shares), fewer_labels, already_current, "
        "already_there (promoted earlier, but not current now), was_rolled_back (and its version "
        "removed) or rolled_back; current is the number of the current version. Exit status: 0 "
        "done, whatever the outcome; 1 the run, the data or the registry cannot be used, or "
        "--explain found a broken link; 2 the command line is wrong; 3 the outcome is trivial or "
        "fewer_labels.",
    )
    return parse(PromoteOptions, parser, argv)
