"""The memory that a training takes at least, by its options: known before any work."""

from __future__ import annotations

from charseq.errors import UsageError
from charseq.manifest import Manifest
from charseq.process.machine import format_bytes, memory_bytes
from trainer.config import Config

# Numbers of 4 bytes for each weight: itself, its gradient, and what the optimizer keeps of it.
_NUMBERS_PER_WEIGHT = {"sgd": 2, "rmsprop": 3, "adam": 4}


def count_weights(config: Config, manifest: Manifest) -> int:
    """Return the number of weights of the model."""
    default = "one_hot" if manifest.encoding == "one_hot" else "embedding"
    representation = config.representation or default
    embeds = representation in ("embedding", "ngrams")
    dim = config.embedding_dim if embeds else 0
    width = dim if embeds else {"one_hot": manifest.alphabet_size, "scalar": 1}[representation]
    count = (manifest.unknown_id + 1) * dim
    if representation == "ngrams":
        count += 2 * dim * config.ngram_buckets
    for units in config.units:
        count += 4 * units * (width + units + 1)
        width = units
    return count + (width + 1) * len(manifest.labels)


def batch_bytes(config: Config, manifest: Manifest) -> int:
    """Return the bytes of a batch as it is read: ids of 8 bytes, or floats of 4."""
    one_hot = manifest.encoding == "one_hot"
    position = 4 * manifest.alphabet_size if one_hot else 8
    rows = min(config.batch_size, manifest.records("train"))
    return rows * manifest.max_length * position


def check_memory(config: Config, manifest: Manifest) -> None:
    """Check that this process may take the memory that a training takes at least.

    Raises:
        UsageError: it may not.
    """
    available = memory_bytes()
    weights = 4 * _NUMBERS_PER_WEIGHT[config.optimizer] * count_weights(config, manifest)
    if weights > available:
        units = ",".join(map(str, config.units))
        raise UsageError(
            f"--units {units} with --embedding-dim {config.embedding_dim}: the weights and what "
            f"--optimizer {config.optimizer} keeps of them take {format_bytes(weights)}, more than "
            f"the {format_bytes(available)} of memory here; choose smaller ones"
        )
    batch = batch_bytes(config, manifest)
    if weights + batch > available:
        raise UsageError(
            f"--batch-size {config.batch_size}: a batch of sequences of {manifest.max_length} "
            f"positions takes {format_bytes(batch)}, more than is left of the "
            f"{format_bytes(available)} of memory here; choose a smaller one"
        )
