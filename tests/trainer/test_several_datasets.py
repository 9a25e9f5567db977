"""The commands with several `--data`: a dataset, and those that add rows to it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from charseq.models.saved_model import DATASET_ASSET
from tests.support.datasets import write_chain
from tests.support.killed import Killed
from trainer.__main__ import main
from trainer.data.dataset import Dataset
from trainer.evaluate.__main__ import main as evaluate
from trainer.promote.__main__ import main as promote
from trainer.training.progress import Progress

NAMES = ("base", "first", "second")
FLAGS = "--representation embedding --units 4,3 --embedding-dim 2 --epochs 2 --batch-size 16"
FLAGS += " --jit-compile off --steps-per-execution 2 --checkpoint-every 3 --dropout 0.2"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    return write_chain(tmp_path_factory.mktemp("data"), transform=True)


def data_flags(chain: list[Dataset], *order: int) -> list[str]:
    return [word for number in order for word in ("--data", chain[number].directory)]


def train(chain: list[Dataset], output: Path, *order: int, flags: str = "") -> int:
    given = [*data_flags(chain, *order), "--output", str(output)]
    return main([*given, *FLAGS.split(), *flags.split()])


@pytest.fixture(scope="module")
def run(chain: list[Dataset], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "run"
    assert train(chain, output, 0, 1, 2) == 0
    return output


def weights(run: Path) -> list[Any]:
    model = keras.saving.load_model(run / "model.keras")
    return model.get_weights()  # type: ignore[no-any-return]


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def test_run_json_names_the_datasets_in_the_order_of_their_chain(
    chain: list[Dataset], run: Path
) -> None:
    content = read_json(run / "run.json")
    assert content["options"]["data"] == [dataset.directory for dataset in chain]
    assert content["dataset"]["fingerprints"] == [each.manifest.fingerprint for each in chain]
    assert content["dataset"]["labels"] == ["y", "x", "z"]
    exported = read_json(run / "saved_model" / DATASET_ASSET)
    assert exported["fingerprint"] == content["dataset"]["fingerprint"]
    assert exported["counts"]["train"] == 70


def test_another_order_of_the_flags_and_a_resume_give_the_same_bits(
    chain: list[Dataset], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count(1)

    def kill(*_: Any) -> None:
        if next(calls) == 4:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "update", kill)
        with pytest.raises(Killed):
            train(chain, tmp_path / "run", 2, 0, 1)
    assert not (tmp_path / "run" / "run.json").exists()
    assert train(chain, tmp_path / "run", 1, 2, 0, flags="--resume required") == 0
    for got, expected in zip(weights(tmp_path / "run"), weights(run), strict=True):
        np.testing.assert_array_equal(got, expected)
    options = (tmp_path / "run" / "options.toml").read_bytes()
    assert options == (run / "options.toml").read_bytes()


def test_a_run_of_the_same_chain_is_done_and_that_of_another_is_refused(
    chain: list[Dataset], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(chain, run, 2, 1, 0) == 0
    assert "already trained on this dataset with these options" in capsys.readouterr().out
    assert train(chain, run, 1, 0) == 1
    assert "but not this one: the dataset of fingerprint" in capsys.readouterr().err


def test_a_chain_with_a_hole_writes_nothing(
    chain: list[Dataset], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(chain, tmp_path / "run", 2, 0) == 1
    assert capsys.readouterr().err == (
        f"error: {chain[2].directory} adds rows to the dataset of fingerprint "
        f"{chain[1].manifest.fingerprint[:16]}, which is not given: give its "
        "directory, too\n"
    )
    assert not (tmp_path / "run").exists()


def test_a_fold_of_several_datasets_is_refused(
    chain: list[Dataset], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(chain, tmp_path / "run", 0, 1, flags="--fold 1") == 2
    assert capsys.readouterr().err.startswith("error: --fold: only with one --data: several data")


def test_an_addition_alone_is_read_with_a_note(
    chain: list[Dataset], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(chain, tmp_path / "run", 2, flags="--epochs 1") == 0
    assert (
        f"note: {chain[2].directory} adds rows to 2 other datasets, which are not read: name each"
    ) in capsys.readouterr().err
    options = read_json(tmp_path / "run" / "run.json")["options"]
    assert options["data"] == chain[2].directory


def test_a_chain_is_evaluated_and_promoted(
    chain: list[Dataset], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(["--model", str(run), *data_flags(chain, 1, 0, 2)]) == 0
    out, _ = capsys.readouterr()
    assert "is not the dataset that" not in out
    rows = sum(dataset.manifest.records("test") for dataset in chain)
    assert read_json(run / "evaluation-test.json")["rows"] == rows
    registry = str(tmp_path / "registry")
    found = ["--registry", registry, "--candidate", str(run), "--allow-trivial"]
    assert promote(found) == 0
    evaluation = read_json(tmp_path / "registry/1/assets.extra/entry.json")["evaluation"]
    assert evaluation["data"] == ", ".join(dataset.directory for dataset in chain)
    other = ["--registry", str(tmp_path / "other"), "--candidate", str(run), "--allow-trivial"]
    assert promote([*other, *data_flags(chain, 1, 0)]) == 1
    assert "say with --data where that is" in capsys.readouterr().err
    assert promote([*other, *data_flags(chain, 2, 1, 0)]) == 0
    capsys.readouterr()
    assert promote(["--registry", registry, "--explain", "1"]) == 0
    out, _ = capsys.readouterr()
    assert f"--data {chain[0].directory} --data {chain[1].directory} --data" in out
    for dataset in chain:
        assert f"of the dataset of fingerprint {dataset.manifest.fingerprint}\n" in out
