"""deploy/airflow, given to Airflow: imported, run to the end, again, and with what must fail.

Airflow has an environment of its own, made once of deploy/airflow/requirements.lock and kept in
the user's cache; what the DAG runs is this checkout, with this interpreter.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from charseq.cli import exit_status
from charseq.errors import DataError
from pipeline.sample import main as write_sample
from tests.support.listing import listing
from tests.support.paths import ROOT

DAGS = ROOT / "deploy" / "airflow"
LOCK = DAGS / "requirements.lock"
CONF = {
    "prepare": {"max-length": 24, "max-rejected-fraction": 0.5},
    "train": [
        "--representation",
        "embedding",
        "--units",
        "4",
        "--epochs",
        "10",
        "--batch-size",
        "32",
        "--checkpoint-every",
        "1",
    ],
    "max_truncated_fraction": 1,
}
# Every run measures anew; a lock is taken.
REWRITTEN = (
    *(
        f"runs/20260102/{name}"
        for name in ("evaluation-test.json", "examples-test.json", "report.html", "MODEL_CARD.md")
    ),
    "registry/.lock",
    *(f"datasets/20260102.compare/compare.{ending}" for ending in ("html", "json")),
)
# The first training is ended by SIGTERM, as Airflow does it, once it has saved something.
INTERPRETER = """\
#!/bin/sh
export PYTHONPATH={root}
if [ "$2" = trainer ] && [ ! -e {folder}/ended ]; then
    touch {folder}/ended
    {python} "$@" & pid=$!
    until ls "$RUN"/checkpoints/step-* || ! kill -0 $pid; do sleep 0.05; done >/dev/null 2>&1
    kill -TERM $pid
    wait $pid
    exit $?
fi
exec {python} "$@"
"""
# What an administrator may set for all tasks; the DAG's own delays are for real work.
POLICY = """\
from datetime import timedelta
def task_policy(task):
    task.retries, task.retry_delay = min(task.retries, 1), timedelta(seconds=1)
"""


class Finished(NamedTuple):
    """What a command printed, and its exit status."""

    status: int
    text: str


def main() -> int:
    """Run the tests; 1 at the first that fails."""
    return exit_status(_run_tests)


def _run_tests() -> None:
    airflow = make_environment() / "bin" / "airflow"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        environment = configure(folder)

        def run(*arguments: str) -> Finished:
            done = subprocess.run(
                [airflow, *arguments],
                env=environment,
                cwd=folder,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            return Finished(done.returncode, done.stdout)

        expect(run("db", "migrate"), 0)
        expect(run("dags", "reserialize"), 0)
        expect(run("dags", "list-import-errors"), 0, "No data found")
        expect(run("dags", "list"), 0, "charseq")
        print("the DAG is imported, without errors")
        test_twice_for_one_date(run, folder)
        test_a_changed_input_is_refused(run, folder)
        test_bad_data_is_not_trained_on(run, folder)
        test_changed_data_is_not_trained_on(run, folder)
        test_a_week_that_adds_up(run, folder)
    print("5 passed, 0 failed")


def test_twice_for_one_date(run: Callable[..., Finished], folder: Path) -> None:
    """A date runs to the end, its training ended once; the second time nothing changes."""
    sample(folder, "20260102", 3000)
    first = run("dags", "test", "charseq", "2026-01-02", "--conf", json.dumps(CONF))
    expect(
        first,
        0,
        "SIGTERM: saved after step",
        "going on in epoch",
        "no model yet",
        f"promoted: {folder}/data/runs/20260102 is {folder}/data/registry/1, the current one",
    )
    print("2026-01-02: prepared, looked at, trained (ended once, gone on), evaluated, promoted")
    before = listing(folder / "data", REWRITTEN)
    second = run("dags", "test", "charseq", "2026-01-02", "--conf", json.dumps(CONF))
    expect(
        second,
        0,
        "datasets/20260102 is already prepared from these inputs",
        "datasets/20260102 (train), ",
        "runs/20260102 is already trained on this dataset",
        "registry/1, the current one",
    )
    after = listing(folder / "data", REWRITTEN)
    if changed := sorted(set(before.items()) ^ set(after.items())):
        raise DataError(f"the second run changed {changed}")
    print(f"2026-01-02, again: nothing changed in {len(after)} files")


def test_a_changed_input_is_refused(run: Callable[..., Finished], folder: Path) -> None:
    """The date's input has changed: prepare says so, and nothing else is done."""
    before = listing(folder / "data", REWRITTEN)
    path = sample(folder, "20260102", 3100)
    third = run("dags", "test", "charseq", "2026-01-02", "--conf", json.dumps(CONF))
    expect(third, 1, f"not this one: {path} has changed. Choose another --output", "DagRun failed")
    if "-m trainer" in third.text or listing(folder / "data", REWRITTEN) != before:
        raise DataError(f"a task ran after the refusal:\n{third.text}")
    print("2026-01-02, its input changed: refused by prepare")


