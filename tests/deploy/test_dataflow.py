"""The Flex Template: its metadata is the command line, and its launch is what a launcher does."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import subprocess
import sys
import unicodedata
from fractions import Fraction
from pathlib import Path
from string import Template

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2 as api
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from google.cloud import storage
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import UsageError
from charseq.flags import flag_defaults
from deploy.dataflow.launch import to_command_line
from deploy.dataflow.template import main, metadata
from pipeline.inspect import main as inspect_main
from pipeline.options import (
    INPUT_FIELDS,
    MAX_SHARDS,
    NUM_CHARACTERS,
    Options,
    make_parser,
    parse_command_line,
)
from pipeline.plan_options import PlanOptions
from pipeline.runtime.beam_options import unknown_to_beam
from tests.deploy.support.google import SETTINGS, commands
from tests.support.paths import ROOT
from tests.support.template_values import ACCEPTED_AND_REFUSED

DIRECTORY = ROOT / "deploy" / "dataflow"
PARAMETERS = {parameter["name"]: parameter for parameter in metadata()["parameters"]}
# A plan is printed before there is a job.
DEFAULTS = {
    name: value
    for name, value in flag_defaults(Options).items()
    if name not in flag_defaults(PlanOptions)
}
WITHOUT_INPUT = {"output": "gs://b/out"}
# What a parameter needs beside it.
BESIDE = {
    "train_input": {"test_input": "gs://b/test.csv"},
    "validation_input": {"train_input": "gs://b/train.csv"},
    "test_input": {"train_input": "gs://b/train.csv"},
    "split_values": {"split_column": "fold"},
    "leaks": {"split_column": "fold"},
    "similar_policy": {"similar": "0.8"},
    "max_cluster_share": {"similar": "0.8"},
    "time_column": {"test_from": "2026-01-31"},
    "validation_from": {"time_column": "when"},
    "test_from": {"time_column": "when"},
}
OURS = [name for name in PARAMETERS if name != "sdk_container_image"]
REQUIRED = {"input": "gs://b/*.csv", "output": "gs://b/out"}
# What a launcher adds of its own, from what the service and gcloud are told.
LAUNCHER_FLAGS = (
    "--runner=DataflowRunner",
    "--project=a-project",
    "--region=europe-west1",
    "--job_name=charseq-1",
    "--temp_location=gs://bucket/temp",
    "--staging_location=gs://bucket/staging",
    '--labels={"team": "a"}',
    "--service_account_email=a@a-project.iam.gserviceaccount.com",
    "--num_workers=2",
    "--max_num_workers=4",
    "--machine_type=n2-standard-4",
    "--subnetwork=regions/r/subnetworks/s",
    "--experiments=use_runner_v2",
    "--sdk_container_image=registry/charseq:1",
)
TEMPLATE = "staging/template_launches/2026-11-24_00_00_00-1/job_object"


def parse(parameters: dict[str, str]) -> Options:
    """The options of a job that is started with these parameters, as the launcher gives them."""
    line = to_command_line([f"--{name}={value}" for name, value in parameters.items()])
    options, beam_flags = parse_command_line(line)
    assert not beam_flags
    return options


def accepts(name: str, value: str) -> bool:
    """Whether the preparation takes the value of a parameter."""
    beside = {
        ("format", "text"): {"label_from": "file"},
        ("no_header", "true"): {"sequence_column": "1", "label_column": "2"},
    }.get((name, value), BESIDE.get(name, {}))
    required = REQUIRED if "train_input" not in {**beside, name: value} else WITHOUT_INPUT
    try:
        parse({**required, **beside, name: value})
    except (SystemExit, UsageError):
        return False
    return True


def egrep(pattern: str, value: str) -> bool:
    return not subprocess.run(["grep", "-Eq", "-e", pattern], input=value, text=True).returncode


def matches(name: str, value: str) -> bool:
    """Whether a template's parameter may have the value, for Python and for egrep alike."""
    (pattern,) = PARAMETERS[name]["regexes"]
    matched = re.search(pattern, value) is not None
    assert egrep(pattern, value) == matched
    return matched


