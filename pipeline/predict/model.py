"""An exported model: the directory, the dataset it was trained on, and the digests of its files."""

from __future__ import annotations

from dataclasses import dataclass, field

from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError
from charseq.files import FileDigest
from charseq.manifest import parse_manifest
from charseq.models.saved_model import DATASET_ASSET, SAVED_MODEL_FILE
from charseq.text.normalization import Normalization
from pipeline.compare.profile import Named, profile_of_dataset
from pipeline.runtime.filesystems import digest_file, list_tree, open_file


@dataclass(frozen=True)
class Model:
    """A SavedModel directory and its content.

    fingerprint: of the dataset that it was trained on. max_length: the length at which it cuts
    sequences. alphabet: its characters; others get the id `unknown_id`. labels: in the order of its
    probabilities. normalization: of the sequences of the dataset. files: all its files, by their
    path in `directory`. train: the profile of the
    rows that it was trained on.
    """

    directory: str
    fingerprint: str
    max_length: int
    alphabet: str
    unknown_id: int
    labels: tuple[str, ...]
    normalization: Normalization
    files: tuple[FileDigest, ...]
    train: Named = field(compare=False)

    @property
    def train_counts(self) -> tuple[int, ...]:
        """The train rows of each label."""
        rows = self.train.profile.labels or {}
        return tuple(rows.get(label, 0) for label in self.labels)


def read_model(directory: str) -> Model:
    """Read all files of a SavedModel directory once.

    Raises:
        DataError: it is no SavedModel, or has no manifest of the dataset it was trained on.
    """
    directory = directory.rstrip("/")
    if not FileSystems.exists(FileSystems.join(directory, SAVED_MODEL_FILE)):
        raise DataError(
            f"{directory} holds no {SAVED_MODEL_FILE}: not a SavedModel{_suggest_model(directory)}"
        )
    paths = {path[len(directory) + 1 :]: path for path in list_tree(directory)}
    if DATASET_ASSET not in paths:
        raise DataError(
            f"{directory} holds no {DATASET_ASSET}: not a model that the trainer exported"
        )
    with open_file(paths[DATASET_ASSET]) as file:
        manifest = parse_manifest(file.read(), paths[DATASET_ASSET])
    files = tuple(digest_file(path, name) for name, path in sorted(paths.items()))
    return Model(
        directory,
        manifest.fingerprint,
        manifest.max_length,
        "".join(manifest.alphabet),
        manifest.unknown_id,
        manifest.labels,
        manifest.normalization,
        files,
        profile_of_dataset(manifest, None, f"the dataset of {directory}"),
    )


def _suggest_model(directory: str) -> str:
    """Return a question about the model below `directory`: of a run, or a registry's newest."""
    parts = [path[len(directory) + 1 :].split("/") for path in list_tree(directory)]
    models = [f"{directory}/{name[0]}" for name in parts if name[1:] == [SAVED_MODEL_FILE]]
    # Versions of a registry are numbers: the longer name is the newer version.
    newest = max(models, key=lambda path: (len(path), path), default=None)
    return "" if newest is None else f"; did you mean --model {newest}?"
