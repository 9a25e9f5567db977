"""The pass that chooses a length: which rows it measures, and where it cannot run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import main
from pipeline.options import Options
from pipeline.rows.blocks import read_blocks
from pipeline.rows.parts import cut_into_parts
from pipeline.rows.sources import find_sources
from pipeline.sizes.length_pass import measure_block

pytestmark = pytest.mark.unit


def measure(path: Path, **values: Any) -> dict[int, int]:
    """Return the rows of a file of one block, by length."""
    options = Options(input=(str(path),), output="o", max_length="auto", **values)
    (part,) = cut_into_parts(find_sources(options.input_options))
    (block,) = read_blocks(part)
    return dict(measure_block(block, options.row_rules))


def test_usable_rows_are_measured_as_normalized(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('sequence,label\nAC,x\nAC,x\n" e\u0301 ",y\n,x\nACD,\nA"C,x\n', "utf-8")
    assert measure(path) == {1: 1, 2: 2}
    assert measure(path, normalize="none", strip=False) == {2: 2, 4: 1}


def test_all_lengths_that_may_be_chosen_are_exact(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    lengths = (1_023, 1_024, 2_048, 2_049, 5_000)
    path.write_text("sequence,label\n" + "".join(f"{'A' * n},x\n" for n in lengths))
    measured = {1_023: 1, 1_024: 1, 2_048: 1, 4_096: 1, 8_192: 1}
    assert measure(path) == measure(path, too_long="reject") == measured


def test_a_template_is_one_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--input", "rows.csv", "--output", str(tmp_path / "out"), "--max-length", "auto"]
    assert main([*argv, "--template_location", "gs://bucket/template"]) == 2
    assert capsys.readouterr().err == (
        "error: --max-length: got auto with --template_location gs://bucket/template, expected a "
        "number: auto takes a job of its own before, and a template is one job\n"
    )
    assert not (tmp_path / "out").exists()
