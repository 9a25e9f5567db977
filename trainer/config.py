"""Every option of a training run, checked once, and the flags that set them."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from charseq.errors import UsageError
from trainer.data.files import check_local

REPRESENTATIONS = ("embedding", "one_hot", "scalar")
OPTIMIZERS = ("rmsprop", "adam", "sgd")
STRATEGIES = ("auto", "none", "mirrored", "multi_worker")
JIT_COMPILE = ("auto", "on", "off")
CACHES = ("none", "memory")
SCHEDULES = ("constant", "cosine", "plateau")
CLASS_WEIGHTS = ("none", "balanced")
RESUME = ("auto", "never", "must")


class Interval(NamedTuple):
    """So many steps, or so many seconds, whatever is over first."""

    steps: float = math.inf
    seconds: float = math.inf

    def __str__(self) -> str:
        return f"{self.seconds / 60:g}m" if self.steps == math.inf else f"{self.steps:g}"

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Steps such as 500, or minutes such as 10m or 0.5m.

        Raises:
            ValueError: it is neither, or not above 0.
        """
        minutes = text.endswith("m")
        number = float(text[:-1]) if minutes else int(text)
        if not 0 < number < math.inf:
            raise ValueError(text)
        return cls(seconds=number * 60) if minutes else cls(steps=number)


_TEN_MINUTES = Interval(seconds=600)


@dataclass(frozen=True)
class Config:
    """The options that decide what is trained; each default stands only here.

    representation None follows the records: embedding for ids, one_hot for one_hot.
    batch_size is global: the replicas share it. devices () are all there are.

    Raises:
        UsageError: a value is outside what its flag takes.
    """

    data: str
    output: str
    representation: str | None = None
    units: tuple[int, ...] = (32, 32, 32)
    embedding_dim: int = 16
    dropout: float = 0.0
    epochs: int = 5
    batch_size: int = 512
    learning_rate: float = 0.01
    schedule: str = "constant"
    optimizer: str = "adam"
    clip_norm: float | None = None
    class_weights: str = "none"
    early_stop: int = 0
    cache: str = "none"
    mixed_precision: bool = False
    strategy: str = "auto"
    devices: tuple[str, ...] = ()
    jit_compile: str = "auto"
    steps_per_execution: int = 16
    seed: int = 0
    checkpoint_every: Interval = _TEN_MINUTES
    keep: int = 3
    resume: str = "auto"
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_local("--output", self.output)
        _require(bool(self.units) and min(self.units) >= 1, "--units", self.units, "1 or more each")
        for name in ("embedding_dim", "epochs", "batch_size", "keep", "steps_per_execution"):
            value = getattr(self, name)
            _require(value >= 1, f"--{name.replace('_', '-')}", value, "1 or more")
        finite = 0 < self.learning_rate < float("inf")
        _require(finite, "--learning-rate", self.learning_rate, "a number above 0")
        # numpy, which Keras seeds too, takes no more.
        _require(0 <= self.seed < 2**32, "--seed", self.seed, "0 to 2**32 - 1")
        for device in self.devices:
            named = re.fullmatch(r"(CPU|GPU):\d+", device)
            _require(named is not None, "--devices", device, "names such as CPU:0 or GPU:1")
        once = len(set(self.devices)) == len(self.devices)
        _require(once, "--devices", ",".join(self.devices), "each device once")
        _require(0 <= self.dropout < 1, "--dropout", self.dropout, "0 or more and below 1")
        _require(self.early_stop >= 0, "--early-stop", self.early_stop, "0 or more")
        clipped = self.clip_norm is None or 0 < self.clip_norm < float("inf")
        _require(clipped, "--clip-norm", self.clip_norm, "a number above 0")
        one = self.strategy != "none" or len(self.devices) < 2
        _require(one, "--devices", ",".join(self.devices), "one device with --strategy none")

    def to_json(self) -> dict[str, Any]:
        """Every option as it was asked for, as JSON keeps it."""
        options = {**asdict(self), "checkpoint_every": str(self.checkpoint_every)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in options.items()
        }


def _require(holds: bool, flag: str, value: object, expected: str) -> None:
    if not holds:
        raise UsageError(f"{flag}: got {value!r}, expected {expected}")


