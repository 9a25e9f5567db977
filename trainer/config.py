"""The options of a training run, and the command line that sets them."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from charseq.console.redaction import redact
from charseq.errors import UsageError
from charseq.flags import changed_options, flag, make_parser, parse, require, validate
from charseq.models.saved_model import TRUST_MODEL_HELP
from charseq.options_file import to_toml
from charseq.stores.addresses import is_address
from trainer.addresses import check_data, check_local

DATA_HELP = (
    "dataset directory that python -m pipeline wrote, local, s3:// or gs://; where one adds rows "
    "to others, each of them, in any order"
)
EXCLUDE_HELP = (
    "text file with one sequence a line: rows of these sequences, of any label and in any split, "
    "are left out as if they had not been prepared"
)
# "must" is the first name of "required"; scripts and run.json files of version 0.1.0 hold it.
RESUME_REQUIRED = ("required", "must")
NGRAMS = "ngrams"


class Interval(NamedTuple):
    """A number of steps or of seconds, whichever is over first."""

    steps: float = math.inf
    seconds: float = math.inf

    def __str__(self) -> str:
        return f"{self.seconds / 60:g}m" if self.steps == math.inf else f"{self.steps:g}"

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Parse steps such as 500, or minutes such as 10m or 0.5m.

        Raises:
            ValueError: it is neither, or not above 0.
        """
        minutes = text.endswith("m")
        try:
            number = float(text[:-1]) if minutes else int(text)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            raise ValueError(f"got {text!r}, expected steps such as 500 or minutes such as 10m")
        return cls(seconds=number * 60) if minutes else cls(steps=number)


def _parse_units(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"got {text!r}, expected whole numbers such as 32,32,32") from None


def _parse_names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