def test_bad_data_is_not_trained_on(run: Callable[..., Finished], folder: Path) -> None:
    """The gate fails at once, without trying again, and names each problem."""
    path = sample(folder, "20260103", 2000)
    with path.open("a") as file:
        file.write(",empty\n" * 500)
    conf = {**CONF, "max_rejected_fraction": 0.1, "min_train_rows": 5000}
    fourth = run("dags", "test", "charseq", "2026-01-03", "--conf", json.dumps(conf))
    expect(
        fourth,
        1,
        "datasets/20260103 is not trained on: train has ",
        "expected 5000 or more; 500 of 2500 rows are rejected: 20.00%, expected 10.00% or less",
        "DagRun failed",
    )
    if (folder / "data" / "runs" / "20260103").exists():
        raise DataError("bad data was trained on")
    print("2026-01-03, bad data: not trained on")


def test_changed_data_is_not_trained_on(run: Callable[..., Finished], folder: Path) -> None:
    """A label has another name than in the dataset of the current model."""
    path = sample(folder, "20260104", 3000)
    path.write_text(path.read_text().replace(",amber", ",ochre"))
    fifth = run("dags", "test", "charseq", "2026-01-04", "--conf", json.dumps(CONF))
    expect(
        fifth,
        1,
        "CHANGED  'ochre' (",
        f"{folder}/data/datasets/20260104 has changed beyond the limits of --fail-if: ",
        "DagRun failed",
    )
    if (folder / "data" / "runs" / "20260104").exists():
        raise DataError("changed data was trained on")
    print("2026-01-04, a label by another name: not trained on")


def test_a_week_that_adds_up(run: Callable[..., Finished], folder: Path) -> None:
    """Each day adds its rows to the days before; a day whose rows have changed is left out."""
    shutil.rmtree(folder / "data" / "registry")
    week = [f"202602{day:02d}" for day in range(1, 8)]
    drifted = week[4]
    added: list[str] = []
    lines = {}
    for number, date in enumerate(week):
        path = sample(folder, date, 9000)
        header, *rows = path.read_text().splitlines()
        # 1,200 rows of the day, and 300 of the day before.
        lines[date] = rows[1200 * number : 1200 * number + 1500]
        text = "\n".join([header, *lines[date]]) + "\n"
        path.write_text(text.replace(",amber", ",ochre") if date == drifted else text)
        conf = {**CONF, "add_to_earlier": True, "min_train_rows": 500, "min_rows_of_label": 0}
        logical = f"{date[:4]}-{date[4:6]}-{date[6:]}"
        done = run("dags", "test", "charseq", logical, "--conf", json.dumps(conf))
        dataset = folder / "data" / "datasets" / date
        manifest = json.loads((dataset / "dataset.json").read_text())
        if manifest["counts"]["read"] != 1500 or len(manifest.get("base", ())) != len(added):
            raise DataError(
                f"{date}: {manifest['counts']}, added to {len(manifest.get('base', ()))}"
            )
        if date == drifted:
            expect(done, 1, "has changed beyond the limits of --fail-if: ", "DagRun failed")
            print(f"{logical}: 1,500 rows read, changed: not trained on")
            continue
        added.append(date)
        counts = manifest["counts"]
        new = sum(counts[split] for split in ("train", "validation", "test"))
        expect(done, 0, f"runs/{date} ")
        run_json = folder / "data" / "runs" / date / "run.json"
        trained = json.loads(run_json.read_text())
        trained_on = trained["dataset"].get("fingerprints", [manifest["fingerprint"]])
        if trained_on != [*manifest.get("base", ()), manifest["fingerprint"]]:
            raise DataError(f"{date}: trained on {trained_on}")
        print(
            f"{logical}: 1,500 rows read, {counts['duplicates']:,} of them known, {new:,} written, "
            f"trained on {len(added)} datasets"
        )
    check_week(folder, added, lines)


