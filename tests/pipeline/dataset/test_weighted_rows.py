"""Weights from a column to the records, through the real entry point."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from charseq.manifest import manifest_from_json
from pipeline.__main__ import main
from pipeline.inspect import main as inspect_main
from tests.support.preparation import manifest_of

ALPHABET = "ABCD"
Row = tuple[str, str, float | None]


def make_rows() -> list[Row]:
    """Return 200 distinct rows; ten of them again, three of weight 0, and one without a weight."""
    texts = ["".join(ALPHABET[n // 4**place % 4] for place in range(4)) for n in range(200)]
    rows: list[Row] = [(text, "xy"[n % 2], 1 + n % 5 / 4) for n, text in enumerate(texts)]
    again: list[Row] = [(*rows[n][:2], 8.0) for n in range(10)]
    return [*rows, *again, *[("DDDD", "x", 0.0)] * 3, ("DDD", "y", None)]


def write_csv(path: Path, rows: list[Row]) -> str:
    lines = [f"{text},{'' if weight is None else weight},{label}" for text, label, weight in rows]
    path.write_text("\n".join(["sequence,how much,label", *lines]) + "\n")
    return str(path)


def write_parquet(path: Path, rows: list[Row]) -> str:
    sequence, label, weight = (list(column) for column in zip(*rows, strict=True))
    pq.write_table(pa.table({"label": label, "how much": weight, "sequence": sequence}), path)
    return str(path)


def write_jsonl(path: Path, rows: list[Row]) -> str:
    lines = [
        json.dumps({"sequence": text, "label": label, "how much": weight})
        for text, label, weight in rows
    ]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def prepare(output: Path, paths: list[str], *flags: str) -> dict[str, Any]:
    options = ["--weight-column", "how much", "--alphabet", ALPHABET, "--max-length", "4"]
    assert main(["--input", *paths, "--output", str(output), *options, *flags]) == 0
    return manifest_of(output)


def read_weights(dataset: Path, manifest: dict[str, Any]) -> dict[tuple[str, str], float]:
    """Return the weight of each record of ids by its text and label."""
    spec = {
        name: tf.io.FixedLenFeature(feature["shape"], feature["dtype"])
        for name, feature in manifest["feature_spec"].items()
    }
    records = list(tf.data.TFRecordDataset([str(dataset / s["path"]) for s in manifest["shards"]]))
    parsed = tf.io.parse_example(records, spec)
    columns = (parsed[name].numpy().tolist() for name in ("sequence", "label", "weight"))
    return {
        ("".join(ALPHABET[i - 1] for i in ids), manifest["labels"][label]): weight
        for ids, label, weight in zip(*columns, strict=True)
    }


@pytest.mark.parametrize("flags", [(), ("--folds", "4", "--stratify")], ids=["splits", "folds"])
def test_records_hold_the_weights_of_their_rows(tmp_path: Path, flags: tuple[str, ...]) -> None:
    rows = make_rows()
    manifest = prepare(tmp_path / "one", [write_csv(tmp_path / "rows.csv", rows)], *flags)
    assert manifest["format_version"] == 3
    assert manifest["feature_spec"]["weight"] == {"shape": [], "dtype": "float32"}
    counts = manifest["counts"]
    assert (counts["read"], counts["duplicates"], counts["rejected"]) == (214, 10, 4)
    assert counts["rejected_by_reason"] == {"invalid_weight": 1, "zero_weight": 3}
    expected: defaultdict[tuple[str, str], float] = defaultdict(float)
    for text, label, weight in rows[:210]:
        expected[text, label] += weight or 0
    assert read_weights(tmp_path / "one", manifest) == expected
    total = sum(sum(of_split.values()) for of_split in manifest["label_weights"].values())
    assert total == sum(expected.values()) == 380.0
    assert inspect_main([str(tmp_path / "one"), "--verify"]) == 0
    random.Random(1).shuffle(rows)
    parts = [
        write_parquet(tmp_path / "a.parquet", rows[:70]),
        write_csv(tmp_path / "b.csv", rows[70:140]),
        write_jsonl(tmp_path / "c.jsonl", rows[140:]),
    ]
    again = prepare(tmp_path / "two", parts, *flags, "--direct_num_workers=2")
    assert again["fingerprint"] == manifest["fingerprint"]
    assert again["label_weights"] == manifest["label_weights"]


def test_rows_of_weight_0_are_outside_the_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*make_rows()[:200], *[("DDDD", "x", 0.0)] * 90]
    path = write_csv(tmp_path / "rows.csv", rows)
    manifest = prepare(tmp_path / "data", [path], "--max-rejected-fraction", "0")
    assert manifest["counts"]["rejected_by_reason"] == {"zero_weight": 90}
    path = write_csv(tmp_path / "more.csv", [*rows, ("DDD", "y", -1.0)])
    argv = ["--input", path, "--output", str(tmp_path / "no"), "--weight-column", "how much"]
    assert main([*argv, "--max-rejected-fraction", "0"]) == 1
    message = "1 invalid_weight (no value in --weight-column, or one that is no number from 0 to"
    assert message in capsys.readouterr().err


def test_one_hot_records_have_weights_too(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", make_rows())
    manifest = prepare(tmp_path / "data", [path], "--encoding", "one_hot")
    assert list(manifest["feature_spec"]) == ["sequence", "length", "label", "weight"]
    assert inspect_main([str(tmp_path / "data"), "--verify"]) == 0


def test_a_weight_that_is_not_in_the_manifest_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = prepare(tmp_path / "data", [write_csv(tmp_path / "rows.csv", make_rows())])
    manifest["label_weights"]["test"]["x"] += 0.25
    changed = manifest_from_json(manifest, "dataset.json")
    (tmp_path / "data" / "dataset.json").write_text(changed.sealed(changed.files).to_text())
    assert inspect_main([str(tmp_path / "data"), "--verify"]) == 1
    assert "test: the weights of 'x' is " in capsys.readouterr().err
