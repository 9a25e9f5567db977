"""The signature `serving_default`, computed by XLA in a few sizes of batches.

XLA compiles a program for each number of rows. So batches are filled up to one of some sizes, which
are compiled before the first request. It gives what the model's own graph gives, but for float32's
last digits, which `charseq.server.model.checks` compares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from charseq.manifest import Manifest
from charseq.models.batches import batch_rows
from charseq.models.probabilities import find_probabilities
from charseq.models.saved_model import (
    CLASSIFY,
    CLASSIFY_IDS,
    ENCODE,
    IDS,
    LABEL,
    LENGTH,
    PROBABILITIES,
    PROBABILITY,
    SEQUENCE,
    STRANGENESS,
    STRANGENESS_IDS,
    SURPRISE,
)
from charseq.server.model.messages import Array, Counted

if TYPE_CHECKING:
    import tensorflow as tf

# Compiled before a model is ready; each takes a second or two.
_SIZES = (1, 16, 64)
# Up to this size a batch takes nearly as long, whether it is full or not.
_WORTH_DIVIDING = 16
_UNKNOWN, _NUMBER = "unknown", "number"


class BatchClassifier:
    """What `serving_default` answers.

    Args:
        loaded: a model of the trainer.
        manifest: of its dataset.
    """

    def __init__(self, loaded: Any, manifest: Manifest) -> None:
        self._loaded = loaded
        self._manifest = manifest
        self._outputs = set(loaded.signatures[CLASSIFY].structured_outputs)
        self._labels = {label.encode("utf-8"): at for at, label in enumerate(manifest.labels)}
        compute = self._from_ids(_SIZES[1]) or _from_text(loaded)
        self._compute = dict.fromkeys(_SIZES, compute)

    def compile(self) -> None:
        """Compute a batch of each size."""
        import tensorflow as tf

        for size, compute in self._compute.items():
            compute(tf.constant([b"a"] * size))

    def compile_largest(self) -> None:
        """Compute a batch of the most rows, and from then on large ones of that size.

        Requests may be answered meanwhile.
        """
        import tensorflow as tf

        rows = batch_rows(self._manifest.max_length)
        if rows > _SIZES[-1] and (compute := self._from_ids(rows)):
            compute(tf.constant([b"a"] * rows))
            self._compute = {**self._compute, rows: compute}

    def __call__(self, texts: Array) -> tuple[dict[str, Array], Counted]:
        """Return the outputs of `serving_default`, and counts for metrics.

        Args:
            texts: (rows,) bytes, one row or more.

        Raises:
            tf.errors.OpError: the model fails.
        """
        import tensorflow as tf

        parts: list[dict[str, Array]] = []
        start, compute = 0, self._compute
        for rows, size in fill_sizes(len(texts), list(compute)):
            part = texts[start : start + rows]
            filled = np.concatenate([part, np.full(size - rows, part[-1], object)])
            computed = compute[size](tf.constant(filled))
            parts.append({name: value.numpy()[:rows] for name, value in computed.items()})
            start += rows
        outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return {name: outputs[name] for name in self._outputs}, self._count(outputs)

    def _from_ids(self, rows: int) -> Any:
        """Return a function that encodes texts and has XLA compute the rest; None if it cannot.

        rows: of the batch that it is tried with.
        """
        import tensorflow as tf

        manifest, signatures = self._manifest, self._loaded.signatures
        encode, strange = signatures.get(ENCODE), signatures.get(STRANGENESS_IDS)
        known = {LABEL, PROBABILITY, PROBABILITIES} | (
            {SURPRISE, STRANGENESS} if strange else set()
        )
        has_ids = CLASSIFY_IDS in signatures and encode is not None
        if not has_ids or LENGTH not in encode.structured_outputs or self._outputs != known:
            return None
        probabilities = find_probabilities(self._loaded, manifest, rows)
        names = tf.constant(manifest.labels)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
        def compute(sequence: tf.Tensor) -> dict[str, tf.Tensor]:
            encoded = encode(**{SEQUENCE: sequence})
            ids, length = encoded[IDS], encoded[LENGTH]
            of_all = probabilities(ids, length)
            best = tf.argmax(of_all, axis=1)
            answer = {
                LABEL: tf.gather(names, best),
                PROBABILITY: tf.reduce_max(of_all, axis=1),
                PROBABILITIES: of_all,
                LENGTH: length,
                _NUMBER: best,
                _UNKNOWN: tf.math.count_nonzero(ids == manifest.unknown_id, axis=1),
            }
            return answer if strange is None else answer | strange(**{IDS: ids, LENGTH: length})

        return compute

    def _count(self, outputs: Mapping[str, Array]) -> Counted:
        if _NUMBER in outputs:
            numbers, times = np.unique(outputs[_NUMBER], return_counts=True)
        else:
            labels, times = np.unique(outputs[LABEL].astype("S"), return_counts=True)
            numbers = np.array([self._labels.get(label, -1) for label in labels])
        return Counted(
            dict(zip(numbers.tolist(), times.tolist(), strict=True)),
            int(outputs[LENGTH].sum()) if LENGTH in outputs else 0,
            int(outputs[_UNKNOWN].sum()) if _UNKNOWN in outputs else 0,
            outputs.get(STRANGENESS, np.zeros(0, np.float32)),
        )


def fill_sizes(rows: int, sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return the parts in which rows are computed: their rows, and the size they are filled up to.

    Args:
        rows: one or more.
        sizes: ascending. A part that would not fill half of a large one is divided.
    """
    parts = []
    while rows:
        at = next((at for at, size in enumerate(sizes) if size >= rows), len(sizes) - 1)
        if at and sizes[at - 1] >= _WORTH_DIVIDING and rows < sizes[at] / 2:
            at -= 1
        parts.append((min(rows, sizes[at]), sizes[at]))
        rows -= parts[-1][0]
    return parts


def _from_text(loaded: Any) -> Any:
    signature = loaded.signatures[CLASSIFY]
    return lambda sequence: signature(**{SEQUENCE: sequence})
