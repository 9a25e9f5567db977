"""python -m tests.image: the images are built and run, without a container engine.

Base images are made here instead of pulled (stand_ins.py), buildah builds and runs (storage.py).
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from charseq.cli import exit_status
from deploy.flink.cluster import Cluster
from deploy.support.maven import fetch_jars
from deploy.support.processes import ROOT
from pipeline.sample import main as write_sample
from tests.deploy.readme import PAGE, commands
from tests.deploy.support.tools import fetch_tools
from tests.engines.checks import check, check_the_same, read_checked, step
from tests.image.kubernetes import Kubernetes
from tests.image.server import test_a_server_answers
from tests.image.stand_ins import (
    ARGUMENTS,
    beam_version,
    build_boot,
    commit_stand_ins,
    fetch_base,
    network_flags,
    require_tools,
)
from tests.image.storage import DATA, Container, Storage

CACHE = ROOT / "build" / "image"
TARGETS = ("pipeline", "trainer", "all", "server")
LABELS = {"VERSION": "1.2.3", "REVISION": "abc123", "SOURCE": "https://example.org/charseq"}
FLAGS = ("--encoding=one_hot", "--compression=gzip", "--num-shards=3")
TRAINING = ("--units=4", "--epochs=1")
# A user of this machine that the image knows nothing of, as --user "$(id -u)" gives it.
OTHER_USER = "12345:12345"
# Commands of deploy/README.md on these need Flink's operator and images of Flink.
NEED_FLINK = {"deploy/flink", "job/prepare", "service/flink-rest"}
COMPILERS = ("cc", "gcc", "g++", "clang", "ld", "as", "make", "go")


def main() -> int:
    """Run the tests; 1 at the first that fails."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return exit_status(_run_tests)


def _run_tests() -> None:
    require_tools()
    CACHE.mkdir(parents=True, exist_ok=True)
    log = CACHE / "build.log"
    with step("Debian with Python, in the place of Docker's (kept in build/)"):
        base = fetch_base(CACHE, log)
    with step(f"boot of Beam {beam_version()}, from its Go module (kept in build/)"):
        boot = build_boot(CACHE, log)
    with (
        tempfile.TemporaryDirectory(dir=CACHE) as temporary,
        Storage(Path(temporary), CACHE / "downloads", log) as storage,
    ):
        folder = Path(temporary)
        with step("images of both"):
            commit_stand_ins(storage, base, boot, folder)
        for target in TARGETS:
            with step(f"build {target}"):
                storage.build(target, {**ARGUMENTS, **LABELS}, *network_flags(folder))
        _test_images(storage, folder)
    print("20 passed, 0 failed")


def _test_images(storage: Storage, folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    with step("a container of each"):
        containers = [Container(storage, target, data) for target in TARGETS]
        pipeline, trainer, both, server = containers
    os.chown(data, *map(int, pipeline.run("sh", "-c", "id -u; id -g").split()))
    test_the_builder_is_sent_only_what_is_tracked(storage)
    for container in containers:
        test_an_image_tells_what_it_is(container)
    for container in (pipeline, trainer, both):
        test_it_is_well(container)
    for container in containers:
        test_its_user_cannot_change_it(container)
    with step("imports"):
        test_an_image_holds_what_it_needs_and_no_more(*containers)
        test_entry_points(*containers)
    test_a_server_answers(server, folder)
    local = test_preparation_and_training(pipeline, trainer)
    test_both_in_one(both)
    test_every_command_of_the_page_that_needs_a_pod(containers, folder / "kubernetes")
    test_flink_starts_its_workers_from_the_image(pipeline, local, folder)


def test_the_builder_is_sent_only_what_is_tracked(storage: Storage) -> None:
    """No data, no runs, no .git, nothing that an image does not need."""
    folders = ("charseq", "pipeline", "trainer", "requirements")
    files = ("LICENSE", "README.md", "pyproject.toml", "setup.py", "deploy/dataflow/launch.py")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders, *files]
    tracked = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    with step("what a builder is sent"):
        sent = storage.sent_files()
    check("what a builder is sent", sorted(sent), sorted(tracked.stdout.split()))


def test_an_image_tells_what_it_is(container: Container) -> None:
    """Its labels."""
    name = container.image.removeprefix("localhost/")
    prefix = "org.opencontainers.image."
    labels = {
        label.removeprefix(prefix): value
        for label, value in container.config["Labels"].items()
        if label.startswith(prefix)
    }
    expected = {name.lower(): value for name, value in LABELS.items()}
    check("labels", labels, {**expected, "title": name, "licenses": "Apache-2.0"})


