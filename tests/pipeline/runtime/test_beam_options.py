"""The flags that are passed to Beam: misspelt ones and wrong numbers, beside any runner."""

from __future__ import annotations

from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PrismRunnerOptions,
    StandardOptions,
)

from charseq.errors import UsageError
from pipeline.runtime.beam_options import to_beam_options

pytestmark = pytest.mark.unit

OWN = ["--max-length", "--alphabet"]
RUNNERS = ["FnApiRunner", "FlinkRunner", "PortableRunner", "DataflowRunner"]


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max-lenght=5"], "unknown flag --max-lenght; did you mean --max-length? --help lists"),
        (["--max_length", "5"], "unknown flag --max_length; did you mean --max-length?"),
        (["--job_endpont=a:1"], "unknown flag --job_endpont; did you mean --job_endpoint?"),
        (["--zzz"], "unknown flag --zzz; --help lists the flags, all others are Beam's"),
        (["--zzz=1"], "what only its runner knows is given as --beam-flag=--zzz=1"),
        (["b.csv"], "unknown argument 'b.csv'"),
        (["--direct_num_workers=-1"], "--direct_num_workers: got -1, expected 0 or more"),
    ],
)
def test_what_nobody_knows_is_refused_beside_any_runner(
    runner: str, flags: list[str], message: str
) -> None:
    with pytest.raises(UsageError) as raised:
        to_beam_options([f"--runner={runner}", *flags], OWN)
    assert message in str(raised.value)


def test_a_number_may_be_below_0_where_beam_says_so() -> None:
    options = to_beam_options(["--runner=FlinkRunner", "--parallelism=-1"], OWN)
    assert options.view_as(FlinkRunnerOptions).parallelism == -1


def test_a_flag_that_only_a_runner_knows_is_passed_on() -> None:
    options = to_beam_options(["--runner=PortableRunner", "--beam-flag=--checkpointing=3"], OWN)
    assert options.view_as(StandardOptions).runner == "PortableRunner"
    assert options.get_all_options(retain_unknown_options=True)["checkpointing"] == "3"


@pytest.mark.parametrize("runner", ["DirectRunner", "SwitchingDirectRunner"])
def test_no_runner_is_taken_that_may_download_prism(runner: str) -> None:
    options = to_beam_options([f"--runner={runner}"], OWN)
    assert options.view_as(StandardOptions).runner == "FnApiRunner"


@pytest.mark.parametrize("runner", ["PrismRunner", "prism", "apache_beam.x.PrismRunner"])
def test_prism_is_not_downloaded(
    runner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    build = f"`go install github.com/apache/beam/sdks/v2/go/cmd/prism@v{beam.__version__}`"
    with pytest.raises(UsageError) as raised:
        to_beam_options([f"--runner={runner}"], OWN)
    assert str(raised.value) == (
        f"--runner=PrismRunner: prism is not on the PATH; build it with {build}, or say where it "
        "is with --prism_location"
    )
    for location in ("https://example.org/prism.zip", str(tmp_path / "absent")):
        with pytest.raises(UsageError) as raised:
            to_beam_options([f"--runner={runner}", f"--prism_location={location}"], OWN)
        assert str(raised.value) == (
            f"--prism_location: {location} is no file, and charseq downloads none; build Prism "
            f"with {build}"
        )


def test_prism_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "other").touch()
    (tmp_path / "prism").touch()
    (tmp_path / "prism").chmod(0o755)
    flags = ["--runner=PrismRunner"]
    assert location(flags) == str(tmp_path / "prism")
    assert location([*flags, f"--prism_location={tmp_path}/other"]) == str(tmp_path / "other")
    assert location([*flags, "--job_endpoint=localhost:8073"]) is None


def location(flags: list[str]) -> str | None:
    return to_beam_options(flags, OWN).view_as(PrismRunnerOptions).prism_location  # type: ignore[no-any-return]
