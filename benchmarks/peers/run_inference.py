"""Predict with Beam's RunInference as in its documentation: one element per row, batched by Beam.

Beam's own TensorFlow handlers load models with `tf.keras.models.load_model`, need tensorflow_hub,
and cannot load a SavedModel with Keras 3. This handler calls the signature.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.options.pipeline_options import PipelineOptions

from benchmarks.peers.common import SIGNATURE, peer_parser

_BATCH = 512


class SignatureHandler(ModelHandler[bytes, tuple[str, float], Any]):
    """Sequences to labels and probabilities."""

    def __init__(self, model: str) -> None:
        super().__init__(min_batch_size=_BATCH, max_batch_size=_BATCH)
        self._model = model

    def load_model(self) -> Any:
        return tf.saved_model.load(self._model)

    def run_inference(
        self, batch: Sequence[bytes], model: Any, inference_args: dict[str, Any] | None = None
    ) -> Iterator[tuple[str, float]]:
        answers = model.signatures[SIGNATURE](sequence=tf.constant(batch))
        labels, probabilities = answers["label"].numpy(), answers["probability"].numpy()
        for label, probability in zip(labels.tolist(), probabilities.tolist(), strict=True):
            yield label.decode(), probability


def main(argv: Sequence[str] | None = None) -> int:
    """Run as the command line says; flags of Beam may follow."""
    parser = peer_parser(__doc__)
    parser.add_argument("--model", required=True, metavar="DIR")
    arguments, beam_flags = parser.parse_known_args(argv)
    with beam.Pipeline("FnApiRunner", PipelineOptions(beam_flags)) as pipeline:
        _ = (
            pipeline
            | beam.io.ReadFromText(
                arguments.input, skip_header_lines=1, coder=beam.coders.BytesCoder()
            )
            | "Sequence" >> beam.Map(lambda line: line.partition(b",")[0])
            | RunInference(SignatureHandler(arguments.model))
            | "ToJson" >> beam.Map(lambda one: json.dumps({"label": one[0], "probability": one[1]}))
            | beam.io.WriteToText(
                os.path.join(arguments.output, "predictions"), file_name_suffix=".jsonl"
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