@dataclass(frozen=True)
class Config:
    """The options of a training run.

    What is None follows the dataset; see `trainer.settings`. data: of one dataset, or of each of a
    chain. batch_size: of all replicas together. devices: () are all devices of the machine.

    Raises:
        UsageError: a value is outside the limits of its flag, or two values exclude each other.
    """

    data: tuple[str, ...] = flag(DATA_HELP, metavar="DIR", is_path=True)
    output: str = flag("run directory to write", metavar="DIR", is_path=True)
    from_: str | None = flag(
        "begin with the weights of this complete run, on a dataset with its alphabet",
        default=None,
        metavar="RUN",
        is_path=True,
    )
    representation: str | None = flag(
        "input of the model (default: ngrams, or one_hot for one_hot records)",
        default=None,
        choices=(NGRAMS, "embedding", "one_hot", "scalar"),
    )
    ngram_max: int = flag(
        "longest n-gram of --representation ngrams", default=5, metavar="N", minimum=1
    )
    ngram_buckets: int | None = flag(
        "number of vectors that n-grams are hashed to, a power of two",
        default=None,
        metavar="N",
        minimum=2,
    )
    ngram_dropout: float | None = flag(
        "fraction of the n-grams to leave out of each step",
        default=None,
        metavar="FRACTION",
        minimum=0,
        below=1,
    )
    ensemble: int | None = flag(
        "LSTMs of --representation ngrams, trained side by side, whose answers are averaged",
        default=None,
        metavar="N",
        minimum=1,
    )
    units: tuple[int, ...] | None = flag(
        "units of each LSTM layer",
        default=None,
        metavar="N,N,…",
        parse=_parse_units,
        minimum=1,
    )
    embedding_dim: int | None = flag(
        "dimension of the vectors of characters, and of the n-grams that the LSTM reads",
        default=None,
        metavar="N",
        minimum=1,
    )
    dropout: float | None = flag(
        "fraction of the outputs of each LSTM layer to drop in training",
        default=None,
        metavar="FRACTION",
        minimum=0,
        below=1,
    )
    fold: int | None = flag(
        "fold of a dataset that was prepared with --folds: it is the test split, the next one the "
        "validation split, all others are the train split",
        default=None,
        metavar="I",
        minimum=0,
    )
    exclude: str | None = flag(EXCLUDE_HELP, default=None, metavar="FILE", is_path=True)
    epochs: int | None = flag("passes over the train split", default=None, metavar="N", minimum=1)
    batch_size: int | None = flag(
        "sequences per step, over all replicas", default=None, metavar="N", minimum=1
    )
    learning_rate: float | None = flag(
        "learning rate of the optimizer", default=None, metavar="RATE", above=0
    )
    schedule: str | None = flag(
        "schedule of the learning rate: cosine decays to 0 at the end of the last epoch, "
        "plateau halves it after two epochs without improvement",
        default=None,
        choices=("constant", "cosine", "plateau"),
    )
    optimizer: str = flag("optimizer", default="adam", choices=("rmsprop", "adam", "sgd"))
    clip_norm: float | None = flag(
        "clip the gradients to this global norm", default=None, metavar="NORM", above=0
    )
    class_weights: str = flag(
        "weights of the labels in the loss; balanced gives each label the same total weight, not "
        "counting weights of rows",
        default="none",
        choices=("none", "balanced"),
    )
    best_by: str | None = flag(
        "epoch to export: the one of the lowest loss or the highest accuracy on the validation "
        "split, or the last",
        default=None,
        choices=("loss", "accuracy", "last"),
    )
    early_stop: int = flag(
        "stop after this number of epochs without improvement; 0: never",
        default=0,
        metavar="EPOCHS",
        minimum=0,
    )
    cache: str = flag(
        "memory holds the train split there, one byte per character, and shuffles all of it "
        "in every epoch; none streams it and shuffles blocks",
        default="none",
        choices=("none", "memory"),
    )
    mixed_precision: bool = flag("compute in bfloat16, keep the weights in float32", default=False)
    strategy: str = flag(
        "distribution over devices; auto is multi_worker if TF_CONFIG names several workers, "
        "mirrored for two or more GPUs or two or more --devices, else none",
        default="auto",
        choices=("auto", "none", "mirrored", "multi_worker"),
    )
    devices: tuple[str, ...] = flag(
        "devices to train on, such as GPU:0,GPU:1; CPU:0,CPU:1 makes two logical CPUs "
        "(default: every GPU, else the CPU)",
        default=(),
        metavar="NAME,…",
        parse=_parse_names,
    )
    jit_compile: str = flag(
        "compile steps with XLA; auto does so on CPUs",
        default="auto",
        choices=("auto", "on", "off"),
    )
    steps_per_execution: int = flag(
        "steps per call of the compiled function", default=16, metavar="N", minimum=1
    )
    # numpy, which Keras seeds too, takes no more.
    seed: int = flag(
        "seed of the initial weights and of the order of rows",
        default=0,
        metavar="N",
        minimum=0,
        maximum=2**32 - 1,
    )
    checkpoint_every: Interval = flag(
        "save a checkpoint after this number of steps (500) or minutes (10m), besides the end "
        "of each epoch and SIGTERM",
        default=Interval(seconds=600),
        metavar="STEPS|MINUTESm",
        parse=Interval.parse,
    )
    keep: int = flag("number of checkpoints to keep", default=3, metavar="N", minimum=1)
    resume: str = flag(
        "resume an unfinished run from its newest checkpoint: auto does so if there is one, never "
        "starts anew, required (formerly must) fails without one",
        default="auto",
        choices=("auto", "never", *RESUME_REQUIRED),
    )
    overwrite: bool = flag(
        "replace an existing run, which stays until the new one is complete", default=False
    )
    trust_model: bool = flag(TRUST_MODEL_HELP, default=False)

    def __post_init__(self) -> None:
        check_data(self.data)
        check_local("--output", self.output)
        check_local("--from", self.from_ or "")
        check_local("--exclude", self.exclude or "")
        validate(self)
        require(self.units != (), "--units", self.units, "1 or more each")
        buckets = self.ngram_buckets
        is_power_of_two = buckets is None or buckets & (buckets - 1) == 0
        require(is_power_of_two, "--ngram-buckets", buckets, "a power of two such as 262144")
        several = len(self.data) > 1
        if several and self.fold is not None:
            raise UsageError("--fold: only with one --data: several datasets have no folds")
        self._check_devices()

    def _check_devices(self) -> None:
        for device in self.devices:
            matches = re.fullmatch(r"(CPU|GPU):\d+", device) is not None
            require(matches, "--devices", device, "names such as CPU:0 or GPU:1")
        names = ",".join(self.devices)
        distinct = len(set(self.devices)) == len(self.devices)
        require(distinct, "--devices", names, "each device once")
        fits_strategy = self.strategy != "none" or len(self.devices) < 2
        require(fits_strategy, "--devices", names, "one device with --strategy none")

    def to_toml(self) -> str:
        """Return the options that differ from their defaults, without secrets, for `--options`."""
        paths = {name: self.to_json().get(name) for name in ("data", "exclude")}
        values = {**changed_options(self), **{name: path for name, path in paths.items() if path}}
        for name in ("output", "overwrite", "resume", "trust_model"):
            values.pop(name, None)
        return to_toml(values, "python -m trainer --options options.toml --output DIR")

    def to_json(self) -> dict[str, Any]:
        """Return the options as they were requested, as `run.json` holds them: without secrets."""
        addresses = {"data": data_to_json(self.data), "output": redact(self.output)}
        options = {**asdict(self), **addresses, "checkpoint_every": str(self.checkpoint_every)}
        if self.exclude is None:
            del options["exclude"]  # So that other runs have the run.json that they always had.
        else:
            options["exclude"] = os.path.abspath(self.exclude)
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in options.items()
        }


def data_to_json(data: Sequence[str]) -> str | list[str]:
    """Return `--data` as JSON files hold it, without secrets: several datasets as a list.

    Absolute, so that they are found from any directory.
    """
    paths = [redact(path if is_address(path) else os.path.abspath(path)) for path in data]
    return paths[0] if len(paths) == 1 else paths


def data_from_json(data: str | Sequence[str]) -> tuple[str, ...]:
    """Return the `--data` that `data_to_json` returned."""
    return (data,) if isinstance(data, str) else tuple(data)


def parse_command_line(argv: Sequence[str] | None) -> Config:
    """Return the options of a run.

    Raises:
        UsageError, SystemExit: as `charseq.flags.parse`.
    """
    parser = make_parser(
        Config,
        prog="python -m trainer",
        description="Train a stacked LSTM on a prepared dataset and export it as a SavedModel that "
        "takes strings.",
        epilog="Exit status: 0 done, 1 the data cannot be used or the run failed, "
        "2 the command line is wrong, 130 ended by SIGINT, 143 by SIGTERM with a checkpoint.",
    )
    return parse(Config, parser, argv)
