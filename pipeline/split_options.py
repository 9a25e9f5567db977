"""The options of splits that do not follow from a row's sequence and `--split` alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from charseq.errors import UsageError
from charseq.flags import flag, require, validate
from charseq.manifest import SPLITS
from pipeline.input_options import switch
from pipeline.times import check_time, parse_time

SPLIT_COLUMN, TIME_COLUMN, GROUP_COLUMN = "--split-column", "--time-column", "--group-column"
MAX_FOLDS = 100
DROP_FROM_TRAIN, REPORT, FAIL = "drop-from-train", "report", "fail"
GROUP, DROP = "group", "drop"
_MAX_CLUSTER_SHARE = 0.5


@dataclass(frozen=True)
class SplitOptions:
    """How the split of a row is found, if it does not follow from `--split` alone.

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
    time_column: str | None = flag(
        "column of the time of each row, in ISO 8601, UTC where it has no zone: rows from "
        "--validation-from and from --test-from on are of these splits, those before of train",
        default=None,
        metavar="NAME",
        not_with=("split_column", "both say which split a row is in"),
    )
    validation_from: str | None = flag(
        "time at which the validation split begins; without it, it is cut from the train split",
        default=None,
        parse=check_time,
        metavar="TIME",
        only_with="time_column",
    )
    test_from: str | None = flag(
        "time at which the test split begins",
        default=None,
        parse=check_time,
        metavar="TIME",
        only_with="time_column",
    )
    stratify: bool = switch(
        "exact fractions of the sequences of each label, instead of expected ones", default=False
    )
    group_column: str | None = flag(
        "column of the group of each row, such as a donor or a protein family: all rows of a "
        "group, and of groups that share a sequence, are in one split",
        default=None,
        metavar="NAME",
    )
    similar: float | None = flag(
        "keep sequences of at least this identity, 1 - edit distance / length of the longer one, "
        "in one split, and those that they link",
        default=None,
        metavar="IDENTITY",
        above=0,
        maximum=1,
    )
    similar_policy: str = flag(
        "treatment of similar sequences: group puts clusters of them into one split; drop splits "
        "as without --similar, and rejects train rows that are like one of another split as "
        "near_other_split, which do not count in --max-rejected-fraction",
        default=GROUP,
        choices=(GROUP, DROP),
    )
    max_cluster_share: float = flag(
        "fail if the largest cluster of --similar has a larger share of all sequences",
        default=_MAX_CLUSTER_SHARE,
        metavar="SHARE",
        above=0,
        maximum=1,
    )
    folds: int | None = flag(
        "instead of --split: write so many parts of equal size, each of which python -m trainer "
        "--fold can test on",
        default=None,
        metavar="K",
        minimum=3,
        maximum=MAX_FOLDS,
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
        self._check_times()
        if self.leaks != DROP_FROM_TRAIN and not self.are_given:
            raise UsageError(
                "--leaks: only with --split-column, --time-column or --train-input; a split by "
                "--split has none"
            )
        if self.folds and self.are_given:
            raise UsageError("--folds: not allowed where splits are given: all rows are cut alike")
        self._check_similar()
        ways = [flag for flag, chosen in self._ways.items() if chosen]
        if len(ways) > 1:
            raise UsageError(
                f"{ways[1]}: not allowed with {ways[0]}: each says alone which split a row is in"
            )

    def _check_times(self) -> None:
        if self.time_column is None:
            return
        if self.validation_from is None and self.test_from is None:
            raise UsageError("--time-column: only with --validation-from or --test-from")
        validation, test = self.times
        in_order = validation is None or test is None or validation < test
        require(in_order, "--test-from", self.test_from, "a later time than --validation-from")

    def _check_similar(self) -> None:
        if self.similar is None and self.similar_policy != GROUP:
            raise UsageError("--similar-policy: only with --similar")
        if self.max_cluster_share != _MAX_CLUSTER_SHARE and (
            self.similar is None or self.similar_policy == DROP
        ):
            raise UsageError(
                "--max-cluster-share: only with --similar and --similar-policy group, which makes "
                "clusters"
            )
        if self.folds and self.similar_policy == DROP:
            raise UsageError(
                "--similar-policy: drop is not allowed with --folds, where each part is a train "
                "split, too"
            )

    @property
    def _ways(self) -> dict[str, bool]:
        return {
            "--train-input": bool(self.train_input),
            "--split-column": self.split_column is not None,
            "--time-column": self.time_column is not None,
            "--stratify": self.stratify,
            "--group-column": self.group_column is not None,
            "--similar": self.similar is not None,
        }

    @property
    def are_given(self) -> bool:
        """Whether each row has a split of its own, by its file or by a column."""
        columns = (self.split_column, self.time_column)
        return bool(self.train_input) or any(name is not None for name in columns)

    @property
    def need_all_rows(self) -> bool:
        """Whether the split of a row depends on others, too."""
        return any(self._ways.values())

    @property
    def times(self) -> tuple[datetime | None, datetime | None]:
        """The beginnings of the validation and of the test split."""
        texts = (self.validation_from, self.test_from)
        validation, test = (None if text is None else parse_time(text) for text in texts)
        return validation, test

    @property
    def inputs(self) -> dict[str, tuple[str, ...]]:
        """The paths of each split that has an input of its own."""
        paths = (self.train_input, self.validation_input, self.test_input)
        return {split: each for split, each in zip(SPLITS, paths, strict=True) if each}

    @property
    def wanted(self) -> list[str]:
        """The splits that must have rows where splits are given."""
        if self.inputs:
            return list(self.inputs)
        times = {"validation": self.validation_from, "test": self.test_from}
        return ["train", *(split for split, time in times.items() if time is not None)]

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """The flag and the name of each column that is read for the split."""
        columns = {
            SPLIT_COLUMN: self.split_column,
            TIME_COLUMN: self.time_column,
            GROUP_COLUMN: self.group_column,
        }
        return tuple((flag, name) for flag, name in columns.items() if name is not None)

    @property
    def split_of_value(self) -> Mapping[str, int]:
        """The place in SPLITS that each value of the column stands for."""
        places = {name: place for place, name in enumerate(SPLITS)}
        pairs = self.split_values.split(",") if self.split_values else []
        values: dict[str, int] = {}
        for pair in pairs:
            value, equals, split = pair.rpartition("=")
            value, split = value.strip(), split.strip()
            require(
                bool(equals and value) and split in places,
                "--split-values",
                pair,
                f"a value, '=' and one of {', '.join(SPLITS)}",
            )
            require(value not in values, "--split-values", self.split_values, f"{value!r} once")
            values[value] = places[split]
        return {**places, **values}


def to_roles(split: npt.NDArray[np.integer], options: SplitOptions) -> npt.NDArray[np.integer]:
    """Return the place in SPLITS of each row's split, (n,): of folds, all are train rows.

    Alphabet and labels are those of all folds, as the rows are written once.
    """
    return split if options.folds is None else np.zeros_like(split)