def test_the_file_is_what_the_command_line_says(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert (DIRECTORY / "metadata.json").read_text() == capsys.readouterr().out, (
        "python -m deploy.dataflow.template > deploy/dataflow/metadata.json"
    )


def test_each_option_is_a_parameter() -> None:
    assert [*DEFAULTS] == OURS


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_parameter_says_what_its_option_is(name: str) -> None:
    parameter = PARAMETERS[name]
    flag = f"--{name.replace('_', '-')}"
    (option,) = [option for option in make_parser()._actions if flag in option.option_strings]
    assert parameter["isOptional"] is not option.required
    if name not in (*INPUT_FIELDS, "output", "max_length"):
        assert parameter["helpText"] == option.help
    assert [choice["value"] for choice in parameter.get("enumOptions", [])] == list(
        option.choices or []
    )
    if "defaultValue" in parameter:
        given = parse({**REQUIRED, name: parameter["defaultValue"]})
        assert given.to_json().get(name, DEFAULTS[name]) == DEFAULTS[name]
        assert matches(name, parameter["defaultValue"])


def test_the_console_may_fill_in_all_defaults() -> None:
    filled = {
        name: parameter["defaultValue"]
        for name, parameter in PARAMETERS.items()
        if "defaultValue" in parameter
    }
    assert parse({**REQUIRED, **filled}) == parse(REQUIRED)
    assert parse({**REQUIRED, **filled, "alphabet": "ACDE"}).num_characters == 4
    assert parse({**REQUIRED, **filled, "label_from": "file"}).label_from == "file"
    without = {name for name in OURS if name not in filled}
    assert without == {
        *("input", "output", "label_from", "alphabet", "alphabet_of"),  # have none
        *("alphabet_size", "num_shards"),
        *("label_pattern", "delimiter", "no_header", "rare_label_as"),  # have none
        "weight_column",
        *("sequence_column", "label_column"),  # would exclude another
        *("train_input", "validation_input", "test_input", "split_column", "split_values"),
        *("time_column", "validation_from", "test_from", "group_column", "folds"),
        *("similar", "base"),
        "split",  # --folds excludes it
    }


@pytest.mark.parametrize(("name", "good", "bad"), ACCEPTED_AND_REFUSED)
def test_a_pattern_takes_what_the_option_takes(name: str, good: list[str], bad: list[str]) -> None:
    for value in good:
        assert (accepts(name, value), matches(name, value)) == (True, True), value
    for value in bad:
        assert not accepts(name, value), value
        assert not matches(name, value) or beyond_a_pattern(name, value), value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("input", "data/*.csv"),  # Of the launcher's machine.
        ("input", "s3://b/*.csv"),
        ("output", "/out"),
        ("max_length", "+5"),
        ("max_length", " 5"),
        ("max_length", "auto"),  # Two jobs, and a template is one.
        ("num_shards", "1_000"),
        ("alphabet_size", "007"),
        ("split", "train=1, test=0"),
        ("max_rejected_fraction", "1E-2"),
    ],
)
def test_a_pattern_is_narrower_on_purpose(name: str, value: str) -> None:
    assert (accepts(name, value), matches(name, value)) == (True, False)


MAXIMUM = {
    "alphabet_size": NUM_CHARACTERS,
    "num_shards": MAX_SHARDS * 8 // 10 - 1,  # Of the train split; the others have as many again.
    "seed": 2**63 - 1,
}


def beyond_a_pattern(name: str, value: str) -> bool:
    """Whether what is wrong with a value is nothing that a pattern can say: a job then tells it."""
    if name == "alphabet":
        return len(set(value)) < len(value) or not unicodedata.is_normalized("NFC", value)
    if name == "split":
        names, shares = zip(*(part.split("=") for part in value.split(",")), strict=True)
        fractions = [Fraction(share) for share in shares]
        too_small = any(0 < fraction < Fraction(1, 1_000_000) for fraction in fractions)
        named = len(set(names)) == len(names) and "train" in names
        return sum(fractions) != 1 or not named or too_small
    if name == "split_values":
        values = [pair.rpartition("=")[0].strip() for pair in value.split(",")]
        return len(set(values)) < len(values)
    if name in MAXIMUM:
        return int(value) > MAXIMUM[name]
    if name in ("label_pattern", "rare_label_as", "validation_from", "test_from"):
        return True  # not a regular expression, not a date
    if value.isdecimal():
        return int(value) >= 1 << 63
    is_column = name.endswith("_column")
    return is_column and value in ("sequence", "label")


@given(st.data())
def test_what_a_pattern_takes_the_option_takes(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(OURS))
    (pattern,) = PARAMETERS[name]["regexes"]
    # Python's $ would let a newline follow, which no other reader of the pattern does.
    value = data.draw(st.from_regex(f"{pattern[:-1]}\\Z"))
    assert accepts(name, value) or beyond_a_pattern(name, value)


