from __future__ import annotations

from pathlib import Path

import pytest

from charseq.errors import UsageError
from trainer.config import RESUME_REQUIRED, Config, Interval, parse_command_line

pytestmark = pytest.mark.unit


def test_flags_reach_their_options():
    flags = (
        "--data d --output o --representation scalar --units 8,4 --embedding-dim 3 --epochs 7 "
        "--batch-size 64 --learning-rate 0.25 --optimizer sgd --strategy mirrored "
        "--devices CPU:0,CPU:1 --jit-compile off --steps-per-execution 5 --seed 9 --dropout 0.25 "
        "--schedule cosine --clip-norm 1.5 --class-weights balanced --early-stop 4 "
        "--cache memory --mixed-precision "
        "--checkpoint-every 50 --keep 2 --resume must --overwrite"
    )
    config = parse_command_line(flags.split())
    assert config == Config(
        data=("d",),
        output="o",
        representation="scalar",
        units=(8, 4),
        embedding_dim=3,
        epochs=7,
        batch_size=64,
        learning_rate=0.25,
        optimizer="sgd",
        strategy="mirrored",
        devices=("CPU:0", "CPU:1"),
        jit_compile="off",
        steps_per_execution=5,
        dropout=0.25,
        schedule="cosine",
        clip_norm=1.5,
        class_weights="balanced",
        early_stop=4,
        cache="memory",
        mixed_precision=True,
        seed=9,
        checkpoint_every=Interval(steps=50),
        keep=2,
        resume="must",
        overwrite=True,
    )


@pytest.mark.parametrize(
    ("text", "interval"),
    [("500", Interval(steps=500)), ("10m", Interval(seconds=600)), ("0.5m", Interval(seconds=30))],
)
def test_an_interval_is_of_steps_or_of_minutes(text, interval):
    assert Interval.parse(text) == interval
    assert str(interval) == text


@pytest.mark.parametrize("name", ["required", "must"])
def test_resume_required_has_a_former_name(name):
    config = parse_command_line(["--data", "d", "--output", "o", "--resume", name])
    assert config.resume in RESUME_REQUIRED
    assert config.to_json()["resume"] == name


def test_flags_left_out_take_the_defaults_of_config():
    assert parse_command_line(["--data", "d", "--output", "o"]) == Config(data=("d",), output="o")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("units", (), "--units: got (), expected 1 or more each"),
        ("dropout", 1.0, "--dropout: got 1.0, expected 0 or more and below 1"),
        ("clip_norm", 0.0, "--clip-norm: got 0.0, expected a number above 0"),
        ("early_stop", -1, "--early-stop: got -1, expected 0 or more"),
        ("steps_per_execution", 0, "--steps-per-execution: got 0, expected 1 or more"),
        ("units", (8, 0), "--units: got (8, 0), expected 1 or more each"),
        ("embedding_dim", 0, "--embedding-dim: got 0, expected 1 or more"),
        ("epochs", 0, "--epochs: got 0, expected 1 or more"),
        ("keep", 0, "--keep: got 0, expected 1 or more"),
        ("batch_size", -1, "--batch-size: got -1, expected 1 or more"),
        ("learning_rate", 0.0, "--learning-rate: got 0.0, expected a number above 0"),
        ("learning_rate", float("nan"), "--learning-rate: got nan, expected a number above 0"),
        ("seed", 2**32, "--seed: got 4294967296, expected 0 to 2**32 - 1"),
        ("devices", ("TPU:0",), "--devices: got 'TPU:0', expected names such as CPU:0 or GPU:1"),
        ("devices", ("CPU:0", "CPU:0"), "--devices: got 'CPU:0,CPU:0', expected each device once"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_flag(option, value, message):
    with pytest.raises(UsageError) as raised:
        Config(data=("d",), output="o", **{option: value})
    assert str(raised.value) == message


def test_several_devices_need_a_strategy_that_uses_them():
    with pytest.raises(UsageError, match="expected one device with --strategy none"):
        Config(data=("d",), output="o", strategy="none", devices=("CPU:0", "CPU:1"))


@pytest.mark.parametrize(
    "flags",
    [
        *(["--units", "32,x"], ["--optimizer", "lion"], ["--epoch", "3"], ["--epochs", "few"]),
        *(
            ["--checkpoint-every", text]
            for text in ("0", "0m", "-5", "1.5", "soon", "infm", "nanm")
        ),
    ],
)
def test_a_flag_that_cannot_be_read_ends_with_status_2(flags, capsys):
    with pytest.raises(SystemExit) as raised:
        parse_command_line(["--data", "d", "--output", "o", *flags])
    assert raised.value.code == 2
    assert flags[0] in capsys.readouterr().err


def test_run_json_holds_an_absolute_path_of_the_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other commands look for it, from other directories."""
    monkeypatch.chdir(tmp_path)
    assert Config(data=("ds",), output="o").to_json()["data"] == f"{tmp_path}/ds"
    assert Config(data=("s3://b/ds",), output="o").to_json()["data"] == "s3://b/ds"
