"""Options that this machine has too little memory for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from charseq.errors import UsageError
from pipeline import required_memory
from pipeline.__main__ import main
from pipeline.options import Options
from pipeline.required_memory import (
    check_memory,
    check_record_size,
    record_bytes,
    required_bytes,
)
from pipeline.tfrecord.template import VarintSizes, ids_template, one_hot_template

pytestmark = pytest.mark.unit


def options(**changes: Any) -> Options:
    return Options(input=("a.csv",), output="out", **changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"max_length": 10}, 10),
        ({"max_length": 10, "alphabet_size": 126}, 10),
        ({"max_length": 10, "alphabet_size": 127}, 20),
        ({"max_length": 10, "encoding": "one_hot", "alphabet_size": 5}, 200),
    ],
)
def test_the_size_of_a_record_is_that_of_its_sequence(
    changes: dict[str, Any], expected: int
) -> None:
    assert record_bytes(options(**changes)) == expected
    ids = expected if "encoding" not in changes else 0
    sizes = VarintSizes(ids, 1, 1)
    template = one_hot_template(10, 5, False, sizes) if ids == 0 else ids_template(10, False, sizes)
    overhead = 80  # names of the features, length, label, framing
    assert expected < len(template.framed) < expected + overhead


def test_auto_takes_the_most_until_it_is_chosen() -> None:
    auto = options(max_length="auto", alphabet_size="auto", encoding="one_hot")
    assert record_bytes(auto) == 1024 * 256 * 4
    assert record_bytes(replace(auto, chosen_length=10).with_alphabet("ACDEF")) == 200


def test_memory_is_for_tables_of_crcs_and_a_row_in_each_thread() -> None:
    assert required_bytes(options(max_length=100), threads=3) == 100 * 1024 + 3 * 900


def test_a_record_of_two_gib_is_refused() -> None:
    check_record_size(options(max_length=2**31 - 1))
    with pytest.raises(UsageError) as error:
        check_record_size(options(max_length=30_000_000, encoding="one_hot"))
    assert str(error.value) == (
        "--max-length 30000000 with 25 characters as one_hot: a record takes 3.0 GB, and a record "
        "has less than 2 GiB; choose a smaller --max-length or --encoding ids"
    )


def test_more_memory_than_there_is_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(required_memory, "memory_bytes", lambda: 10**9)
    monkeypatch.setattr(required_memory, "cpu_count", lambda: 2)
    check_memory(options(max_length=900_000))
    with pytest.raises(UsageError) as error:
        check_memory(options(max_length=1_000_000))
    assert str(error.value) == (
        "--max-length 1000000: a record takes 1.0 MB, and writing it takes 1.0 GB of memory, more "
        "than the 1.0 GB here; choose a smaller --max-length"
    )


@pytest.mark.integration
def test_memory_is_looked_at_once_auto_has_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(required_memory, "memory_bytes", lambda: 10**6)
    monkeypatch.setattr("pipeline.dataset.run.choose_length", lambda *_: 1_000)
    (tmp_path / "rows.csv").write_text("sequence,label\nA,x\n")
    argv = ["--input", str(tmp_path / "rows.csv"), "--output", str(tmp_path / "out")]
    assert main([*argv, "--max-length", "auto"]) == 2
    assert "error: --max-length 1000: a record takes 1.0 kB, and" in capsys.readouterr().err
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.integration
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--max-length", "99999999999"], "--max-length 99999999999: a record takes 100.0 GB"),
        (["--max-length", str(2**63)], f"got {2**63}, expected at most 2**63 - 1"),
        (["--max-length", "2000000000"], "--max-length 2000000000: a record takes 2.0 GB"),
        (["--alphabet-size", "1112065"], "got 1112065, expected 1 to 1112064"),
        (["--num-shards", "100000"], "--num-shards: got 100000, expected 1 to 99999"),
    ],
)
def test_a_limit_is_one_sentence_before_any_work(
    flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert main(["--input", "none.csv", "--output", str(output), *flags]) == 2
    message = capsys.readouterr().err
    assert said in message
    assert message.count("\n") == 1
    assert not output.exists()