def test_it_is_well(container: Container) -> None:
    """A health check that an engine can run."""
    with step(f"health check of {container.image}"):
        container.run(*container.health_check())


def test_its_user_cannot_change_it(container: Container) -> None:
    """Not root, no compiler, no file of the builder."""
    check("user", container.run("id", "--user").strip(), "10001")
    for folder in ("/opt/charseq", "/opt/charseq/bin", "/usr/bin"):
        check(f"may write {folder}", container.ask("test", "-w", folder).returncode, 1)
    find = f"for program in {' '.join(COMPILERS)}; do command -v $program; done"
    found = container.ask("sh", "-c", find).stdout
    check("compilers", found, "")
    left = [
        path
        for path in ("etc/pip.conf", "root/.cache", "source", "wheel")
        if _is_left(container.root / path)
    ]
    check("what the builder left", left, [])
    special = [
        str(path)
        for path in container.root.joinpath("opt").rglob("*")
        if stat.S_IMODE(path.lstat().st_mode) & (stat.S_ISUID | stat.S_ISGID)
    ]
    check("programs that change the user", special, [])


def _is_left(path: Path) -> bool:
    """Whether there is more than the empty file that a secret is mounted on."""
    return any(path.rglob("*")) if path.is_dir() else path.exists() and path.stat().st_size > 0


def test_an_image_holds_what_it_needs_and_no_more(*containers: Container) -> None:
    """Neither trainer nor server has Beam, and none has what the tests are made with."""
    expected = {
        "pipeline": [True, True, True, False, False, False, False],
        "trainer": [False, False, True, True, False, False, False],
        "all": [True, True, True, True, False, False, False],
        "server": [False, False, True, False, True, False, False],
    }
    names = (
        *("apache_beam", "tensorflow_transform", "keras", "tensorboard", "uvicorn"),
        *("pytest", "moto"),
    )
    program = (
        "import importlib.util, json, sys; "
        "print(json.dumps([importlib.util.find_spec(name) is not None for name in sys.argv[1:]]))"
    )
    for container in containers:
        target = container.image.rpartition("-")[2]
        found = json.loads(container.run("python", "-c", program, *names))
        check(f"{names} in {target}", found, expected[target])


def test_entry_points(
    pipeline: Container, trainer: Container, both: Container, server: Container
) -> None:
    """What `docker run IMAGE` does; --help of every command; the launcher of a Flex Template."""
    boot = pipeline.ask(*pipeline.entry())
    found = (boot.returncode, "No id provided." in boot.stderr)  # buildah adds a line of its own
    check("boot without flags", found, (1, True))
    usage = "usage: python -m"
    check("trainer", trainer.run(*trainer.entry())[:24], f"{usage} trainer")
    check("all", both.run(*both.entry())[:25], f"{usage} pipeline")
    check("server", server.run(*server.entry())[:31], f"{usage} charseq.server")
    for module in ("pipeline", "pipeline.inspect", "pipeline.sample"):
        check(module, pipeline.run("python", "-m", module, "--help").startswith(usage), True)
    for module in ("trainer", "trainer.evaluate"):
        check(module, trainer.run("python", "-m", module, "--help").startswith(usage), True)
    launch = 'python "$FLEX_TEMPLATE_PYTHON_PY_FILE" --help'
    check("file of the launcher", pipeline.run("sh", "-c", launch)[:25], f"{usage} pipeline")
    launcher = pipeline.run("/opt/google/dataflow/python_template_launcher")
    check("launcher", launcher.strip(), "in the place of Dataflow's launcher")


def test_preparation_and_training(pipeline: Container, trainer: Container) -> dict[str, object]:
    """The way of a user with two images; the manifest of the dataset."""
    with step("2,000 rows in pipeline"):
        pipeline.run(*_sample("2000", f"{DATA}/sample.csv"))
        paths = ("--input", f"{DATA}/sample.csv", "--output", f"{DATA}/local")
        pipeline.run("python", "-m", "pipeline", *paths, *FLAGS)
    with step("training in trainer, as its entry point"):
        paths = ("--data", f"{DATA}/local", "--output", f"{DATA}/run")
        trainer.run(*trainer.entry(*paths, "--representation=one_hot", *TRAINING))
    with step("evaluation in trainer"):
        paths = ("--data", f"{DATA}/local", "--model", f"{DATA}/run")
        trainer.run("python", "-m", "trainer.evaluate", *paths)
    data = trainer.root / DATA[1:]
    check("data that stays in the image", list(data.glob("*")) if data.exists() else [], [])
    return read_checked(trainer.data / "local")


