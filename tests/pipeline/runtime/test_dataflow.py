"""What can be known of a Dataflow job without an account: its graph, and that workers can run it.

"Works here, NameError on the workers" comes from code that a worker lacks. So the package that
--setup_file stages is installed alone, and every function of the job is loaded there.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.portability.api import beam_runner_api_pb2 as api

from pipeline.__main__ import main
from pipeline.dataset.graph import build
from pipeline.options import Options
from pipeline.output.layout import DATASET
from pipeline.output.staging import Staging
from pipeline.rows.parts import cut_into_parts
from pipeline.rows.sources import find_sources
from pipeline.rows.spilling import Spill
from pipeline.runtime.beam_options import to_beam_options
from tests.support.paths import ROOT

FLAGS = (
    "--runner=DataflowRunner",
    "--dry_run=True",
    "--no_auth",
    "--project=a-project",
    "--region=us-central1",
    "--temp_location=gs://bucket/temp",
    "--staging_location=gs://bucket/staging",
    "--sdk_container_image=registry/charseq:1",
)

# Runs as a worker would: only the staged package and the libraries, nothing of this checkout.
LOAD_EVERY_FUNCTION = """
import sys
import pipeline
from apache_beam.internal import pickler
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_runner_api_pb2 as api
from apache_beam.utils import proto_utils

assert pipeline.__file__.startswith(sys.argv[2]), pipeline.__file__
components = api.Pipeline.FromString(open(sys.argv[1], "rb").read()).components
loaded = 0
for transform in components.transforms.values():
    if transform.spec.urn == "beam:transform:pardo:v1":
        payload = proto_utils.parse_Bytes(transform.spec.payload, api.ParDoPayload)
        if payload.do_fn.urn == python_urns.PICKLED_DOFN_INFO:
            pickler.loads(payload.do_fn.payload)
            loaded += 1
print(loaded)
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataflow") / "rows.csv"
    path.write_text("sequence,label\nAC,x\nCA,y\n")
    return path


@pytest.fixture(scope="module")
def job(sample: Path) -> api.Pipeline:
    """The job that would be sent to Dataflow."""
    options = Options(input=(str(sample),), output=str(sample.parent / "out"))
    pipeline = beam.Pipeline(options=to_beam_options([*FLAGS, f"--setup_file={ROOT}/setup.py"]))
    staging = Staging(DATASET, options.output, "run", None)
    sources, nowhere = find_sources(options.input_options), Spill(None)
    parts = cut_into_parts(sources)
    build(pipeline, sources, parts, options, staging, str(sample.parent), nowhere)
    pipeline.run()
    return pipeline.runner.proto_pipeline


def docker(job: api.Pipeline) -> tuple[api.Environment, api.DockerPayload]:
    (environment,) = [
        found for found in job.components.environments.values() if found.urn == "beam:env:docker:v1"
    ]
    return environment, api.DockerPayload.FromString(environment.payload)


def staged_files(job: api.Pipeline) -> dict[str, str]:
    """Local paths of what is staged, by the name it gets."""
    return {
        api.ArtifactStagingToRolePayload.FromString(file.role_payload).staged_name: (
            api.ArtifactFilePayload.FromString(file.type_payload).path
        )
        for file in docker(job)[0].dependencies
    }


def test_the_job_runs_in_the_image_that_is_asked_for(job: api.Pipeline) -> None:
    assert docker(job)[1].container_image == "registry/charseq:1"


def test_the_package_is_staged_and_no_main_session(job: api.Pipeline) -> None:
    assert "workflow.tar.gz" in staged_files(job)
    assert "pickled_main_session" not in staged_files(job)


def test_workers_can_load_every_function(job: api.Pipeline, tmp_path: Path) -> None:
    package, graph = tmp_path / "package", tmp_path / "job.pb"
    graph.write_bytes(job.SerializeToString())
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--target", str(package)),
            staged_files(job)["workflow.tar.gz"],
        ],
        check=True,
    )
    # -S: without the .pth file through which this environment sees the checkout.
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", LOAD_EVERY_FUNCTION, str(graph), str(package)],
        env={"PYTHONPATH": f"{package}:{sysconfig.get_path('purelib')}"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert int(loaded.stdout) > 50


@pytest.mark.parametrize("flags", [[], ["--max-length", "auto", "--alphabet-size", "auto"]])
def test_a_dry_run_writes_nothing(
    sample: Path, tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert main(["--input", str(sample), "--output", str(output), *flags, *FLAGS]) == 0
    assert "dry run: the job for DataflowRunner was built" in capsys.readouterr().out
    assert not list(output.rglob("*"))


def test_what_dataflow_still_needs_is_said(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    argv = ["--input", str(sample), "--output", str(output), *FLAGS, "--project=UPPER"]
    assert main(argv) == 2
    assert "Invalid Project ID (UPPER)" in capsys.readouterr().err
    assert not output.exists()
