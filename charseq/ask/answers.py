"""A loaded model, and its answers to sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from charseq.errors import DataError
from charseq.manifest import Manifest
from charseq.models.batches import batch_rows
from charseq.models.probabilities import Probabilities, find_probabilities
from charseq.models.saved_model import (
    CLASSIFY,
    CLASSIFY_IDS,
    COVERAGE,
    ENCODE,
    EXPLAIN,
    IDS,
    INFLUENCE,
    LABEL,
    LABELS,
    LENGTH,
    PREDICT_SET,
    PROBABILITY,
    SEQUENCE,
    SIZE,
    STRANGENESS,
    STRANGENESS_IDS,
    load_saved_model,
)
from charseq.process.machine import cpu_count
from charseq.text.normalization import BLANKS
from charseq.text.sequences import cut, normalize

if TYPE_CHECKING:
    import tensorflow as tf

# XLA takes as long to compile a model as the model's own graph takes for so many rows.
_ROWS_BEFORE_XLA = 1 << 14
_INFLUENCE_DECIMALS, _PROBABILITY_DECIMALS = 4, 6

# Lines of TensorFlow's messages that say nothing about what is wrong.
_BEFORE_REASONS = ("Graph execution error", "Detected at ", "<stack traces")

_T = TypeVar("_T")
_Floats = npt.NDArray[np.float32]
_Arrays = Mapping[str, npt.NDArray[Any]]


class Answer(NamedTuple):
    """What a model says about a sequence.

    probability: of the label. labels: the set that has the true label with the coverage that was
    asked for, the most probable one first. read: the characters that the model reads, and
    influence: that of each of them, in nats; see `trainer.export.explanation`. is_cut: whether it
    reads only the first characters. strangeness: 0 to 1. None stands for what was not asked for, or
    what the model does not say.
    """

    sequence: str
    label: str
    probability: float
    labels: tuple[str, ...] | None = None
    read: str | None = None
    influence: tuple[float, ...] | None = None
    is_cut: bool = False
    strangeness: float | None = None


class Rejected(NamedTuple):
    """A sequence without an answer; reason: as in the `rejected/` of a dataset."""

    sequence: str
    reason: str


INVALID_UTF8, EMPTY_SEQUENCE = "invalid_utf8", "empty_sequence"
REASONS = {
    INVALID_UTF8: "bytes that are not UTF-8, as in Windows-1252, from which iconv converts",
    EMPTY_SEQUENCE: "no character in the sequence, or nothing but blanks",
}


class Classified(NamedTuple):
    """What a model says first about texts: labels (rows,), the others (rows,) float32.

    strangeness: None if the model does not give it.
    """

    labels: list[str]
    probability: _Floats
    strangeness: _Floats | None


class Wanted(NamedTuple):
    """What answers have besides a label; coverage: of a set, or None for no set."""

    influence: bool = False
    coverage: float | None = None


def check_sequence(data: bytes) -> str | Rejected:
    """Return the text of a sequence, or why it cannot be answered."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return Rejected(data.decode("utf-8", "replace"), INVALID_UTF8)
    return text if text.strip(BLANKS) else Rejected(text, EMPTY_SEQUENCE)


