"""A dataset that is there already is known again, or what differs is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from charseq.errors import DataError
from pipeline.dataset.existing import check_existing_dataset
from pipeline.options import Options
from pipeline.runtime.staging import output_lock

pytestmark = pytest.mark.unit

OPTIONS = Options(input=("data/*.csv",), output="prepared", max_labels=20, seed=4)
A, B = (
    {"path": "data/a.csv", "bytes": 10, "identity": "sha256:aa"},
    {"path": "s3://bucket/b.csv", "bytes": 20, "identity": "etag:bb"},
)


def manifest(**options: Any) -> dict[str, Any]:
    made = {**OPTIONS.to_json(), **options}
    return {"options": made, "inputs": [A, B]}


def differences(options: Options, inputs: list[dict[str, Any]], **made: Any) -> str:
    """What the refusal names; nothing where there is none."""
    try:
        check_existing_dataset(manifest(**made), options, inputs)
    except DataError as error:
        before, _, rest = str(error).partition(
            "prepared already holds a dataset, but not this one: "
        )
        named, advice, _ = rest.partition(
            ". Choose another --output, or replace it with --overwrite"
        )
        assert advice
        assert not before
        return named
    return ""


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        replace(OPTIONS, input=("data/a.csv", "s3://bucket/*"), overwrite=True),
        # What is within a limit is within a higher one.
        replace(OPTIONS, max_labels=21, max_rejected_fraction=0.5),
    ],
)
def test_the_same_options(options: Options) -> None:
    assert differences(options, [A, B]) == ""


def test_the_same_files_in_other_words() -> None:
    spelled = {**A, "path": str(Path.cwd() / "data" / ".." / "data" / "a.csv")}
    assert differences(OPTIONS, [B, spelled]) == ""


@pytest.mark.parametrize(
    ("options", "made", "named"),
    [
        ({"max_length": 20}, {}, "--max-length 31, now 20"),
        ({"alphabet": "AC"}, {}, "--alphabet not given, now AC; --alphabet-size 25, now 2"),
        ({"num_shards": None}, {"num_shards": 3}, "--num-shards 3, now not given"),
        ({"max_labels": 19}, {}, "--max-labels 20, now 19"),
        ({"max_rejected_fraction": 0.0}, {}, "--max-rejected-fraction 0.01, now 0.0"),
    ],
)
def test_other_options_are_named(options: Any, made: Any, named: str) -> None:
    assert differences(replace(OPTIONS, **options), [A, B], **made) == named


def test_a_dataset_made_before_an_option_was_there() -> None:
    before = manifest()
    del before["options"]["too_long"]
    check_existing_dataset(before, OPTIONS, [A, B])
    with pytest.raises(DataError, match="--too-long truncate, now reject"):
        check_existing_dataset(before, replace(OPTIONS, too_long="reject"), [A, B])


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ([A, {**B, "identity": "etag:b2"}], "s3://bucket/b.csv has changed"),
        ([A, {**B, "bytes": 21}], "s3://bucket/b.csv has changed"),
        ([A], "s3://bucket/b.csv is not there"),
        ([A, B, {**B, "path": "data/c.csv"}], "data/c.csv is new"),
        (
            [{**A, "bytes": 11}, *({**A, "path": f"data/{n}.csv"} for n in range(1, 1200))],
            "data/a.csv has changed; data/1.csv is new; data/10.csv is new; data/100.csv is new; "
            "data/1000.csv is new; and 1,196 more files",
        ),
    ],
)
def test_other_files_are_named(inputs: list[dict[str, Any]], named: str) -> None:
    assert differences(OPTIONS, inputs) == named


@pytest.mark.parametrize("known", [{}, {"identity": "mtime:1"}])
def test_identities_that_cannot_be_compared(known: dict[str, str]) -> None:
    before = manifest()
    before["inputs"] = [{"path": "data/a.csv", "bytes": 10, **known}]
    check_existing_dataset(before, OPTIONS, [{**A, "identity": "sha256:other"}])
    with pytest.raises(DataError, match=r"data/a\.csv has changed"):
        check_existing_dataset(before, OPTIONS, [{**A, "bytes": 11}])


def test_two_runs_never_write_one_directory(tmp_path: Path) -> None:
    output = str(tmp_path / "new" / "prepared")
    with (
        output_lock(output),
        pytest.raises(DataError, match="prepared: another run is writing there; let it end"),
        output_lock(output),
    ):
        pass
    with output_lock(output):
        pass
