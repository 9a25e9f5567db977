"""The memory that a training takes at least, by its options: known before any work."""

from __future__ import annotations

from charseq.errors import UsageError
from charseq.manifest import Manifest
from charseq.process.machine import format_bytes, memory_bytes
from trainer.config import NGRAMS
from trainer.settings import Settings

# Numbers of 4 bytes for each weight: itself, its gradient, and what the optimizer keeps of it.
_NUMBERS_PER_WEIGHT = {"sgd": 2, "rmsprop": 3, "adam": 4}


def count_weights(settings: Settings, manifest: Manifest) -> int:
    """Return the number of weights of the model."""
    representation = settings.representation
    embeds = representation in ("embedding", NGRAMS)
    dim = settings.embedding_dim if embeds else 0
    width = dim if embeds else {"one_hot": manifest.alphabet_size, "scalar": 1}[representation]
    count = (manifest.unknown_id + 1) * dim
    for units in settings.units:
        count += 4 * units * (width + units + 1)
        width = units
    count += (width + 1) * len(manifest.labels)
    if representation != NGRAMS:
        return count
    vectors = dim * settings.ngram_buckets  # The bag has its own.
    return settings.ensemble * (count + vectors) + vectors


def batch_bytes(settings: Settings, manifest: Manifest) -> int:
    """Return the bytes of a batch as it is read: ids of 8 bytes, or floats of 4."""
    one_hot = manifest.encoding == "one_hot"
    position = 4 * manifest.alphabet_size if one_hot else 8
    rows = min(settings.batch_size, manifest.records("train"))
    return rows * manifest.max_length * position


def check_memory(settings: Settings, manifest: Manifest) -> None:
    """Check that this process may take the memory that a training takes at least.

    Raises:
        UsageError: it may not.
    """
    available = memory_bytes()
    weights = 4 * _NUMBERS_PER_WEIGHT[settings.optimizer] * count_weights(settings, manifest)
    if weights > available:
        units = ",".join(map(str, settings.units))
        raise UsageError(
            f"--units {units} with --embedding-dim {settings.embedding_dim}: the weights and what "
            f"--optimizer {settings.optimizer} keeps of them take {format_bytes(weights)}, more "
            f"than the {format_bytes(available)} of memory here; choose smaller ones"
        )
    batch = batch_bytes(settings, manifest)
    if weights + batch > available:
        raise UsageError(
            f"--batch-size {settings.batch_size}: a batch of sequences of {manifest.max_length} "
            f"positions takes {format_bytes(batch)}, more than is left of the "
            f"{format_bytes(available)} of memory here; choose a smaller one"
        )
