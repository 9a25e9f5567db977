"""Comparisons through the real entry point: datasets, files, runs and registries."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from charseq.manifest import MANIFEST_FILE
from pipeline.__main__ import main as prepare_main
from pipeline.compare.__main__ import main

ALPHABET = "ABCD"


def write_rows(path: Path, count: int, labels: str, letters: str, seed: int) -> str:
    """Write rows of which the last one is there twice, and one has no sequence."""
    rng = random.Random(seed)
    rows = ["".join(rng.choices(letters, k=8)) + f",{rng.choice(labels)}" for _ in range(count)]
    path.write_text("\n".join(["sequence,label", *rows, rows[-1], ",x"]) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset `data`, like.csv of the same kind of rows, and other.csv."""
    folder = tmp_path_factory.mktemp("compare")
    path = write_rows(folder / "rows.csv", 2000, "xy", "ABCD", seed=1)
    argv = ["--input", path, "--output", str(folder / "data"), "--alphabet", ALPHABET]
    assert prepare_main([*argv, "--max-length", "8"]) == 0
    write_rows(folder / "like.csv", 1000, "xy", "ABCD", seed=2)
    write_rows(folder / "other.csv", 1000, "xxxz", "ABÉ", seed=3)
    return folder


def share_of_duplicates(path: Path) -> float:
    rows = path.read_text().splitlines()[1:-1]
    return 1 - len(set(rows)) / len(rows)


def changes_in(directory: Path) -> dict[str, Any]:
    content = json.loads((directory / "compare.json").read_text())
    return {name: change["value"] for name, change in content["changes"].items()}