def test_both_in_one(both: Container) -> None:
    """A scheduled run: one container, a chain of commands, a user that only the host knows."""
    folder = both.data / "scheduled"
    folder.mkdir()
    os.chown(folder, *map(int, OTHER_USER.split(":")))
    place = f"{DATA}/{folder.name}"
    chain = [
        " ".join(_sample("2000", f"{place}/sample.csv")),
        f"python -m pipeline --input {place}/sample.csv --output {place}/prepared",
        f"python -m trainer --data {place}/prepared --output {place}/run "
        f"--representation=embedding {' '.join(TRAINING)}",
        f"python -m trainer.evaluate --data {place}/prepared --model {place}/run",
    ]
    with step("the whole way in all, as another user"):
        both.run("sh", "-ec", "\n".join(chain), user=OTHER_USER)
    check("a report", (folder / "run/report.html").exists(), True)
    owners = {path.stat().st_uid for path in folder.rglob("*")}
    check("owners of what it wrote", owners, {12345})


def test_every_command_of_the_page_that_needs_a_pod(
    containers: Sequence[Container], folder: Path
) -> None:
    """deploy/README.md in its order: own rows, a run of them, a rollback, a training on "GPUs"."""
    with step("kubectl, for its kustomize (kept in build/)"):
        tools = fetch_tools()
    folder.mkdir()
    images = {each.image.removeprefix("localhost/"): each for each in containers}
    with Kubernetes(images, tools, folder, {"EPOCHS": "3"}) as kubernetes:
        write_sample(["--rows", "2000", "--output", str(kubernetes.home / "rows.csv")])
        for words in _in_order(list(commands(PAGE.read_text())), kubernetes):
            with step(f"kubectl {shlex.join(words)}"):
                kubernetes.kubectl(words)
        reports = {path.name: path.read_text()[:15] for path in kubernetes.home.glob("*.html")}
    check("reports", reports, dict.fromkeys(("report.html", "data.html"), "<!doctype html>"))


def _in_order(page: list[list[str]], kubernetes: Kubernetes) -> Iterator[list[str]]:
    """Yield the commands of the page, and between them what it says in words.

    The sample comes instead of rows of one's own, so each has a run. `shell` is started where a
    command needs it. A rollback needs two promotions: the sample's model is the better one.
    """
    page = [words for words in page if NEED_FLINK.isdisjoint(words)]
    start_shell = [words for words in page if words[-1].endswith(("shell.yaml", "pod/shell"))]
    (sample,) = (words for words in page if "pipeline.sample" in words)
    (run,) = (words for words in page if "--from=cronjob/scheduled-run" in words)
    for words in page:
        if not {"exec", "cp"}.isdisjoint(words) and not kubernetes.is_running("shell"):
            yield from start_shell
        if "--rollback" in words:
            yield sample
            yield ["second" if word == "first" else word for word in run]
        yield words
        if words == sample:
            yield [*words[: words.index("--") + 1], "rm", "-r", "/data/input"]


def test_flink_starts_its_workers_from_the_image(
    pipeline: Container, local: dict[str, object], folder: Path
) -> None:
    """Launched in the image and worked on by the image's boot, Flink writes the same bytes."""
    with step("jars of Flink and of Beam's job server (kept in build/)"):
        jars = fetch_jars(Cluster.cache(), Cluster.pom)
    logs = CACHE / "flink"
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir()
    starter = folder / "worker"
    pipeline.write_starter(starter, pipeline.entry())
    with Cluster(jars, logs) as cluster:
        with step("Flink and a job server start"):
            cluster.wait_until_ready()
        environment = f"--environment_config={json.dumps({'command': str(starter)})}"
        flags = ["--input", f"{DATA}/sample.csv", "--output", f"{DATA}/flink", *FLAGS]
        with step("2,000 rows on Flink, with workers of the image"):
            pipeline.run("python", "-m", "pipeline", *flags, *cluster.beam_flags(), environment)
    with step("no worker is left"):
        pipeline.wait_until_left(60)
    check_the_same(read_checked(pipeline.data / "flink"), local)


def _sample(rows: str, output: str) -> list[str]:
    return ["python", "-m", "pipeline.sample", "--rows", rows, "--output", output]


if __name__ == "__main__":
    sys.exit(main())
