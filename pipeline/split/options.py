"""The options of splits that the user gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from charseq.errors import UsageError
from charseq.flags import flag, require, validate
from charseq.manifest import SPLITS

DROP_FROM_TRAIN, REPORT, FAIL = "drop-from-train", "report", "fail"


@dataclass(frozen=True)
class SplitOptions:
    """Where the split of a row is given, if it does not follow from `--split` alone.

    Raises:
        UsageError: two values exclude each other.
    """

    train_input: tuple[str, ...] = flag(
        "instead of --input: the files of the train split",
        default=(),
        metavar="PATH",
        is_path=True,
        not_with=("input", "each split has an input of its own, or none has"),
    )
    validation_input: tuple[str, ...] = flag(
        "the files of the validation split; without any, it is cut from the train split",
        default=(),
        metavar="PATH",
        is_path=True,
        only_with="train_input",
    )
    test_input: tuple[str, ...] = flag(
        "the files of the test split",
        default=(),
        metavar="PATH",
        is_path=True,
        only_with="train_input",
    )
    split_column: str | None = flag(
        "column of the split of each row: train, validation or test; without a validation row, "
        "that split is cut from the train split",
        default=None,
        metavar="NAME",
        not_with=("train_input", "both say which split a row is in"),
    )
    split_values: str | None = flag(
        "other values of --split-column and their splits, as dev=validation,holdout=test",
        default=None,
        metavar="VALUE=SPLIT,…",
        only_with="split_column",
    )
    leaks: str = flag(
        "treatment of sequences that are in more than one given split: drop-from-train rejects "
        "their train rows as in_other_split, which do not count in --max-rejected-fraction; report "
        "keeps all rows; fail ends the run",
        default=DROP_FROM_TRAIN,
        choices=(DROP_FROM_TRAIN, REPORT, FAIL),
    )

    def __post_init__(self) -> None:
        validate(self)
        if self.train_input and not (self.validation_input or self.test_input):
            raise UsageError(
                "--train-input: only with --validation-input or --test-input; if there is one "
                "input, say --input"
            )
        _ = self.split_of_value  # which checks itself
        if self.leaks != DROP_FROM_TRAIN and not self.are_given:
            raise UsageError(
                "--leaks: only with --split-column or --train-input; a split by --split has none"
            )

    @property
    def are_given(self) -> bool:
        """Whether each row has a split of its own, by its file or by its column."""
        return bool(self.train_input) or self.split_column is not None

    @property
    def inputs(self) -> dict[str, tuple[str, ...]]:
        """The paths of each split that has an input of its own."""
        paths = (self.train_input, self.validation_input, self.test_input)
        return {split: each for split, each in zip(SPLITS, paths, strict=True) if each}

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """The flag and the name of each column that is read for the split."""
        return () if self.split_column is None else (("--split-column", self.split_column),)

    @property
    def split_of_value(self) -> Mapping[str, int]:
        """The place in SPLITS that each value of the column stands for."""
        places = {name: place for place, name in enumerate(SPLITS)}
        pairs = self.split_values.split(",") if self.split_values else []
        values = dict(places)
        for pair in pairs:
            value, equals, split = pair.rpartition("=")
            value, split = value.strip(), split.strip()
            require(
                bool(equals and value) and split in places,
                "--split-values",
                pair,
                f"a value, '=' and one of {', '.join(SPLITS)}",
            )
            values[value] = places[split]
        return values
