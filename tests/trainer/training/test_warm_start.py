"""`--from`: a run that begins with the weights of another one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.datasets import toy_rows, write_dataset
from trainer.__main__ import main
from trainer.data.dataset import Dataset
from trainer.training.warm_start import first_values

KEYS = ("model/kernel", "model/bag_vectors")


@pytest.mark.unit
def test_what_belongs_to_a_label_goes_where_the_label_is_now() -> None:
    parent = {
        "model/kernel": np.array([[1, 2, 3], [4, 5, 6]]),
        "model/bag_vectors": np.array([[7, 8, 9]]),
        "model/lstm": np.array([10]),
    }
    own = {
        "model/kernel": np.full((2, 4), -1),
        "model/bag_vectors": np.zeros((0, 4)),
        "model/lstm": np.array([-1]),
    }
    found = first_values(parent, own, ["a", "b", "c"], ["c", "new", "a", "b"], KEYS)
    assert {key: value.tolist() for key, value in found.items()} == {
        "model/kernel": [[3, 0, 1, 2], [6, 0, 4, 5]],
        "model/bag_vectors": [[9, 0, 7, 8]],
        "model/lstm": [10],
    }


@pytest.mark.unit
def test_a_bag_of_another_kind_begins_anew() -> None:
    """It has scores of few labels, or vectors and a kernel for many."""
    scores = {"model/bag_vectors": np.array([[1, 2], [3, 4]]), "model/bag_bias": np.array([5, 6])}
    own = {
        "model/bag_vectors": np.zeros((0, 3)),
        "model/bag_kernel": np.full((3, 4), 7),
        "model/bag_bias": np.zeros(4),
    }
    found = first_values(scores, own, ["a", "b"], ["a", "b", "c", "d"], ["model/bag_bias"])
    assert {key: value.tolist() for key, value in found.items()} == {
        "model/bag_vectors": [[0, 0, 0], [0, 0, 0]],
        "model/bag_kernel": own["model/bag_kernel"].tolist(),
        "model/bag_bias": [0, 0, 0, 0],
    }


def train(dataset: Dataset, output: Path, *more: str) -> int:
    flags = ["--data", dataset.directory, "--output", str(output), "--batch-size", "16"]
    return main([*flags, "--jit-compile", "off", "--epochs", "1", *more])


def best_weights(run: Path) -> dict[str, np.ndarray]:
    with np.load(run / "checkpoints" / "best.npz") as archive:
        return dict(archive)


@pytest.fixture(scope="module", name="datasets")
def _datasets(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    datasets = []
    for seed in (1, 2):
        rows = toy_rows(60, seed)
        splits = {"train": rows[:40], "validation": rows[40:]}
        folder = tmp_path_factory.mktemp(f"data-{seed}")
        datasets.append(write_dataset(folder, splits, transform=True))
    return datasets


@pytest.mark.parametrize(
    "flags", [["--units", "3", "--ngram-buckets", "64"], ["--representation", "embedding"]]
)
def test_a_run_begins_with_the_weights_of_another(
    datasets: list[Dataset], tmp_path: Path, flags: list[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert train(datasets[0], first, *flags, "--seed", "1") == 0
    # The units and buckets are the parent's; so slow a rate leaves its weights as they are.
    assert train(datasets[1], second, "--from", str(first), "--learning-rate", "1e-9") == 0
    expected, found = best_weights(first), best_weights(second)
    mixture = expected.pop("model/mixture", None)
    if mixture is not None:
        rows = np.isin(found.pop("model/ngram_rows"), expected.pop("model/ngram_rows"))
        for name in ("bag", "lstm"):
            found[f"model/{name}_vectors"] = found[f"model/{name}_vectors"][rows]
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, atol=1e-4, err_msg=key)
    parent = json.loads((second / "run.json").read_text())["parent"]
    assert set(parent) == {"run_json_sha256", "weights_sha256"}
    assert train(datasets[1], second, "--from", str(first), "--learning-rate", "1e-9") == 0


def test_what_does_not_fit_the_weights_is_refused(
    datasets: list[Dataset], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(datasets[0], tmp_path / "run", "--units", "3", "--ngram-buckets", "64") == 0
    begin = (datasets[1], tmp_path / "other", "--from", str(tmp_path / "run"))
    assert train(*begin, "--units", "4") == 2
    assert "--units: got 4, expected 3 as in" in capsys.readouterr().err
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    manifest["dataset"]["alphabet"] = ["C", "B", "A"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(manifest))
    assert train(*begin) == 1
    assert "prepare it with --alphabet-of" in capsys.readouterr().err
    (tmp_path / "run" / "checkpoints" / "best.npz").unlink()
    assert train(*begin) == 1
    assert "best.npz: missing, and --from begins with these weights" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
