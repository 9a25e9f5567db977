"""Secrets on a command line, in what the commands say and write, through their entry points."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.__main__ import main as prepare
from pipeline.inspect import main as inspect
from pipeline.predict.__main__ import main as predict
from tests.support.toy_model import save_toy_model
from trainer.__main__ import main as train
from trainer.config import Config
from trainer.evaluate.__main__ import main as evaluate

PASSWORD = "pa55w0rd"
SIGNATURE = "0a1b2c3d4e5f"
ADDRESS = f"http://ann:{PASSWORD}@127.0.0.1:9/rows.csv?X-Amz-Signature={SIGNATURE}"
SHOWN = "http://***@127.0.0.1:9/rows.csv?X-Amz-Signature=***"


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        (prepare, ["--input", ADDRESS, "--output", "out"]),
        (predict, ["--model", ADDRESS, "--input", "rows.csv", "--output", "out"]),
        (inspect, [ADDRESS]),
        (train, ["--data", ADDRESS, "--output", "run"]),
        (evaluate, ["--model", "run", "--data", "data", "--split", ADDRESS]),
        (train, ["--data", "data", "--output", "run", f"--s3_secret_access_key={PASSWORD}"]),
        (prepare, ["--input", "a", "--output", "b", f"--endpoint=http://u:{PASSWORD}@h"]),
    ],
)
def test_no_message_holds_a_secret(
    command: object,
    argv: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        status = command(argv)  # type: ignore[operator]
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr()
    assert status in (1, 2)
    assert "***" in said.err
    for secret in (PASSWORD, SIGNATURE):
        assert secret not in said.err + said.out


def test_no_file_holds_a_secret(tmp_path: Path) -> None:
    """The name of a downloaded file may be its signed address."""
    rows = [f"{first}{second},{'xy'[first > 'C']}" for first in "ACDEF" for second in "ACDEF"]
    source = tmp_path / f"rows?X-Amz-Signature={SIGNATURE}&a.csv"
    source.write_text("\n".join(["sequence,label", *rows, ",x"]))
    output = tmp_path / "out"
    flags = ["--max-rejected-fraction", "0.5", "--split", "train=1"]
    assert prepare(["--input", str(source), "--output", str(output), *flags]) == 0
    manifest = json.loads((output / "dataset.json").read_text())
    shown = f"{tmp_path}/rows?X-Amz-Signature=***&a.csv"
    assert manifest["options"]["input"] == [shown]
    assert [file["path"] for file in manifest["inputs"]] == [shown]
    (rejected,) = (output / "rejected").iterdir()
    assert json.loads(rejected.read_text())["source"] == shown
    for path in output.rglob("*"):
        assert path.is_dir() or SIGNATURE.encode() not in path.read_bytes(), path
    # The same command again is still the same.
    assert prepare(["--input", str(source), "--output", str(output), *flags]) == 0
    model = save_toy_model(tmp_path / "model")
    paths = ["--model", str(model), "--input", str(source), "--output", f"{output}-2"]
    assert predict([*paths, "--max-rejected-fraction", "0.5"]) in (0, 3)
    summary = json.loads((tmp_path / "out-2" / "predictions.json").read_text())
    assert summary["options"]["input"] == [shown]
    for path in (tmp_path / "out-2").rglob("*"):
        assert path.is_dir() or SIGNATURE.encode() not in path.read_bytes(), path


def test_the_options_of_a_run_hold_no_secret() -> None:
    options = Config(data=(ADDRESS,), output=f"run?sig={SIGNATURE}").to_json()
    assert (options["data"], options["output"]) == (SHOWN, "run?sig=***")
