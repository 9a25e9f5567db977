"""What can be known of the images without building them; tests/image builds and runs them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from charseq.server.options import ServeOptions
from tests.support.paths import ROOT

pytestmark = pytest.mark.unit

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LOCKS = ("build", "pipeline", "server", "trainer-cpu", "trainer-cuda")
EXTRAS = {
    "pipeline": ("pipeline", "aws"),
    "server": ("server", "aws", "gcp"),
    "trainer-cpu": ("trainer",),
    "trainer-cuda": ("trainer", "cuda"),
}


def read_lock(path: Path) -> dict[str, set[str]]:
    """The hashes of each `name==version`."""
    pins: dict[str, set[str]] = {}
    for line in path.read_text().splitlines():
        if pin := re.match(r"[a-z0-9.-]+==[^ ]+", line):
            pins[pin[0]] = hashes = set()
        elif found := re.match(r" +--hash=(sha256:[0-9a-f]{64})( \\)?$", line):
            hashes.add(found[1])
        else:
            assert line.lstrip().startswith("#"), line
    return pins


def lock_of(image: str) -> dict[str, set[str]]:
    return read_lock(ROOT / "requirements" / f"{image}.lock")


def names(pins: dict[str, set[str]]) -> set[str]:
    return {pin.split("==")[0] for pin in pins}


def argument(name: str) -> str:
    """What an ARG of the Dockerfile is by default."""
    (value,) = re.findall(rf"^ARG {name}=(.+)$", DOCKERFILE, re.MULTILINE)
    return str(value)


@pytest.mark.parametrize("image", LOCKS)
def test_an_image_holds_what_the_project_is_tested_with(image: str) -> None:
    tested = read_lock(ROOT / "requirements.lock")
    pins = {pin: hashes for pin, hashes in lock_of(image).items() if pin.split("-")[0] != "nvidia"}
    assert {pin: tested.get(pin) for pin in pins} == pins


@pytest.mark.parametrize("image", LOCKS)
def test_every_pin_has_a_hash(image: str) -> None:
    assert all(lock_of(image).values())


@pytest.mark.parametrize("image", EXTRAS)
def test_a_lock_fits_the_ranges_of_the_project(image: str) -> None:
    pinned = dict(pin.split("==") for pin in lock_of(image))
    for extra in EXTRAS[image]:
        for requirement in map(Requirement, PROJECT["optional-dependencies"][extra]):
            # Of two versions for different Pythons the newest is last, in the lock and in `pinned`.
            if not requirement.marker or requirement.marker.evaluate({"python_version": "3.11"}):
                assert pinned[requirement.name] in requirement.specifier, requirement


def test_only_the_pipeline_has_beam_and_no_image_what_only_tests_need() -> None:
    for image in ("server", "trainer-cpu", "trainer-cuda"):
        assert not names(lock_of(image)) & {"apache-beam", "tensorflow-transform", "tfx-bsl"}
    for image in LOCKS:
        assert not names(lock_of(image)) & {"pytest", "moto", "mypy", "ruff"}


def test_the_server_has_nothing_of_a_training_but_tensorflow() -> None:
    found = names(lock_of("server"))
    assert {"tensorflow", "starlette", "uvicorn"} <= found
    assert not found & {"tensorboard", "onnx", "onnxruntime"}


def test_a_health_check_asks_the_port_that_the_server_listens_at() -> None:
    (exposed,) = re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)
    (asked,) = re.findall(r"http://127\.0\.0\.1:(\d+)/healthz", DOCKERFILE)
    assert int(exposed) == int(asked) == ServeOptions(registry="models").port


def test_only_the_trainer_for_gpus_has_their_libraries() -> None:
    for_gpus = {name for name in names(lock_of("trainer-cuda")) if name.startswith("nvidia-")}
    assert "nvidia-cudnn-cu12" in for_gpus
    assert names(lock_of("trainer-cuda")) - for_gpus == names(lock_of("trainer-cpu"))


def test_the_worker_starts_the_beam_that_is_installed() -> None:
    _, beam = argument("BEAM_SDK").split(":")
    assert f"apache-beam=={beam}" in lock_of("pipeline")


def test_the_images_it_is_built_from_have_one_python() -> None:
    images = " ".join(map(argument, ("BASE", "BEAM_SDK", "FLEX_LAUNCHER")))
    assert re.findall(r"python:?(3\.?1[0-3])", images) == ["3.11", "3.11", "311"]


def test_the_label_tells_the_version_of_the_project() -> None:
    assert argument("VERSION") == PROJECT["version"]


def test_the_builder_is_sent_what_is_copied_and_nothing_else() -> None:
    copies = re.findall(r"^COPY (?!--from)((?:[^\n]|\\\n)+)$", DOCKERFILE, re.MULTILINE)
    copied = {source.split("/")[0] for copy in copies for source in copy.split()[:-1]}
    everything, *rules, caches = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] != "#"
    ]
    assert (everything, caches) == ("*", "**/__pycache__")
    assert {rule.removeprefix("!").split("/")[0] for rule in rules} == copied
