"""A loaded model, and its predictions for a column of sequences."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from charseq.errors import DataError
from charseq.models.batches import batch_rows
from charseq.models.probabilities import Probabilities, find_probabilities
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
    load_saved_model,
)
from pipeline.predict.characters import CharacterCounts, add_characters, count_characters
from pipeline.predict.model import Model, read_model
from pipeline.predict.sets import SetRule, find_sets
from pipeline.runtime.filesystems import local_tree

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class Predictions(NamedTuple):
    """The predictions for n sequences.

    label: (n,) string. probability: (n,) float32, that of the label. characters: of the sequences.
    others: the next most probable labels and their probabilities, in order. sets: of labels, (n,),
    and strangeness: (n,) float32; None if they are not wanted.
    """

    label: pa.StringArray
    probability: Floats
    characters: CharacterCounts
    others: list[tuple[pa.StringArray, Floats]]
    sets: pa.ListArray | None = None
    strangeness: Floats | None = None


# See `Classifier.classify`; Observe: the same for a batch, without positions.
Compare = Callable[[Ints, Floats, Ints], None]
Observe = Callable[[Floats, Ints], None]
Best = list[tuple[pa.StringArray, Floats]]  # The most probable label, the next one and so on.


class _Batch(NamedTuple):
    """The predictions for a batch."""

    best: Best
    characters: CharacterCounts
    sets: pa.ListArray | None
    strangeness: Floats | None


# Threads that need the model at the same time wait for one of them to fetch and load it.
_load_lock = threading.Lock()


def load_classifier(model: Model, trust_model: bool = False) -> Classifier:
    """Return the loaded model; it is loaded once in a process.

    Args:
        model: what to load.
        trust_model: load it even if it does more than compute.

    Raises:
        DataError: it cannot be loaded, is no longer as `model` says, does more than compute, or
            does not predict labels.
    """
    with _load_lock:
        return _load(model, trust_model)


@lru_cache(maxsize=1)
def _load(model: Model, trust_model: bool) -> Classifier:
    if read_model(model.directory) != model:
        raise DataError(f"{model.directory}: the model changed while it was used")
    _use_calling_threads()
    with local_tree(model.directory) as local:
        loaded = load_saved_model(local, model.directory, trust_model)
    _check_signature(model.directory, loaded, CLASSIFY, {SEQUENCE}, {LABEL, PROBABILITY})
    _check_signature(model.directory, loaded, ENCODE, {SEQUENCE}, {IDS, LENGTH})
    if CLASSIFY_IDS in loaded.signatures:
        _check_signature(model.directory, loaded, CLASSIFY_IDS, {IDS, LENGTH}, {PROBABILITIES})
    return Classifier(model, loaded)


def _use_calling_threads() -> None:
    """Have TensorFlow compute in the threads that call it, unless it has begun to compute.

    They are as many as the cores. That several of them share TensorFlow's own threads as well, for
    operations of microseconds, costs XLA a fifth more CPU time.
    """
    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)


def _check_signature(
    directory: str, loaded: Any, name: str, inputs: Collection[str], outputs: Collection[str]
) -> None:
    """Check that a loaded model has a signature with the inputs and outputs that are used here.

    Raises:
        DataError: it does not.
    """
    signature = loaded.signatures.get(name)
    takes = {} if signature is None else signature.structured_input_signature[1]
    gives = {} if signature is None else signature.structured_outputs
    if set(takes) != set(inputs) or not set(outputs) <= set(gives):
        raise DataError(
            f"{directory}: signature {name} takes {sorted(takes)} and gives {sorted(gives)}; "
            f"expected to take {sorted(inputs)} and to give "
            f"{' and '.join(map(repr, sorted(outputs)))}"
        )


class Classifier:
    """A loaded model; several threads may use it at once."""

    def __init__(self, model: Model, loaded: Any) -> None:
        self._model = model
        self._directory = model.directory
        self._loaded = loaded  # The lookup tables of its graph live as long as it.
        self._labels = pa.array(model.labels, pa.string())
        self._batch_rows = batch_rows(model.max_length)
        # Earlier versions exported no signature from ids.
        has_ids = CLASSIFY_IDS in loaded.signatures
        self._probabilities = find_probabilities(loaded, model) if has_ids else None

    def classify(
        self,
        sequence: pa.StringArray,
        top: int = 1,
        compare: Compare | None = None,
        rule: SetRule | None = None,
        strangeness: bool = False,
    ) -> Predictions:
        """Return the predictions for a column of n sequences, in its order.

        Args:
            sequence: (n,) string.
            top: the number of labels, at most; a model may have fewer.
            compare: called for each batch with the positions of its rows among the n, (rows,),
                their probabilities, (rows, labels), and their lengths, (rows,).
            rule: of sets of labels, if they are wanted.
            strangeness: whether it is wanted; the model must give it.

        Raises:
            DataError: the model fails, or gives something that is not a probability.
        """
        # A batch takes as long as its longest sequence.
        order = np.argsort(pc.utf8_length(sequence).to_numpy(), kind="stable")
        by_length = sequence.take(pa.array(order))
        batches = []
        for start in range(0, len(sequence), self._batch_rows):
            rows = order[start : start + self._batch_rows]
            observe = partial(compare, rows) if compare else None
            texts = by_length.slice(start, len(rows))
            batches.append(self._classify_batch(texts, top, observe, rule, strangeness))
        place = np.argsort(order)
        sets = [batch.sets for batch in batches if batch.sets is not None]
        strange = [batch.strangeness for batch in batches if batch.strangeness is not None]
        (label, probability), *others = (
            (
                pa.concat_arrays([label for label, _ in rank]).take(pa.array(place)),
                np.concatenate([probability for _, probability in rank])[place],
            )
            for rank in zip(*(batch.best for batch in batches), strict=True)
        )
        return Predictions(
            label,
            probability,
            add_characters(batch.characters for batch in batches),
            others,
            pa.concat_arrays(sets).take(pa.array(place)) if sets else None,
            np.concatenate(strange)[place] if strange else None,
        )

    def _classify_batch(
        self,
        sequence: pa.StringArray,
        top: int,
        observe: Observe | None,
        rule: SetRule | None,
        strangeness: bool,
    ) -> _Batch:
        """Return the predictions for a batch of sequences, which may be the last and not full."""
        texts = tf.constant(sequence.cast(pa.binary()).to_numpy(zero_copy_only=False))
        try:
            encoded = self._loaded.signatures[ENCODE](**{SEQUENCE: texts})
            ids, length = encoded[IDS].numpy(), encoded[LENGTH].numpy()
            if self._probabilities:
                of_all = self._all_probabilities(self._probabilities, ids, length)
                best = self._find_best(of_all, top)
            else:
                self._check_one_label(top, observe, rule)
                best = self._classify_texts(texts)
            strange = self._measure_strangeness(encoded) if strangeness else None
        except tf.errors.OpError as error:
            raise DataError(f"{self._directory}: the model fails: {_first_line(error)}") from error
        for _, probability in best:
            self._check_probability(probability)
        if observe:
            observe(of_all, length)
        sets = find_sets(of_all, self._labels, rule) if rule else None
        characters = count_characters(sequence, ids, length, self._model.unknown_id)
        return _Batch(best, characters, sets, strange)

    def check_gives_strangeness(self) -> None:
        """Check that the model says how strange a sequence is.

        Raises:
            DataError: it does not.
        """
        if STRANGENESS_IDS not in self._loaded.signatures:
            raise DataError(
                f"{self._directory} does not say how strange a sequence is: train a model with "
                "this version on a dataset with validation rows, or leave out --with-strangeness"
            )

    def _measure_strangeness(self, encoded: Mapping[str, tf.Tensor]) -> Floats:
        outputs = self._loaded.signatures[STRANGENESS_IDS](
            **{IDS: encoded[IDS], LENGTH: encoded[LENGTH]}
        )
        strangeness: Floats = outputs[STRANGENESS].numpy()
        return strangeness

    def _all_probabilities(self, probabilities: Probabilities, ids: Ints, length: Ints) -> Floats:
        """Return the probabilities of all labels of n sequences, (n, labels), by their ids."""
        missing = self._batch_rows - len(length)
        padded_ids = tf.constant(np.pad(ids, ((0, missing), (0, 0))))
        padded_length = tf.constant(np.pad(length, (0, missing), constant_values=1))
        of_all: Floats = probabilities(padded_ids, padded_length).numpy()[: len(length)]
        return of_all

    def _find_best(self, of_all: Floats, top: int) -> Best:
        """Return the most probable labels of n sequences, and their probabilities."""
        if top == 1:
            return [(self._labels.take(pa.array(of_all.argmax(axis=1))), of_all.max(axis=1))]
        # Sorting is stable: of equally probable labels the lower id comes first.
        order = np.argsort(-of_all, axis=1, kind="stable")[:, :top]
        return [
            (self._labels.take(pa.array(place)), of_all[np.arange(len(of_all)), place])
            for place in order.T
        ]

    def _check_one_label(self, top: int, observe: Observe | None, rule: SetRule | None) -> None:
        """Check that no more is wanted than a model without a signature from ids gives.

        Raises:
            DataError: more than one label, or the probabilities of all are wanted.
        """
        if top > 1 or observe or rule:
            flag = f"--top {top}" if top > 1 else "--label-column" if observe else "--coverage"
            raise DataError(
                f"{self._directory}: a model of an earlier version gives one label and its "
                f"probability, which is not enough for {flag}; train it again"
            )

    def _classify_texts(self, texts: tf.Tensor) -> Best:
        """Return the labels of n sequences and their probabilities, as a server of the model."""
        outputs = self._loaded.signatures[CLASSIFY](**{SEQUENCE: texts})
        label = pa.array(outputs[LABEL].numpy(), pa.binary()).cast(pa.string())
        return [(label, outputs[PROBABILITY].numpy())]

    def _check_probability(self, probability: Floats) -> None:
        wrong = probability[~((probability >= 0) & (probability <= 1))]
        if len(wrong):
            raise DataError(
                f"{self._directory}: the model gives {wrong[0]} where 0 to 1 was expected"
            )


def _first_line(error: tf.errors.OpError) -> str:
    return next(iter(str(error.message).strip().splitlines()), type(error).__name__)
