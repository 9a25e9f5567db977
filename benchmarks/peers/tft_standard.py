"""Prepare rows with TensorFlow Transform as in its own examples.

ReadFromText, one dict per row, AnalyzeAndTransformDataset with compute_and_apply_vocabulary,
EncodeTransformedDataset (which is RecordBatchToExamplesEncoder) and WriteToTFRecord, after
https://github.com/tensorflow/transform/tree/master/examples. Where the examples differ, the faster
variant is used: record batches as output, and the vocabulary on ragged characters, which looks up
no padding. (Dicts and BeamRecordCsvTFXIO as input took the same CPU time.)
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from functools import partial

import apache_beam as beam
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.options.pipeline_options import PipelineOptions

from benchmarks.peers.common import MAX_LENGTH, SPLITS, add_encoding, peer_parser, split_of

ALPHABET_SIZE = 25
RAW_METADATA = tft.DatasetMetadata.from_feature_spec(
    {name: tf.io.FixedLenFeature([], tf.string) for name in ("sequence", "label")}
)


def parse_row(line: bytes) -> dict[str, str]:
    """One CSV line without quotes to its two columns."""
    sequence, label = line.decode().split(",")
    return {"sequence": sequence, "label": label}


def preprocess(inputs: dict[str, tf.Tensor], encoding: str) -> dict[str, tf.Tensor]:
    """TFT's preprocessing function: (batch,) strings to the three features of a record."""
    characters = tf.strings.unicode_split(inputs["sequence"], "UTF-8")[:, :MAX_LENGTH]
    places = tft.compute_and_apply_vocabulary(
        characters, top_k=ALPHABET_SIZE, default_value=ALPHABET_SIZE
    )
    sequence = (places + 1).to_tensor(shape=[None, MAX_LENGTH])
    if encoding == "one_hot":
        sequence = tf.one_hot(sequence - 1, ALPHABET_SIZE)
    return {
        "sequence": sequence,
        "length": characters.row_lengths(),
        "label": tft.compute_and_apply_vocabulary(inputs["label"]),
    }


def build(pipeline: beam.Pipeline, input_path: str, output: str, encoding: str) -> None:
    """Add reading, analysis of the train split, transformation and writing to `pipeline`."""
    lines = (
        pipeline
        | "Read"
        >> beam.io.ReadFromText(input_path, skip_header_lines=1, coder=beam.coders.BytesCoder())
        | "Split" >> beam.Partition(split_of, len(SPLITS))
    )
    train, *others = (
        (rows | f"Parse_{split}" >> beam.Map(parse_row), RAW_METADATA)
        for split, rows in zip(SPLITS, lines, strict=True)
    )
    transformed, transform_fn = train | tft_beam.AnalyzeAndTransformDataset(
        partial(preprocess, encoding=encoding), output_record_batches=True
    )
    datasets = [transformed] + [
        (other, transform_fn)
        | f"Transform_{split}" >> tft_beam.TransformDataset(output_record_batches=True)
        for split, other in zip(SPLITS[1:], others, strict=True)
    ]
    for split, dataset in zip(SPLITS, datasets, strict=True):
        _ = (
            dataset
            | f"Encode_{split}" >> tft_beam.EncodeTransformedDataset()
            | f"Write_{split}"
            >> beam.io.WriteToTFRecord(os.path.join(output, split), file_name_suffix=".tfrecord")
        )
    _ = transform_fn | tft_beam.WriteTransformFn(output)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as the command line says; flags of Beam may follow."""
    parser = peer_parser(__doc__)
    add_encoding(parser)
    arguments, beam_flags = parser.parse_known_args(argv)
    with (
        beam.Pipeline("FnApiRunner", PipelineOptions(beam_flags)) as pipeline,
        tft_beam.Context(temp_dir=tempfile.mkdtemp()),
    ):
        build(pipeline, arguments.input, arguments.output, arguments.encoding)
    return 0


if __name__ == "__main__":
    sys.exit(main())
