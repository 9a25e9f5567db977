"""An existing dataset is accepted for the same options and inputs, or what differs is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from charseq.errors import DataError
from charseq.manifest import InputFile, Manifest, RowCounts
from pipeline.manifests.existing import check_existing_dataset
from pipeline.options import Options
from tests.support.manifests import toy_manifest

pytestmark = pytest.mark.unit

OPTIONS = Options(input=("data/*.csv",), output="prepared", max_labels=20, seed=4)
A = InputFile("data/a.csv", 10, "sha256:aa")
B = InputFile("s3://bucket/b.csv", 20, "etag:bb")
EXISTING = toy_manifest(options=OPTIONS.to_json(), inputs=(A, B))


def differences(options: Options, inputs: list[InputFile], **existing: Any) -> str:
    """Return what the error names, or nothing; `existing`: options of the existing dataset."""
    manifest = replace(EXISTING, options={**OPTIONS.to_json(), **existing})
    try:
        check_existing_dataset(manifest, options, inputs)
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


def test_what_was_chosen_does_not_differ() -> None:
    auto = replace(OPTIONS, max_length="auto", alphabet_size="auto")
    made = replace(auto, chosen_length=7).with_alphabet("AC").to_json()
    assert differences(auto, [A, B], **made) == ""


def test_the_same_files_in_other_words() -> None:
    spelled = replace(A, path=str(Path.cwd() / "data" / ".." / "data" / "a.csv"))
    assert differences(OPTIONS, [B, spelled]) == ""


@pytest.mark.parametrize(
    ("options", "made", "named"),
    [
        ({"max_length": 20}, {}, "--max-length 31, now 20"),
        ({"alphabet": "AC"}, {}, "--alphabet not given, now AC; --alphabet-size 25, now 2"),
        ({"num_shards": None}, {"num_shards": 3}, "--num-shards 3, now not given"),
        ({"max_labels": 19}, {}, "--max-labels 20, now 19"),
        ({"max_length": "auto"}, {}, "--max-length 31, now auto"),
        ({}, {"alphabet_size": "auto"}, "--alphabet-size auto, now 25"),
        ({"max_rejected_fraction": 0.0}, {}, "--max-rejected-fraction 0.01, now 0.0"),
    ],
)
def test_other_options_are_named(options: Any, made: Any, named: str) -> None:
    assert differences(replace(OPTIONS, **options), [A, B], **made) == named


def test_a_dataset_made_before_an_option_was_there() -> None:
    options = OPTIONS.to_json()
    del options["too_long"]
    before = replace(EXISTING, options=options)
    check_existing_dataset(before, OPTIONS, [A, B])
    with pytest.raises(DataError, match="--too-long truncate, now reject"):
        check_existing_dataset(before, replace(OPTIONS, too_long="reject"), [A, B])


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ([A, replace(B, identity="etag:b2")], "s3://bucket/b.csv has changed"),
        ([A, replace(B, bytes=21)], "s3://bucket/b.csv has changed"),
        ([A], "s3://bucket/b.csv is not there"),
        ([A, B, replace(B, path="data/c.csv")], "data/c.csv is new"),
        (
            [replace(A, bytes=11), *(replace(A, path=f"data/{n}.csv") for n in range(1, 1200))],
            "data/a.csv has changed; data/1.csv is new; data/10.csv is new; data/100.csv is new; "
            "data/1000.csv is new; and 1,196 more files",
        ),
    ],
)
def test_other_files_are_named(inputs: list[InputFile], named: str) -> None:
    assert differences(OPTIONS, inputs) == named


@pytest.mark.parametrize("identity", [None, "mtime:1"])
def test_identities_that_cannot_be_compared(identity: str | None) -> None:
    before = replace(EXISTING, inputs=(replace(A, identity=identity),))
    check_existing_dataset(before, OPTIONS, [replace(A, identity="sha256:other")])
    with pytest.raises(DataError, match=r"data/a\.csv has changed"):
        check_existing_dataset(before, OPTIONS, [replace(A, bytes=11)])


def earlier_options() -> dict[str, Any]:
    """Return the options of a dataset that was prepared before there was any normalizing."""
    new = ("normalize", "lowercase", "strip")
    return {name: value for name, value in OPTIONS.to_json().items() if name not in new}


def refusal(manifest: Manifest, options: Options = OPTIONS) -> str:
    try:
        check_existing_dataset(manifest, options, [A, B])
    except DataError as error:
        return str(error)
    return ""


def test_an_earlier_dataset_that_normalizing_would_not_change_is_the_same() -> None:
    earlier = replace(EXISTING, options=earlier_options())
    assert refusal(earlier) == ""
    assert "--lowercase False, now True" in refusal(earlier, replace(OPTIONS, lowercase=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ("x", "x ")},
        {"labels": ("x", "e\u0301")},
        {"alphabet": ("A", " ")},
        {"alphabet": ("e", "\u0301")},
        {"counts": RowCounts(2, 2, 0, 0, 0, 0, {}, 0, 0, unknown_characters=1)},
        {"counts": RowCounts(3, 2, 0, 0, 0, 1, {"unseen_label": 1}, 0, 0, 0)},
    ],
)
def test_an_earlier_dataset_that_normalizing_may_change_is_another(changes: Any) -> None:
    said = refusal(replace(EXISTING, options=earlier_options(), **changes))
    assert "--normalize none, now nfc; --strip False, now True" in said
    assert refusal(replace(EXISTING, **changes)) == ""