def check_week(folder: Path, added: list[str], lines: dict[str, list[str]]) -> None:
    """Check that the datasets of a week hold each distinct row once."""
    rows = {
        (row[: row.index(",")][:24], row.partition(",")[2]) for date in added for row in lines[date]
    }
    written = read = 0
    for date in added:
        counts = json.loads((folder / "data/datasets" / date / "dataset.json").read_text())[
            "counts"
        ]
        written += sum(counts[split] for split in ("train", "validation", "test"))
        read += counts["read"]
    if written != len(rows) or read != 1500 * len(added):
        raise DataError(f"{written} records of {len(rows)} distinct rows, {read} read")
    print(f"the week: {read:,} rows read, each once; {written:,} records, each distinct row once")


def make_environment() -> Path:
    """A virtual environment with what the lock names; made once for each lock and Python.

    Raises:
        DataError: it cannot be made.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "charseq"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    place = cache / f"airflow-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}-{version}"
    if (place / "ready").exists():
        return place
    print(f"installing Airflow into {place}; this takes a few minutes", flush=True)
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        subprocess.run([*pip, "--require-hashes", "--requirement", LOCK], check=True)
    except subprocess.CalledProcessError as error:
        raise DataError(f"{place}: Airflow could not be installed: {error}") from error
    (place / "ready").touch()
    return place


def configure(folder: Path) -> dict[str, str]:
    """The environment variables of Airflow at work in `folder`, and the files they name."""
    interpreter = folder / "python"
    interpreter.write_text(INTERPRETER.format(root=ROOT, folder=folder, python=sys.executable))
    interpreter.chmod(0o755)
    settings = folder / "airflow" / "config" / "airflow_local_settings.py"
    settings.parent.mkdir(parents=True)
    settings.write_text(POLICY)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_VAR_CHARSEQ_PYTHON": str(interpreter),
        "AIRFLOW_VAR_CHARSEQ_HOME": str(folder / "data"),
        "AIRFLOW_VAR_CHARSEQ_INPUT": str(folder / "raw" / "{date}" / "*.csv"),
        "AIRFLOW_VAR_CHARSEQ_BEAM_OPTIONS": '{"direct_num_workers": 1}',
    }


def sample(folder: Path, date: str, rows: int) -> Path:
    """The input of a date."""
    path = folder / "raw" / date / "rows.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sample(["--rows", str(rows), "--output", str(path)])
    return path


def expect(done: Finished, status: int, *said: str) -> None:
    """Look whether a command ended as expected and said so.

    Raises:
        DataError: it did not; the message has all that it printed.
    """
    missing = [text for text in said if text not in done.text]
    if done.status != status or missing:
        raise DataError(
            f"got status {done.status}, expected {status}; not said: {missing}:\n{done.text}"
        )


if __name__ == "__main__":
    sys.exit(main())
