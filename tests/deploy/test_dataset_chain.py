"""Which datasets of earlier dates a date adds its rows to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.airflow.charseq_chain import accept, earlier_datasets

pytestmark = pytest.mark.unit


def make(folder: Path, date: str, base: list[str], is_accepted: bool = True) -> str:
    dataset = folder / date
    dataset.mkdir()
    manifest = {"fingerprint": f"print-{date}", **({"base": base} if base else {})}
    (dataset / "dataset.json").write_text(json.dumps(manifest))
    if is_accepted:
        accept(str(dataset))
    return str(dataset)


def test_a_date_adds_to_accepted_datasets_of_earlier_dates(tmp_path: Path) -> None:
    first = make(tmp_path, "20260201", [])
    assert earlier_datasets(first) == []
    make(tmp_path, "20260202", ["print-20260201"], is_accepted=False)
    third = make(tmp_path, "20260203", ["print-20260201"])
    make(tmp_path, "20260205", ["print-20260201", "print-20260203"])
    assert earlier_datasets(str(tmp_path / "20260204")) == [first, third]


def test_a_dataset_that_is_there_keeps_what_it_adds_to(tmp_path: Path) -> None:
    first = make(tmp_path, "20260201", [])
    third = make(tmp_path, "20260203", ["print-20260201"])
    make(tmp_path, "20260202", ["print-20260201"])  # accepted later
    assert earlier_datasets(third) == [first]
