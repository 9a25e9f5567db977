"""Paths as users write them, and that every flag of every command understands them."""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from typing import Any

import pytest

from charseq.flags import make_parser, parse_known
from charseq.paths import expand_path
from pipeline.inspect import InspectOptions
from pipeline.options import Options
from pipeline.predict.options import PredictOptions
from pipeline.sample import SampleOptions
from trainer.config import Config
from trainer.evaluate.__main__ import EvaluateOptions
from trainer.promote.options import PromoteOptions, PromotionRules

PATH_METAVARS = {"DIR", "GLOB", "RUN", "PATH", "FILE", "FILE.csv"}

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("~", "/home/me"),
        ("~/a/*.csv", "/home/me/a/*.csv"),
        ("~nobody-of-this-name/a", "~nobody-of-this-name/a"),
        ("a~", "a~"),
        ("./~/a", "./~/a"),
        ("a b", "a b"),
        ("file:///a/b*.csv", "/a/b*.csv"),
        ("file:///a?[b]#c", "/a?[b]#c"),
        ("file://localhost/a", "/a"),
        ("FILE:/a", "/a"),
        ("file:///a%20b/100%", "/a b/100%"),
        ("s3://b/~/a%20b", "s3://b/~/a%20b"),
        ("gs://b/*", "gs://b/*"),
        ("s3a://b/A", "s3://b/A"),
        ("S3N://b/A", "s3://b/A"),
        ("gcs://b/A", "gs://b/A"),
        ("HTTPS://H/A", "https://H/A"),
        ("a/S3A://b", "a/S3A://b"),
    ],
)
def test_expand_path(text: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert expand_path(text) == path


@pytest.mark.parametrize("text", ["file://host/a", "file:a", "file://", "file://a", "file://~/a"])
def test_a_file_uri_is_an_absolute_path_of_this_machine(text: str) -> None:
    with pytest.raises(ValueError, match=f"got '{text}', expected file:///DIRECTORY/FILE"):
        expand_path(text)


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        (Options, {"--input": "input", "--output": "output"}),
        (PredictOptions, {"--input": "input", "--model": "model", "--output": "output"}),
        (InspectOptions, {"": "dataset"}),
        (SampleOptions, {"--output": "output"}),
        (Config, {"--data": "data", "--output": "output"}),
        (EvaluateOptions, {"--data": "data", "--model": "model"}),
        (
            PromoteOptions,
            {"--candidate": "candidate", "--data": "rules.data", "--registry": "registry"},
        ),
    ],
)
def test_every_flag_for_a_path_understands_both(
    options: Any, flags: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    parser = make_parser(options, prog="x", description="")
    others = ["--rows=1"] if options is SampleOptions else []
    for prefix, expected in (("~", "/home/me/x.csv"), ("file://", "/x.csv")):
        paths = [f"{flag}={prefix}/x.csv" if flag else f"{prefix}/x.csv" for flag in flags]
        found, unknown = parse_known(options, parser, [*paths, *others])
        assert not unknown
        for name in flags.values():
            value = attrgetter(name)(found)
            assert str(value[0] if isinstance(value, tuple) else value) == expected


def test_every_flag_whose_value_is_a_directory_or_a_file_is_for_a_path() -> None:
    every = (Options, PredictOptions, InspectOptions, SampleOptions, Config, EvaluateOptions)
    for options in (*every, PromoteOptions, PromotionRules):
        for field in dataclasses.fields(options):
            flag = field.metadata.get("flag")
            if flag is not None:
                assert flag.is_path == (flag.metavar in PATH_METAVARS), field.name


def test_what_is_wrong_with_a_file_uri_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    parser = make_parser(Options, prog="x", description="")
    with pytest.raises(SystemExit):
        parse_known(Options, parser, ["--input=file://host/a", "--output=o"])
    assert "argument --input: got 'file://host/a', expected file:///" in capsys.readouterr().err
