"""Rows that look the same are the same: through the command, to the dataset it writes."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from charseq.text.normalization import BLANKS
from pipeline.__main__ import main
from pipeline.inspect import main as inspect
from tests.support.preparation import manifest_of, read_split

NAMES = [f"{a}{b}\xe9{c}" for a in "ABCDE" for b in "FGHIK" for c in "LMNPQ"]
TWINS = [
    *NAMES,
    *(unicodedata.normalize("NFD", name) for name in NAMES),
    *(f"\ufeff{name}" for name in NAMES[:20]),
    *(f"{name}\u200b \r" for name in NAMES[5:30]),
]


def write_rows(path: Path) -> None:
    """Write the twins under three labels, each in several spellings."""
    labels = ["nuevo", "nuevo ", "\xa0nuevo", "a\xf1o", "an\u0303o", "otro"]
    rows = [
        json.dumps({"sequence": text, "label": labels[number % len(labels)]})
        for number, text in enumerate(TWINS)
    ]
    path.write_text("\n".join([*rows, json.dumps({"sequence": " \u2060", "label": "otro"})]))


def texts_of(dataset: Path) -> dict[str, set[str]]:
    """Return the sequences of each split."""
    manifest = manifest_of(dataset)
    characters = ["", *manifest["alphabet"]]
    return {
        split: {
            "".join(characters[number] for number in ids)
            for ids, _, _ in read_split(dataset, manifest, split)
        }
        for split in {shard["split"] for shard in manifest["shards"]}
    }


def test_twins_are_one_sequence_and_one_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(tmp_path / "rows.jsonl")
    dataset = tmp_path / "out"
    flags = f"--input {tmp_path}/rows.jsonl --output {dataset} --split train=0.6,test=0.4"
    assert main(flags.split()) == 0
    manifest, texts = manifest_of(dataset), texts_of(dataset)
    assert sorted(manifest["labels"]) == ["a\xf1o", "nuevo", "otro"]
    assert texts["train"] | texts["test"] == set(NAMES)
    assert not texts["train"] & texts["test"]
    assert manifest["counts"]["rejected_by_reason"] == {"empty_sequence": 1}
    changed = manifest["counts"]["normalized"]
    assert changed["sequence"] == {"nfc": 125, "strip": 45}
    assert changed["label"]["nfc"] == len(TWINS[4::6])
    assert "125 sequences were changed by NFC, 45 sequences were" in capsys.readouterr().out
    assert manifest["versions"]["unicode"] == unicodedata.unidata_version
    _check_parity(dataset)
    assert inspect([str(dataset), "--verify"]) == 0


def _check_parity(dataset: Path) -> None:
    """Check that parity.jsonl holds rows as they were read that each step changed."""
    lines = (dataset / "parity.jsonl").read_text().splitlines()
    raw = [json.loads(line)["sequence"] for line in lines]
    assert set(raw) <= set(TWINS)
    assert sum(not unicodedata.is_normalized("NFC", text) for text in raw) >= 10
    assert sum(text.strip(BLANKS) != text for text in raw) >= 10


def test_without_normalizing_text_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "sequence,label\n" + "".join(f"{c}{d} , {c}\n" for c in "AB" for d in "CDEFGHIKLM")
    )
    flags = f"--input {tmp_path}/a.csv --output {tmp_path}/out --normalize none --no-strip"
    assert main([*flags.split(), "--split", "train=1"]) == 0
    assert manifest_of(tmp_path / "out")["labels"] == [" B", " A"]
    assert "AC " in texts_of(tmp_path / "out")["train"]
    assert manifest_of(tmp_path / "out")["counts"]["normalized"] == {}
