"""deploy/dataflow: the template by Dataflow's schemas and RE2, its README's commands by gcloud."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from charseq.cli import exit_status
from deploy.dataflow.launch import to_command_line
from deploy.dataflow.template import container_spec, metadata
from pipeline.options import Options, parse_command_line
from tests.deploy.support.google import (
    SETTINGS,
    check_schema,
    commands,
    egrep_matches,
    has_gcloud,
    recording_gcloud,
    require_equal,
    shell,
    validators,
    workplace,
)
from tests.support.paths import ROOT
from tests.support.template_values import ACCEPTED_AND_REFUSED

_DIRECTORY = ROOT / "deploy" / "dataflow"
_README = _DIRECTORY / "README.md"
_API = "dataflow.v1b3"
_INPUT = ("gs://my-bucket/a/*.csv", "gs://my-bucket/b/*.csv")
_OUTPUT = "gs://my-bucket/prepared"
_SPLIT = "train=0.9,validation=0.05,test=0.05"


def main() -> int:
    """Check all; 1 if something is not as Dataflow or gcloud wants it."""
    return exit_status(_check)


def _check() -> None:
    python = validators()
    held = json.loads((_DIRECTORY / "metadata.json").read_text(encoding="utf-8"))
    check_schema(python, _API, "TemplateMetadata", held)
    check_schema(python, _API, "ContainerSpec", container_spec(SETTINGS["IMAGE"]))
    (text,) = re.findall(r"```json\n(.*?)```", _README.read_text(encoding="utf-8"), re.DOTALL)
    request = json.loads(text)
    _check_request(python, request, Options(input=_INPUT, output=_OUTPUT, split=_SPLIT))
    _check_patterns(python)
    if has_gcloud():
        with workplace() as folder, recording_gcloud(folder) as (settings, requests):
            _build(folder, settings)
            _run(python, folder, settings, requests)


def _check_request(python: Path, request: dict[str, Any], expected: Options) -> None:
    """Look at a request that starts a job: what it gives the launcher, is what options."""
    check_schema(python, _API, "LaunchFlexTemplateRequest", request)
    parameters = request["launchParameter"]["parameters"]
    known = {parameter["name"] for parameter in metadata()["parameters"]}
    require_equal(set(parameters) - known, set(), "parameters that the template does not have")
    line = to_command_line([f"--{name}={value}" for name, value in parameters.items()])
    require_equal(parse_command_line(line), (expected, []), "options of the job")


def _check_patterns(python: Path) -> None:
    patterns = {parameter["name"]: parameter["regexes"] for parameter in metadata()["parameters"]}
    asked = [(patterns[name][0], good + bad) for name, good, bad in ACCEPTED_AND_REFUSED]
    for (pattern, values), matched in zip(asked, egrep_matches(python, asked), strict=True):
        expected = [re.search(pattern, value) is not None for value in values]
        require_equal(matched, expected, f"{pattern} by RE2 on {values}")
    print(f"{len(asked)} patterns are POSIX egrep, and RE2 and Python agree on them")


def _build(folder: Path, settings: dict[str, str]) -> None:
    (command,) = commands(_README, "gcloud dataflow flex-template build")
    spec = json.loads(yaml.safe_load(shell(f"{command} --print-only", folder, settings)))
    require_equal(spec["image"], SETTINGS["IMAGE"], "image of the template")
    # That it is no streaming job, gcloud leaves out.
    expected = {name: value for name, value in metadata().items() if name != "streaming"}
    require_equal(spec["metadata"], expected, "metadata in gcloud's template")
    print("gcloud dataflow flex-template build makes the template")


def _run(
    python: Path, folder: Path, settings: dict[str, str], requests: list[tuple[str, Any]]
) -> None:
    (command,) = commands(_README, "gcloud dataflow flex-template run")
    shell(command, folder, settings)
    ((path, request),) = requests
    place = "projects/my-project/locations/europe-west1"
    require_equal(path, f"/v1b3/{place}/flexTemplates:launch", "address")
    expected = Options(input=_INPUT, output=_OUTPUT, max_length=31, split=_SPLIT, overwrite=True)
    _check_request(python, request, expected)
    print("gcloud dataflow flex-template run starts a job with these options")


if __name__ == "__main__":
    sys.exit(main())