def parse_command_line(argv: Sequence[str] | None) -> Config:
    """The options of a run.

    Raises:
        UsageError: a value is outside what its flag takes.
        SystemExit: argparse's own: --help, or a flag that cannot be read (status 2).
    """
    return Config(**vars(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    default = {field.name: field.default for field in fields(Config)}
    parser = argparse.ArgumentParser(
        prog="python -m trainer",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        description="Train a stacked LSTM on a prepared dataset; export it to take raw strings.",
        epilog="Exit status: 0 done, 1 the data cannot be used or the run failed, "
        "2 the command line is wrong, 143 ended by SIGTERM with a checkpoint.",
    )

    def add(flag: str, text: str, **settings: object) -> None:
        shown = default[flag[2:].replace("-", "_")]
        if isinstance(shown, Interval):
            shown = str(shown)
        elif isinstance(shown, tuple) and shown:
            shown = ",".join(map(str, shown))
        if isinstance(shown, (str, int, float)) and not isinstance(shown, bool):
            text = f"{text} (default: {shown})"
        parser.add_argument(flag, help=text, **settings)  # type: ignore[arg-type]

    add("--data", "dataset directory that python -m pipeline wrote, local, s3:// or gs://",
        required=True, metavar="DIR")  # fmt: skip
    add("--output", "run directory to write", required=True, metavar="DIR")
    add("--representation", "what the first LSTM layer gets (default: embedding, or one_hot for "
        "one_hot records)", choices=REPRESENTATIONS)  # fmt: skip
    add("--units", "width of each LSTM layer", type=_integers, metavar="N,N,…")
    add("--embedding-dim", "width of the embedding", type=int, metavar="N")
    add("--dropout", "share of what each LSTM layer gives that is left out while training",
        type=float, metavar="SHARE")  # fmt: skip
    add("--epochs", "passes over the train split", type=int, metavar="N")
    add("--batch-size", "sequences in a step, over all replicas", type=int, metavar="N")
    add("--learning-rate", "of the optimizer", type=float, metavar="RATE")
    add("--schedule", "of the learning rate: cosine goes down to 0 with the last epoch, plateau "
        "halves it after two epochs without a better one", choices=SCHEDULES)  # fmt: skip
    add("--optimizer", "what applies the gradients", choices=OPTIMIZERS)
    add("--clip-norm", "scale gradients down whose norm, of all together, is above this",
        type=float, metavar="NORM")  # fmt: skip
    add("--class-weights", "of the loss; balanced lets each label weigh the same",
        choices=CLASS_WEIGHTS)  # fmt: skip
    add("--early-stop", "end after so many epochs without a better one; 0: never", type=int,
        metavar="EPOCHS")  # fmt: skip
    add("--cache", "memory keeps the train split there, a byte a character, and shuffles all of "
        "it in every epoch; none streams it, shuffled in blocks", choices=CACHES)  # fmt: skip
    add("--mixed-precision", "compute in bfloat16, keep the weights in float32",
        action="store_true")  # fmt: skip
    add("--strategy", "one device or several; auto is multi_worker where TF_CONFIG names workers, "
        "mirrored for two or more GPUs, or two or more --devices, else none",
        choices=STRATEGIES)  # fmt: skip
    add("--devices", "to train on, such as GPU:0,GPU:1; CPU:0,CPU:1 makes two logical CPUs "
        "(default: every GPU, else the CPU)", type=_names, metavar="NAME,…")  # fmt: skip
    add("--jit-compile", "compile steps with XLA; auto does so on CPUs",
        choices=JIT_COMPILE)  # fmt: skip
    add("--steps-per-execution", "taken before Python looks again", type=int, metavar="N")
    add("--seed", "of the first weights and of the order of rows", type=int, metavar="N")
    add("--checkpoint-every", "save after so many steps (500) or minutes (10m), besides the "
        "end of each epoch and SIGTERM", type=_interval, metavar="STEPS|MINUTESm")  # fmt: skip
    add("--keep", "how many checkpoints stay", type=int, metavar="N")
    add("--resume", "go on where a run that did not finish was: auto does so if there is one, "
        "never begins anew, must fails without one", choices=RESUME)  # fmt: skip
    add("--overwrite", "replace a run that is already there", action="store_true")
    return parser


def _integers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        message = f"got {text!r}, expected whole numbers such as 32,32,32"
        raise argparse.ArgumentTypeError(message) from None


def _interval(text: str) -> Interval:
    try:
        return Interval.parse(text)
    except ValueError:
        message = f"got {text!r}, expected steps such as 500 or minutes such as 10m"
        raise argparse.ArgumentTypeError(message) from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))
