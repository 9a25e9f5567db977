"""The run whose weights another one begins with: what `--from` names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charseq.errors import DataError, UsageError
from charseq.files import sha256_of_file
from charseq.flags import flag_name
from charseq.models.saved_model import RUN_FILE
from trainer.config import Config
from trainer.data.dataset import Dataset
from trainer.run_directory import BEST_WEIGHTS, CHECKPOINTS, Run, read_run, read_run_json

# The options on which the shapes of the weights depend.
_SHAPE_OPTIONS = (
    "representation",
    "ngram_max",
    "ngram_buckets",
    "ensemble",
    "units",
    "embedding_dim",
)


@dataclass(frozen=True)
class Parent:
    """A complete run that another one goes on from.

    run: what it was trained on. options: those that the shapes of its weights depend on. weights:
    the file of its best ones. identity: what tells it from other runs, for `run.json`.
    """

    run: Run
    options: Mapping[str, Any]
    weights: str
    identity: Mapping[str, str]


def read_parent(directory: str) -> Parent:
    """Read what is known of a run that another one is to go on from.

    Raises:
        DataError: no complete run is there, or its weights are gone.
    """
    run = read_run(directory)
    weights = run.path(os.path.join(CHECKPOINTS, BEST_WEIGHTS))
    if not os.path.exists(weights):
        raise DataError(f"{weights}: missing, and --from begins with these weights")
    options = read_run_json(run.path(RUN_FILE))["options"]
    known = {name: options[name] for name in _SHAPE_OPTIONS if name in options}
    return Parent(
        run,
        {**known, "units": tuple(options["units"])},
        weights,
        {
            "run_json_sha256": sha256_of_file(run.path(RUN_FILE)),
            "weights_sha256": sha256_of_file(weights),
        },
    )


def options_from(parent: Parent, config: Config, dataset: Dataset) -> Mapping[str, Any]:
    """Return the options that a run takes from its parent.

    Raises:
        DataError: the dataset has another alphabet.
        UsageError: an option was given that the weights do not fit.
    """
    manifest = dataset.manifest
    mine = (manifest.alphabet, manifest.alphabet_size)
    if mine != (parent.run.alphabet, parent.run.alphabet_size):
        raise DataError(
            f"{dataset.directory}: its alphabet is another than that of {parent.run.directory}, "
            "whose weights have no meaning for it: prepare it with --alphabet-of, the dataset of "
            "that run"
        )
    for name, value in parent.options.items():
        given = getattr(config, name)
        if given is not None and given != value:
            raise UsageError(
                f"{flag_name(name)}: got {_as_given(given)}, expected {_as_given(value)} as in "
                f"{parent.run.directory}, with whose weights the run begins"
            )
    return parent.options


def _as_given(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