VALUES = {
    "max_length": st.integers(1),
    "alphabet_size": st.integers(1),
    "num_shards": st.integers(1),
    "max_labels": st.integers(2),
    "seed": st.integers(0, 2**63 - 1),
    "max_rejected_fraction": st.floats(0, 1),
    "overwrite": st.booleans(),
    "alphabet": st.text(st.characters(exclude_characters="\n", codec="utf-8"), min_size=1),
    "split": st.integers(1, 1000).map(lambda n: f"train={n}/1000,test={1000 - n}/1000"),
    **{
        name: st.sampled_from([choice["value"] for choice in parameter["enumOptions"]])
        for name, parameter in PARAMETERS.items()
        if "enumOptions" in parameter
    },
}


@given(st.data())
def test_what_the_option_takes_a_pattern_takes(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(VALUES)))
    value = data.draw(VALUES[name])
    text = json.dumps(value) if not isinstance(value, str) else value
    (pattern,) = PARAMETERS[name]["regexes"]
    assert re.search(pattern, text) or not accepts(name, text)


def test_the_launcher_s_arguments_become_the_command_line() -> None:
    assert to_command_line(
        [
            "--input=gs://b/a,1.csv,gs://c/*=x.csv",
            "--max_length=7",
            "--split=train=1",
            "--overwrite=true",
            "--max_num_workers=3",
            "--runner=DataflowRunner",
        ]
    ) == [
        "--input=gs://b/a,1.csv",
        "--input=gs://c/*=x.csv",
        "--max-length=7",
        "--split=train=1",
        "--overwrite=true",
        "--max_num_workers=3",
        "--runner=DataflowRunner",
    ]


def test_beam_knows_the_launcher_s_flags() -> None:
    flags = [*LAUNCHER_FLAGS, f"--template_location=gs://bucket/{TEMPLATE}"]
    assert to_command_line(flags) == flags
    assert unknown_to_beam(flags) == []
    # No parameter is also a flag of Beam's, which would take it for its own.
    assert sorted(unknown_to_beam([f"--{name}=1" for name in OURS])) == sorted(
        f"--{name}=1" for name in OURS
    )


def test_the_command_of_the_readme_has_no_unknown_flag() -> None:
    (command,) = commands(DIRECTORY / "README.md", "python -m pipeline ")
    words = shlex.split(Template(command).substitute(SETTINGS))
    _, beam_flags = parse_command_line(words[3:])
    assert "--runner=DataflowRunner" in beam_flags
    assert unknown_to_beam(beam_flags) == []


def run_here(job: bytes) -> None:
    """Run a job that was written for Dataflow, in this process instead of in its image."""
    pipeline = api.Pipeline.FromString(job)
    for environment in pipeline.components.environments.values():
        environment.CopyFrom(api.Environment(urn="beam:env:embedded_python:v1"))
    result = FnApiRunner().run_via_runner_api(pipeline, PipelineOptions())
    assert result.wait_until_finish() == "DONE"


def test_a_launch_leaves_a_job_that_writes_the_dataset(
    gs: storage.Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [f"{a}{b},{'xy'[n % 2]}" for n, a in enumerate("ACDEFG") for b in "ACDEFG"]
    gs.blob("in/rows.csv").upload_from_string("\n".join(["sequence,label", *rows]))
    # A local path: TensorFlow, which makes a directory there, knows no emulator of gs://.
    output = tmp_path / "out"
    parameters = [
        "--input=gs://bucket/in/*.csv,gs://bucket/in/r*",
        f"--output={output}",
        "--max_length=4",
        "--overwrite=false",
    ]
    flags = [*LAUNCHER_FLAGS, f"--template_location=gs://bucket/{TEMPLATE}", "--no_auth"]
    monkeypatch.setattr(sys, "argv", ["launch.py", *parameters, *flags])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(DIRECTORY / "launch.py"), run_name="__main__")
    assert ended.value.code == 0
    assert f"gs://bucket/{TEMPLATE}: the job" in capsys.readouterr().out
    job = json.loads(gs.blob(TEMPLATE).download_as_bytes())
    assert job["name"] == "charseq-1"
    (pool,) = job["environment"]["workerPools"]
    images = [image["containerImage"] for image in pool["sdkHarnessContainerImages"]]
    assert images == ["registry/charseq:1"]
    assert not list(output.rglob("*"))
    (staged,) = gs.list_blobs(match_glob="staging/**/pipeline.pb")
    run_here(staged.download_as_bytes())
    assert inspect_main([str(output), "--verify"]) == 0
    counts = json.loads((output / "dataset.json").read_text())["counts"]
    assert (counts["read"], counts["duplicates"], counts["rejected"]) == (36, 0, 0)