class Asked:
    """A model that is asked.

    Args:
        directory: of a SavedModel.
        manifest: of the dataset that it was trained on.
        trust_model: load it even if it does more than compute.
        name: of the model in messages; None for its directory.

    Raises:
        DataError: it cannot be loaded, or does not predict labels.
    """

    def __init__(
        self,
        directory: str,
        manifest: Manifest,
        trust_model: bool = False,
        name: str | None = None,
    ) -> None:
        self._name = name or directory
        self._manifest = manifest
        self._loaded = load_saved_model(directory, self._name, trust_model)
        self._batch_rows = batch_rows(manifest.max_length)
        # One more than the cores: TensorFlow leaves some idle within a batch.
        self._threads = ThreadPoolExecutor(cpu_count() + 1)
        self._rows_answered = 0
        self._compile_lock = Lock()
        self._compiled: Probabilities | None = None
        if not {LABEL, PROBABILITY} <= self.outputs_of(CLASSIFY):
            raise DataError(
                f"{self._name}: signature {CLASSIFY} gives {sorted(self.outputs_of(CLASSIFY))}, "
                f"expected {LABEL!r} and {PROBABILITY!r}"
            )

    @property
    def explains(self) -> bool:
        """Whether it says how much each character speaks for a label."""
        return INFLUENCE in self.outputs_of(EXPLAIN)

    @property
    def has_sets(self) -> bool:
        """Whether it gives sets of labels."""
        return {LABELS, SIZE} <= self.outputs_of(PREDICT_SET)

    def answer(self, rows: Sequence[bytes], wanted: Wanted) -> list[Answer | Rejected]:
        """Return the answers to sequences, in their order.

        Raises:
            DataError: the model fails, or gives something that is not a probability.
        """
        checked = [check_sequence(row) for row in rows]
        texts = [text for text in checked if isinstance(text, str)]
        answers = self._answer_texts(texts, wanted)
        return [next(answers) if isinstance(one, str) else one for one in checked]

    def _answer_texts(self, texts: Sequence[str], wanted: Wanted) -> Iterator[Answer]:
        self._rows_answered += len(texts)
        # A batch takes as long as its longest sequence.
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        batches = [
            [texts[place] for place in order[start : start + self._batch_rows]]
            for start in range(0, len(order), self._batch_rows)
        ]
        answered = self._threads.map(lambda batch: self._answer_batch(batch, wanted), batches)
        answers = dict(zip(order, chain.from_iterable(answered), strict=True))
        return (answers[place] for place in range(len(texts)))

    def _answer_batch(self, texts: list[str], wanted: Wanted) -> list[Answer]:
        ready = self._manifest.normalization.before_graph(texts)
        labels, probability, strangeness = self.classify(ready)
        if not ((probability >= 0) & (probability <= 1)).all():
            raise DataError(f"{self._name}: the model gives no probability, 0 to 1")
        answers = list(map(Answer, texts, labels, _round(probability, _PROBABILITY_DECIMALS)))
        if strangeness is not None:
            rounded = _round(strangeness, _PROBABILITY_DECIMALS)
            answers = _with("strangeness", answers, rounded)
        if wanted.coverage is not None:
            answers = _with("labels", answers, self._sets(ready, wanted.coverage))
        return self._explain(answers) if wanted.influence else answers

    def classify(self, texts: list[str]) -> Classified:
        """Return the labels of a batch of texts that are ready for the model's graph."""
        if 2 * len(texts) > self._batch_rows and self._may_compile():
            encoded = self._call(ENCODE, texts)
            of_all = self._compute_in_xla(encoded)
            strangeness = None
            if STRANGENESS in self.outputs_of(STRANGENESS_IDS):
                strangeness = self.run(STRANGENESS_IDS, encoded)[STRANGENESS]
            names = self._manifest.labels
            labels = [names[best] for best in of_all.argmax(axis=1)]
            return Classified(labels, of_all.max(axis=1), strangeness)
        outputs = self._call(CLASSIFY, texts)
        labels = [_decode(label) for label in outputs[LABEL].tolist()]
        return Classified(labels, outputs[PROBABILITY], outputs.get(STRANGENESS))

    def _may_compile(self) -> bool:
        has_all = LENGTH in self.outputs_of(ENCODE) and self.outputs_of(CLASSIFY_IDS)
        return bool(has_all) and self._rows_answered > _ROWS_BEFORE_XLA

    def _compute_in_xla(self, encoded: _Arrays) -> _Floats:
        """Return the probabilities (rows, labels) of what `encode` gave for a batch, or fewer."""
        import tensorflow as tf

        with self._compile_lock:
            compiled = self._compiled or find_probabilities(self._loaded, self._manifest)
            self._compiled = compiled
        rows = len(encoded[LENGTH])
        missing = self._batch_rows - rows
        ids = np.pad(encoded[IDS], ((0, missing), (0, 0)))
        length = np.pad(encoded[LENGTH], (0, missing), constant_values=1)
        of_all: _Floats = compiled(tf.constant(ids), tf.constant(length)).numpy()
        return of_all[:rows]

    def _sets(self, texts: list[str], coverage: float) -> list[tuple[str, ...]]:
        outputs = self._call(PREDICT_SET, texts, **{COVERAGE: np.float32(coverage)})
        return [
            tuple(map(_decode, labels[:size]))
            for labels, size in zip(outputs[LABELS].tolist(), outputs[SIZE].tolist(), strict=True)
        ]

    def _explain(self, answers: list[Answer]) -> list[Answer]:
        manifest = self._manifest
        texts = [answer.sequence for answer in answers]
        whole = normalize(texts, manifest.normalization)
        read = cut(whole, manifest.max_length, manifest.normalization)
        ready = manifest.normalization.before_graph(texts)
        numbers = _round(self._call(EXPLAIN, ready)[INFLUENCE], _INFLUENCE_DECIMALS)
        return [
            answer._replace(
                read=part, influence=tuple(row[: len(part)]), is_cut=len(part) < len(all_of_it)
            )
            for answer, row, part, all_of_it in zip(answers, numbers, read, whole, strict=True)
        ]

    def outputs_of(self, signature: str) -> set[str]:
        """Return the names of a signature's outputs; none if the model has no such signature."""
        found = self._loaded.signatures.get(signature)
        return set() if found is None else set(found.structured_outputs)

    def _call(self, signature: str, texts: list[str], **more: Any) -> dict[str, npt.NDArray[Any]]:
        # As objects: numpy's own type for bytes would drop a NUL at the end.
        sequence = np.array([text.encode("utf-8") for text in texts], object)
        return self.run(signature, {SEQUENCE: sequence, **more})

    def run(self, signature: str, inputs: _Arrays) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs of a signature by name.

        Raises:
            DataError: the model fails; caused by the `tf.errors.OpError`.
        """
        import tensorflow as tf

        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        outputs = self.guarded(lambda: self._loaded.signatures[signature](**tensors))
        return {name: value.numpy() for name, value in outputs.items()}

    def guarded(self, compute: Callable[[], _T]) -> _T:
        """Return what a computation of the model returns.

        Raises:
            DataError: the model fails; caused by the `tf.errors.OpError`.
        """
        import tensorflow as tf

        try:
            return compute()
        except tf.errors.OpError as error:
            raise DataError(f"{self._name}: the model fails: {_reason(error)}") from error


def _reason(error: tf.errors.OpError) -> str:
    lines = [line.strip() for line in str(error.message).splitlines()]
    said = (line for line in lines if line and not line.startswith(_BEFORE_REASONS))
    return next(said, type(error).__name__)


def _round(values: _Floats, decimals: int) -> list[Any]:
    # As doubles, whose text is as short as it can be.
    rounded: list[Any] = np.round(values.astype(float), decimals).tolist()
    return rounded


def _with(name: str, answers: Sequence[Answer], values: Sequence[Any]) -> list[Answer]:
    return [answer._replace(**{name: value}) for answer, value in zip(answers, values, strict=True)]


def _decode(label: bytes) -> str:
    return label.decode("utf-8", "replace")
