"""The options of a run that its dataset decides, where the user leaves them open."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from charseq.errors import DataError
from charseq.manifest import Manifest
from trainer.config import NGRAMS, Config
from trainer.data.dataset import Dataset
from trainer.parent import Parent, options_from

# Of the default training: a batch for every so many rows of the train split, and so many characters
# in all epochs together. Both end in limits.
_ROWS_PER_BATCH_ROW = 200
_BATCH_SIZES = (16, 512)
_CHARACTERS_IN_ALL = 15_000_000
_MOST_EPOCHS = 12
# LSTMs whose answers are averaged, where that many take no longer than a training of many rows.
_MOST_LSTMS = 3
# With the most epochs; of the outputs of the LSTM, and of n-grams.
_DROPOUT, _NGRAM_DROPOUT = 0.3, 0.5
# The rates of the vectors of n-grams, in learning rates: of the bag, and of the LSTM in one epoch.
_BAG_RATE, _LSTM_RATE_OF_ONE_EPOCH = 400.0, 60.0
# Buckets for each character of the train split, a power of two within limits.
_BUCKETS_PER_CHARACTER = 4
_BUCKETS = (2**16, 2**20)


@dataclass(frozen=True)
class Settings(Config):
    """The options of a run, all resolved; the values here are those of the plain representations.

    representation: embedding, one_hot or scalar; or ngrams, whose other values follow the rows.
    """

    representation: str = "embedding"
    units: tuple[int, ...] = (32, 32, 32)
    embedding_dim: int = 16
    dropout: float = 0.0
    ensemble: int = 1
    ngram_buckets: int = 2
    ngram_dropout: float = 0.0
    epochs: int = 5
    batch_size: int = 512
    learning_rate: float = 0.01
    schedule: str = "constant"
    best_by: str = "loss"

    def chosen(self) -> dict[str, Any]:
        """Return the options that `Config` leaves open, as `run.json` holds them."""
        content = self.to_json()
        return {name: content[name] for name in Settings.__annotations__}


def resolve(config: Config, dataset: Dataset, parent: Parent | None = None) -> Settings:
    """Return the options of a run on a dataset; parent: what it goes on from.

    Raises:
        DataError: the records cannot be represented as requested, or not as for the parent.
        UsageError: an option is not the parent's, and must be.
    """
    given = {name: value for name, value in asdict(config).items() if value is not None}
    given["checkpoint_every"] = config.checkpoint_every
    if parent:
        given |= options_from(parent, config, dataset)
    representation = resolve_representation(given.get("representation"), dataset)
    defaults = ngram_defaults(dataset.manifest) if representation == NGRAMS else {}
    return Settings(**{**defaults, **given, "representation": representation})


def ngram_defaults(manifest: Manifest) -> Mapping[str, Any]:
    """Return what a training of n-grams takes from its rows.

    Few rows need small batches and many epochs, for enough updates of the weights, and dropout, as
    they are seen so often; many rows need neither. The learning rate falls to zero, and the weights
    at the end are the best.
    """
    rows, characters = manifest.records("train"), manifest.characters("train")
    epochs = _epochs(manifest)
    strength = math.sqrt(epochs / _MOST_EPOCHS)
    buckets = _BUCKETS_PER_CHARACTER * characters
    lstms = _CHARACTERS_IN_ALL // (epochs * characters)
    return {
        "ensemble": min(max(lstms, 1), _MOST_LSTMS),
        "units": (64,),
        "embedding_dim": 16,
        "dropout": round(_DROPOUT * strength, 2),
        "ngram_dropout": round(_NGRAM_DROPOUT * strength, 2),
        "ngram_buckets": _power_of_two(buckets, *_BUCKETS),
        "epochs": epochs,
        "batch_size": _power_of_two(rows // _ROWS_PER_BATCH_ROW, *_BATCH_SIZES),
        "learning_rate": 0.004,
        "schedule": "cosine",
        "best_by": "last",
    }


def table_rates(manifest: Manifest) -> tuple[float, float]:
    """Return the rates of the vectors of n-grams, of the bag and of the LSTM, in learning rates.

    A mean of many vectors may move faster than what an LSTM has learned to read; that must move the
    faster the fewer epochs there are.
    """
    return _BAG_RATE, _LSTM_RATE_OF_ONE_EPOCH / _epochs(manifest)


def describe_settings(settings: Settings, manifest: Manifest) -> str:
    """Return the most important options as a line for users, and what decided them."""
    units = ",".join(map(str, settings.units))
    layers = f"LSTM layers of {units} units"
    if settings.representation == NGRAMS and settings.ensemble > 1:
        layers = f"{settings.ensemble} times {layers}"
    line = (
        f"training {settings.representation} with {layers} on "
        f"{manifest.records('train'):,} rows of {len(manifest.labels):,} labels: "
        f"{settings.epochs} epochs in batches of {settings.batch_size}, learning rate "
        f"{settings.learning_rate:g} ({settings.schedule})"
    )
    if settings.representation == NGRAMS:
        line += f", {settings.ngram_buckets:,} n-gram buckets; the rows decide what no flag does"
    return line


def _epochs(manifest: Manifest) -> int:
    """Return the epochs of the default training.

    Long sequences need fewer than short ones: each tells more, and takes longer.
    """
    return min(math.ceil(_CHARACTERS_IN_ALL / manifest.characters("train")), _MOST_EPOCHS)


def _power_of_two(number: int, smallest: int, largest: int) -> int:
    """Return the smallest power of two that is at least `number`, within limits."""
    return min(max(1 << max(number - 1, 0).bit_length(), smallest), largest)


def resolve_representation(representation: str | None, dataset: Dataset) -> str:
    """Return the representation to train on: the requested one, or the default for the records.

    Raises:
        DataError: the records cannot be represented so.
    """
    if dataset.manifest.encoding == "ids":
        return representation or NGRAMS
    if representation not in (None, "one_hot"):
        raise DataError(
            f"--representation: got {representation!r}, expected 'one_hot' for the one_hot records "
            f"of {dataset.directory}; {representation!r} needs a dataset of --encoding ids"
        )
    return "one_hot"
