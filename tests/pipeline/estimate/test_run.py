"""`python -m pipeline --plan` through the real entry point."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.estimate import run
from tests.support.preparation import make_rows, write_csv


def plan(folder: Path, *flags: str) -> int:
    write_csv(folder / "rows.csv", make_rows(2_000))
    paths = ["--input", str(folder / "rows.csv"), "--output", str(folder / "out")]
    return main([*paths, "--max-rejected-fraction", "0.5", *flags, "--plan"])


@pytest.mark.parametrize(
    "flags",
    [
        ("--num-shards", "3"),
        ("--max-length", "auto", "--alphabet-size", "auto", "--stratify"),
        ("--folds", "3", "--runner", "FlinkRunner", "--core-hour-price", "0.05"),
    ],
)
def test_it_prints_what_there_will_be_and_writes_nothing(
    tmp_path: Path, flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(tmp_path, *flags) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "input: 1 file(s), 30.7 kB, 2,053 rows"
    assert lines[1].startswith("sample: 2,053 rows, 0.1% rejected, ")
    assert "3 labels" in lines[2]
    assert lines[4].startswith("this machine, ")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_what_only_the_sample_lacks_is_said_of_the_sample(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "SAMPLE_ROWS", 400)
    rows = [(f"{number:06}", "xy"[number // 200_000]) for number in range(400_000)]
    write_csv(tmp_path / "sorted.csv.gz", rows)
    paths = ["--input", str(tmp_path / "sorted.csv.gz"), "--output", str(tmp_path / "out")]
    assert main([*paths, "--plan"]) == 1
    assert (
        "error: --plan: the sample, which is not all rows: the train rows have only the label 'x'"
        in (capsys.readouterr().err)
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--similar", "0.8"), "--plan: not with --similar"),
        (("--base", "other"), "--plan: not with --base"),
        (("--core-hour-price", "-1"), "--core-hour-price: got -1"),
    ],
)
def test_what_a_sample_does_not_show_is_refused(
    tmp_path: Path, flags: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = plan(tmp_path, *flags)
    except SystemExit as error:
        status = int(str(error))
    assert status == 2
    assert message in capsys.readouterr().err
