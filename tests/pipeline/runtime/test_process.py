"""The settings of a process: made by commands and workers, never by an import."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.aws.clients.s3 import boto3_client

from pipeline.runtime.beam_options import to_beam_options
from pipeline.runtime.process import configure_process
from pipeline.runtime.threads import ThreadedDoFn
from tests.support.paths import ROOT

# Imports all that a worker imports, and prints the settings before and after `configure_process`.
IMPORT_EVERYTHING = """
import json
import os
import pyarrow as pa
from apache_beam.io.aws.clients.s3 import boto3_client

def settings():
    return pa.default_memory_pool().backend_name, boto3_client.Client.__name__

seen = [settings()]
import pipeline.dataset.graph, pipeline.predict.graph, pipeline.verification.verify
from pipeline.runtime.process import configure_process
seen.append(settings())
configure_process()
seen.append(settings())
print(json.dumps(seen))
"""


class ReportSettings(ThreadedDoFn):
    """Any element to the settings of the process that handles it."""

    def process(self, _: int) -> Iterator[str]:
        yield json.dumps([pa.default_memory_pool().backend_name, boto3_client.Client.__name__])


def test_imports_change_no_setting() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    before, imported, configured = json.loads(done.stdout)
    assert imported == before
    assert before[0] != "system"
    assert before[1] == "Client"
    assert configured == ["system", "SharedClient"]


def test_workers_are_configured_by_the_first_threaded_dofn(tmp_path: Path) -> None:
    options = to_beam_options(["--direct_running_mode=multi_processing", "--direct_num_workers=2"])
    with beam.Pipeline(options=options) as pipeline:
        (
            pipeline
            | beam.Create(range(8))
            | beam.Reshuffle()
            | beam.ParDo(ReportSettings())
            | beam.io.WriteToText(str(tmp_path / "settings"))
        )
    lines = [line for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    assert lines == ['["system", "SharedClient"]'] * 8


def test_configuring_twice_keeps_one_client() -> None:
    configure_process()
    first = boto3_client.Client
    configure_process()
    assert boto3_client.Client is first