def test_rows_of_the_same_kind_have_not_changed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [str(folder / "data"), str(folder / "like.csv"), "--label-column", "label"]
    assert main([*argv, "--fail-if", "default", "--output", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"{folder}/like.csv, 1,001 rows, beside {folder}/data (train), " in out
    assert "CHANGED" not in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["compare.html", "compare.json"]
    changes = changes_in(tmp_path)
    duplicates = [share_of_duplicates(folder / name) for name in ("rows.csv", "like.csv")]
    assert changes["duplicates"] == pytest.approx(abs(duplicates[1] - duplicates[0]))
    assert changes["rejected"] == pytest.approx(1 / 1002 - 1 / 2002)
    assert None not in changes.values()


def test_changes_beyond_a_limit_end_with_status_4(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [str(folder / "data"), str(folder / "other.csv"), "--label-column", "label"]
    limits = ["--fail-if", "unknown>0.3,new-labels>0.9"]
    assert main([*argv, *limits, "--output", str(tmp_path / "new" / "out")]) == 4
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == (
        f"error: {folder}/other.csv has changed beyond the limits of --fail-if: unknown > 0.3"
    )
    assert "new-labels" in captured.out
    content = json.loads((tmp_path / "new" / "out" / "compare.json").read_text())
    assert content["changes"]["unknown"]["exceeded"] is True
    assert content["changes"]["new-labels"] == {
        "value": pytest.approx(0.25, abs=0.05),
        "about": f"'z' ({round(content['changes']['new-labels']['value'] * 1001):,})",
        "limit": 0.9,
        "exceeded": False,
    }
    page = (tmp_path / "new" / "out" / "compare.html").read_text()
    assert "outside the alphabet" in page
    assert main([*argv, "--output", str(tmp_path / "new" / "out")]) == 0  # replaced


def test_labels_are_compared_only_if_they_are_read(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [str(folder / "data"), str(folder / "other.csv"), "--output", str(tmp_path)]
    assert main([*argv, "--fail-if", "labels>0,lengths>0.9"]) == 1
    assert "--fail-if: the change of labels is not known: " in capsys.readouterr().err
    assert main([str(folder / "data"), str(folder / "like.csv"), "--fail-if", "default"]) == 0
    note = "note: not known, and without a limit: labels, label-change, new-labels, gone-labels\n"
    assert note in capsys.readouterr().out
    assert main(argv) == 0
    changes = changes_in(tmp_path)
    unknown = {name for name, value in changes.items() if value is None}
    assert unknown == {"labels", "label-change", "new-labels", "gone-labels", "duplicates"}
    assert "not known" in capsys.readouterr().out


def test_splits_of_one_dataset(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(folder / "data")
    assert (
        main([data, data, "--split", "all", "--other-split", "test", "--fail-if", "default"]) == 0
    )
    assert f"{data} (test), " in capsys.readouterr().out


def test_a_model_is_compared_by_its_dataset(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run, a SavedModel and a registry hold the manifest of the dataset."""
    assets = tmp_path / "run" / "saved_model" / "assets"
    assets.mkdir(parents=True)
    shutil.copy(folder / "data" / MANIFEST_FILE, assets)
    registry = tmp_path / "registry"
    shutil.copytree(assets, registry / "3" / "assets")
    (registry / "models.config").write_text("model_version_policy { specific { versions: 3 } }")
    for first, name in (
        (tmp_path / "run", tmp_path / "run"),
        (tmp_path / "run" / "saved_model", tmp_path / "run" / "saved_model"),
        (registry, registry / "3"),
    ):
        assert main([str(first), str(folder / "like.csv")]) == 0
        assert f"beside the dataset of {name} (train), " in capsys.readouterr().out


def test_what_cannot_be_compared_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusal(*argv: str) -> str:
        assert main(list(argv)) == 1
        return capsys.readouterr().err

    rows = str(folder / "like.csv")
    assert f"{tmp_path}: not a dataset, a run, a SavedModel or a registry" in refusal(
        str(tmp_path), rows
    )
    assert "no file matches" in refusal(str(folder / "data"), str(tmp_path / "none.csv"))
    (tmp_path / "models.config").write_text("versions: 0")
    assert "models.config: names no current model" in refusal(str(tmp_path), rows)
    (tmp_path / "compare.html").write_text("mine")
    message = refusal(str(folder / "data"), rows, "--output", str(tmp_path))
    assert "its compare.html or compare.json is not of a comparison" in message
    assert (tmp_path / "compare.html").read_text() == "mine"
    (tmp_path / "compare.json").write_text("{}")
    message = refusal(str(folder / "data"), rows, "--output", str(tmp_path))
    assert "its compare.html or compare.json is not of a comparison" in message
    assert (tmp_path / "compare.json").read_text() == "{}"
    message = refusal(str(folder / "data"), rows, "--output", str(folder / "data"))
    assert f"--output {folder}/data: it is a dataset; choose another directory" in message
    assert "--output" in refusal(str(folder / "data"), rows, "--output", rows)
    (tmp_path / "models.config").write_text("versions: 7")
    assert f"models.config names {tmp_path}/7, and there is no" in refusal(str(tmp_path), rows)
    assert f"{tmp_path} is a model: it can be the first" in refusal(
        str(folder / "data"), str(tmp_path)
    )
    empty = tmp_path / "none.parquet"
    pq.write_table(pa.table({"sequence": pa.array([], pa.string())}), empty)
    assert f"{empty}: no row to compare" in refusal(str(folder / "data"), str(empty))


MEANINGLESS = (
    ["DATA", "ROWS", "--output", ""],
    ["DATA", ""],
    ["DATA", "ROWS", "--other-split", "all"],
)


@pytest.mark.parametrize("argv", MEANINGLESS)
def test_a_command_line_that_means_nothing_is_refused(folder: Path, argv: list[str]) -> None:
    names = {"DATA": str(folder / "data"), "ROWS": str(folder / "like.csv")}
    status: object
    try:
        status = main([names.get(word, word) for word in argv])
    except SystemExit as ended:  # of argparse
        status = ended.code
    assert status == 2


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("label_counts", {"train": {"x": 0}}),
        ("label_counts", {"train": {"x": "3"}}),
        ("length_histogram", {}),
        ("length_histogram", {"train": {}}),
        ("length_histogram", {"train": {"9999999999": 1}}),
        ("length_histogram", {"train": {"x": 1}}),
        ("character_counts", {}),
        ("character_counts", {"train": {}}),
        ("character_counts", {"train": {"A": "3"}}),
    ],
)
def test_a_damaged_manifest_is_refused(
    folder: Path, tmp_path: Path, key: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads((folder / "data" / MANIFEST_FILE).read_text())
    content[key] = value
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(content))
    assert main([str(tmp_path), str(folder / "data")]) == 1
    assert f"error: {tmp_path}: damaged, or not the counts of" in capsys.readouterr().err


def test_an_earlier_dataset_has_no_counts_of_characters(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads((folder / "data" / MANIFEST_FILE).read_text())
    del content["character_counts"]
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(content))
    assert main([str(tmp_path), str(folder / "like.csv")]) == 0
    assert re.search(r"^characters +– +0\.1  not known$", capsys.readouterr().out, re.MULTILINE)
