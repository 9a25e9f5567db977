"""Prepare rows with a plain Beam pipeline: one function call and one `tf.train.Example` per row.

The alphabet is known in advance.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import apache_beam as beam
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions

from benchmarks.peers.common import MAX_LENGTH, SPLITS, add_vocabulary, peer_parser, split_of


def to_example(line: bytes, id_of: Mapping[str, int], label_of: Mapping[str, int]) -> bytes:
    """One CSV line without quotes to a serialised Example."""
    sequence, label = line.decode().split(",")
    unknown = len(id_of) + 1
    ids = [id_of.get(character, unknown) for character in sequence[:MAX_LENGTH]]
    padding = [0] * (MAX_LENGTH - len(ids))
    values = {"sequence": ids + padding, "length": [len(ids)], "label": [label_of[label]]}
    features = {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=value))
        for name, value in values.items()
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    serialized: bytes = example.SerializeToString()
    return serialized


def build(
    pipeline: beam.Pipeline, input_path: str, output: str, alphabet: str, labels: Sequence[str]
) -> None:
    """Add reading, encoding and writing to `pipeline`."""
    id_of = {character: place for place, character in enumerate(alphabet, start=1)}
    label_of = {label: place for place, label in enumerate(labels)}
    lines = (
        pipeline
        | "Read"
        >> beam.io.ReadFromText(input_path, skip_header_lines=1, coder=beam.coders.BytesCoder())
        | "Split" >> beam.Partition(split_of, len(SPLITS))
    )
    for split, rows in zip(SPLITS, lines, strict=True):
        _ = (
            rows
            | f"Encode_{split}" >> beam.Map(to_example, id_of, label_of)
            | f"Write_{split}"
            >> beam.io.WriteToTFRecord(os.path.join(output, split), file_name_suffix=".tfrecord")
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run as the command line says; flags of Beam may follow."""
    parser = peer_parser(__doc__)
    add_vocabulary(parser)
    arguments, beam_flags = parser.parse_known_args(argv)
    with beam.Pipeline("FnApiRunner", PipelineOptions(beam_flags)) as pipeline:
        labels = arguments.labels.split(",")
        build(pipeline, arguments.input, arguments.output, arguments.alphabet, labels)
    return 0


if __name__ == "__main__":
    sys.exit(main())
