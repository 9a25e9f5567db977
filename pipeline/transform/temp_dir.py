"""A directory for what TensorFlow Transform writes while it analyzes."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from charseq.errors import UsageError
from charseq.files import is_literal
from pipeline.runtime.beam_options import runs_here
from pipeline.runtime.filesystems import is_local, remove_tree


@contextmanager
def transform_temp_dir(staging: str, beam_options: PipelineOptions) -> Iterator[str]:
    """Yield a directory for TensorFlow Transform.

    All workers must reach it, and TensorFlow, which knows only some stores and takes brackets in a
    path for a pattern, must write to it: the staging directory `staging` if that will do, else a
    temporary directory of this machine, or one in `--temp_location`.

    Raises:
        UsageError: neither of the two will do.
    """
    elsewhere = beam_options.view_as(GoogleCloudOptions).temp_location
    if is_local(staging) and is_literal(staging):
        yield staging
    elif runs_here(beam_options):
        with tempfile.TemporaryDirectory() as directory:
            yield directory
    elif _tensorflow_writes(staging):
        yield staging
    elif elsewhere and _tensorflow_writes(elsewhere):
        with _new_directory(elsewhere) as directory:
            yield directory
    else:
        raise UsageError(
            f"TensorFlow cannot write to {staging}; name a directory that it can, and that all "
            f"workers reach, with --temp_location (got {elsewhere!r})"
        )


@contextmanager
def _new_directory(parent: str) -> Iterator[str]:
    directory = FileSystems.join(parent, f"charseq-{uuid.uuid4().hex}")
    try:
        yield directory
    finally:
        remove_tree(directory)


def _tensorflow_writes(path: str) -> bool:
    schemes = tf.io.gfile.get_registered_schemes()
    return (FileSystems.get_scheme(path) or "") in schemes and is_literal(path)
