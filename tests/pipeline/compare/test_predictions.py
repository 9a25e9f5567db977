"""`pipeline.predict --compare`: what a model is asked, beside what it was trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.predict.__main__ import main
from tests.support.toy_model import save_toy_model

ROWS = [("AB", "x"), ("A", "x"), ("", "x"), ("é~", ""), ("BBB", "z")]


@pytest.mark.parametrize("flags", [(), ("--label-column", "label")], ids=["texts", "labels"])
def test_predictions_stand_beside_the_train_rows(
    tmp_path: Path, flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the toy model: A and B, each once, of the labels x and y."""
    model = save_toy_model(tmp_path / "model", with_ids=True)
    rows = tmp_path / "rows.csv"
    rows.write_text("\n".join(["sequence,label", *map(",".join, ROWS)]) + "\n")
    output = tmp_path / "out"
    argv = ["--model", str(model), "--input", str(rows), "--output", str(output), *flags]
    assert main([*argv, "--compare", "--max-rejected-fraction", "0.5"]) == 0
    assert f"report: {output}/compare.html, beside the train rows" in capsys.readouterr().out
    content = json.loads((output / "compare.json").read_text())
    assert content["second"] == {"name": str(rows), "rows": 4}
    assert content["first"] == {"name": f"the dataset of {model} (train)", "rows": 2}
    changes = {name: change["value"] for name, change in content["changes"].items()}
    assert (changes["rejected"], changes["duplicates"], changes["lengths"] > 0) == (0.2, None, True)
    # x, x, z beside x, y: so few rows are no change, and new labels no surprise
    assert changes["label-change"] == (0.0 if flags else None)
    assert changes["new-labels"] == (0.0 if flags else None)
    files = json.loads((output / "predictions.json").read_text())["files"]
    assert {"compare.html", "compare.json"} <= {file["path"] for file in files}
    assert main([*argv, "--compare", "--max-rejected-fraction", "0.5"]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert main([*argv, "--max-rejected-fraction", "0.5"]) == 1
    assert "--compare" in capsys.readouterr().err


@pytest.mark.parametrize("rows", [["A,", "BB,"], []], ids=["no label", "no row"])
def test_there_may_be_nothing_to_compare(tmp_path: Path, rows: list[str]) -> None:
    model = save_toy_model(tmp_path / "model", with_ids=True)
    path, output = tmp_path / "rows.parquet", tmp_path / "out"
    columns = [[row.partition(",")[0] for row in rows], ["" for _ in rows]]
    arrays = [pa.array(column, pa.string()) for column in columns]
    pq.write_table(pa.table(arrays, names=["sequence", "label"]), path)
    argv = ["--model", str(model), "--input", str(path), "--output", str(output), "--compare"]
    assert main([*argv, "--label-column", "label"]) == 0
    changes = json.loads((output / "compare.json").read_text())["changes"]
    assert changes["labels"]["value"] is None
    assert (changes["lengths"]["value"] is None) == (not rows)
