"""`charseq.load_model`: a trained model, and what it says about sequences."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from charseq.api.commands import run_command
from charseq.api.dataset import local_path
from charseq.api.evaluation import EvaluationFigures
from charseq.api.predictions import Explanations, Predictions
from charseq.api.tensorflow import import_tensorflow
from charseq.api.texts import check_sequences
from charseq.console.messages import name_first, shorten_message
from charseq.errors import DataError, UsageError
from charseq.files import read_json_object
from charseq.manifest import REPORT_FILE, SPLITS, Manifest, manifest_from_json
from charseq.measures.set_methods import LAC, SET_METHODS
from charseq.models.batches import batch_rows
from charseq.models.locate import locate_model
from charseq.models.runs import evaluation_file
from charseq.models.saved_model import (
    CLASSIFY,
    COVERAGE,
    DATASET_ASSET,
    EXPLAIN,
    INFLUENCE,
    LABEL,
    LABELS,
    LENGTH,
    LOG_PROBABILITY,
    PREDICT_SET,
    PREDICT_SET_ADAPTIVE,
    PROBABILITIES,
    PROBABILITY,
    RUN_ASSET,
    SEQUENCE,
    SIZE,
    STRANGENESS,
    load_saved_model,
)
from charseq.text.sequences import cut, normalize

_SHOWN_LABELS = 12
_REASON_CHARACTERS = 500


@dataclass(frozen=True, repr=False, eq=False)
class Model:
    """A loaded model; a path wherever one is accepted.

    path: the run, registry or SavedModel, as it was named. saved_model: the directory of the
    SavedModel. run: that of the run; None where it is not known, as of a version in a registry.
    manifest: of the dataset that it was trained on.
    """

    path: str
    saved_model: str
    run: str | None
    manifest: Manifest
    _loaded: Any

    def __fspath__(self) -> str:
        return self.run or self.saved_model

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of their probabilities."""
        return self.manifest.labels

    def predict(self, sequences: Iterable[str]) -> Predictions:
        """Predict the labels of sequences, as a server of the model would.

        A text is normalized and cut as those of the training were. An empty one gets a label, too.
        The model computes some at a time. `charseq predict` reads files, is faster for millions of
        rows, and rejects rows that cannot be used.

        Args:
            sequences: texts (rows,): a list, an array, a column of a DataFrame.

        Returns:
            labels (rows,) object, probability (rows,) float32, probabilities (rows, labels)
            float32, strangeness (rows,) float32.

        Raises:
            UsageError: it is one text and not several, or one of them is not text.
            DataError: the model fails, or gives something that is no probability.
        """
        texts = check_sequences(sequences)
        names = [LABEL, PROBABILITY, PROBABILITIES]
        signature = self._loaded.signatures.get(CLASSIFY)
        if signature is not None and STRANGENESS in signature.structured_outputs:
            names.append(STRANGENESS)
        outputs = self._compute(CLASSIFY, texts, names)
        probabilities = outputs[PROBABILITIES]
        if not ((probabilities >= 0) & (probabilities <= 1)).all():
            raise DataError(f"{self.saved_model}: the model gives a probability outside 0 to 1")
        labels = _to_texts(outputs[LABEL])
        return Predictions(
            tuple(texts), labels, outputs[PROBABILITY], probabilities, outputs.get(STRANGENESS)
        )

    def predict_set(
        self, sequences: Iterable[str], coverage: float = 0.95, method: str = LAC
    ) -> list[tuple[str, ...]]:
        """Return a set of labels for each sequence that holds the right one as often as wanted.

        That is, of sequences like those of the validation split; see "How sure" in docs/models.md.

        Args:
            sequences: as of `predict`.
            coverage: how often, 0 to 1.
            method: `lac` for the smallest sets, `aps` for sets whose coverage differs less between
                easy and hard sequences.

        Returns:
            The labels of each set, the most probable first; at least one.

        Raises:
            UsageError: as `predict`, or there is no such coverage or method.
            DataError: the model fails, or had no validation rows.
        """
        if not isinstance(coverage, Real) or not 0 <= coverage <= 1:
            raise UsageError(f"coverage: got {coverage!r}, expected 0 to 1")
        if method not in SET_METHODS:
            raise UsageError(f"method: got {method!r}, expected one of {', '.join(SET_METHODS)}")
        signature = PREDICT_SET if method == LAC else PREDICT_SET_ADAPTIVE
        if signature not in self._loaded.signatures:
            raise DataError(
                f"{self.saved_model}: had no validation rows, or was exported by an earlier "
                "version; train it again, on a dataset with a validation split"
            )
        texts = check_sequences(sequences)
        outputs = self._compute(signature, texts, (LABELS, SIZE), {COVERAGE: coverage})
        return [
            tuple(label.decode("utf-8") for label in labels[:size])
            for labels, size in zip(outputs[LABELS], outputs[SIZE], strict=True)
        ]

    def explain(self, sequences: Iterable[str]) -> Explanations:
        """Return how much each character speaks for the label that the model gives.

        Args:
            sequences: as of `predict`.

        Returns:
            labels (rows,) object, log_probability (rows,) float32, influence (rows, max_length)
            float32 in nats by position, length (rows,) int64, and the characters of the positions.

        Raises:
            UsageError: as `predict`.
            DataError: the model fails, or was exported by a version that could not explain.
        """
        texts = check_sequences(sequences)
        if EXPLAIN not in self._loaded.signatures:
            raise DataError(
                f"{self.saved_model}: was exported by an earlier version, without the signature "
                f"{EXPLAIN!r}; train it again to have its labels explained"
            )
        names = (LABEL, LOG_PROBABILITY, INFLUENCE, LENGTH)
        outputs = self._compute(EXPLAIN, texts, names)
        normalization = self.manifest.normalization
        read = cut(normalize(texts, normalization), self.manifest.max_length, normalization)
        return Explanations(
            tuple(read),
            _to_texts(outputs[LABEL]),
            outputs[LOG_PROBABILITY],
            outputs[INFLUENCE],
            outputs[LENGTH],
        )

    def evaluate(
        self,
        data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        split: str = "test",
        **options: Any,
    ) -> EvaluationFigures:
        """Measure the model, as `charseq evaluate` does, in a process of its own.

        The figures and a page with pictures are written to the run.

        Args:
            data: a dataset or its path, or several that add rows to each other.
            split: train, validation or test.
            options: others of `charseq evaluate --help`, with underscores for dashes.

        Returns:
            The figures by name, such as `figures["accuracy"]`.

        Raises:
            UsageError: there is no such split or option, or `data` is no path.
            DataError: the dataset does not fit the model, or has no row in the split; or this model
                is not that of a run.
        """
        if split not in SPLITS:
            raise UsageError(f"split: got {split!r}, expected one of {', '.join(SPLITS)}")
        if self.run is None:
            raise DataError(
                f"{self.path}: has no run, which is what is evaluated; load the run that the model "
                "came from"
            )
        if not isinstance(data, (str, os.PathLike, Iterable)):
            raise UsageError(f"data: got {data!r}, expected a dataset, or several")
        paths = [data] if isinstance(data, (str, os.PathLike)) else list(data)
        run_command("evaluate", {**options, "model": self.run, "data": paths, "split": split})
        path = os.path.join(self.run, evaluation_file(split))
        return EvaluationFigures(path, os.path.join(self.run, REPORT_FILE))

    def _compute(
        self,
        name: str,
        texts: list[str],
        outputs: Sequence[str],
        others: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """Return outputs of a signature as arrays (rows, …), in the order of the texts.

        others: the inputs besides the texts.
        """
        import numpy as np

        normalized = self.manifest.normalization.before_graph(texts)
        # A batch takes as long as its longest sequence.
        order = np.argsort([len(text) for text in normalized], kind="stable")
        by_length = [normalized[row] for row in order]
        batches = list(self._compute_batches(name, by_length, outputs, others or {}))
        place = np.argsort(order)
        return {
            output: np.concatenate([batch[output] for batch in batches])[place]
            for output in outputs
        }

    def _compute_batches(
        self,
        name: str,
        texts: list[str],
        outputs: Sequence[str],
        others: Mapping[str, float],
    ) -> Iterator[dict[str, Any]]:
        """Yield outputs of a signature for some texts at a time, at least once.

        Raises:
            DataError: the signature or an output is not there, or the model fails.
        """
        import numpy as np

        tf = import_tensorflow()
        signature = self._loaded.signatures.get(name)
        missing = set(outputs) - set(() if signature is None else signature.structured_outputs)
        if missing:
            raise DataError(
                f"{self.saved_model}: signature {name} gives no {', '.join(sorted(missing))}; is "
                "it a model of the trainer?"
            )
        constants = {key: tf.constant(value, tf.float32) for key, value in others.items()}
        rows = batch_rows(self.manifest.max_length)
        for start in range(0, max(1, len(texts)), rows):
            # As objects: numpy's own type for bytes would drop a NUL at the end.
            batch = np.array([text.encode("utf-8") for text in texts[start : start + rows]], object)
            try:
                computed = signature(**{SEQUENCE: tf.constant(batch, tf.string)}, **constants)
            except tf.errors.OpError as error:
                reason = shorten_message(" ".join(str(error.message).split()), _REASON_CHARACTERS)
                raise DataError(f"{self.saved_model}: the model fails: {reason}") from error
            yield {output: computed[output].numpy() for output in outputs}

    def __repr__(self) -> str:
        return (
            f"<charseq.Model {self.path!r}: {len(self.labels):,} labels, max_length "
            f"{self.manifest.max_length:,}, dataset {self.manifest.fingerprint[:16]}>"
        )

    def _repr_html_(self) -> str:
        from charseq.html import render

        return render(
            "notebook_facts.html",
            kind="Model",
            name=self.path,
            facts=self._facts(),
            counts={},
        )

    def _facts(self) -> dict[str, str]:
        """Return what the HTML shows."""
        facts = {
            "labels": name_first(self.labels, _SHOWN_LABELS),
            "alphabet": "".join(self.manifest.alphabet),
        }
        path = os.path.join(self.saved_model, RUN_ASSET)
        if os.path.exists(path):
            options = read_json_object(path).get("options", {})
            facts |= {
                name.replace("_", " "): str(options[name])
                for name in ("representation", "units", "epochs")
                if options.get(name) is not None
            }
        return {
            **facts,
            "max length": f"{self.manifest.max_length:,}",
            "trained on": f"{self.manifest.records('train'):,} rows of dataset "
            f"{self.manifest.fingerprint[:16]}",
            "SavedModel": self.saved_model,
        }


def load_model(run_or_registry: str | os.PathLike[str], *, trust_model: bool = False) -> Model:
    """Load a trained model.

    Args:
        run_or_registry: the local directory of a run; or of a registry, whose current version is
            loaded; or a SavedModel that the trainer exported, such as `models/2`.
        trust_model: load a model with other operations than those of the trainer, and run what it
            does: a model is a program.

    Raises:
        UsageError: it is an address of an object store, or empty.
        DataError: it is none of these, the run is not complete, or the model does more than compute
            or cannot be loaded; or TensorFlow is not installed.
    """
    path = local_path("run_or_registry", run_or_registry)
    located = locate_model(path)
    asset = os.path.join(located.directory, DATASET_ASSET)
    manifest = manifest_from_json(read_json_object(asset), asset)
    import_tensorflow()
    loaded = load_saved_model(located.directory, located.directory, trust_model)
    return Model(path, located.directory, located.run, manifest, loaded)


def _to_texts(labels: Any) -> Any:
    """Return labels (rows,) bytes as text, (rows,) object."""
    import numpy as np

    return np.array([label.decode("utf-8") for label in labels.tolist()], object)
