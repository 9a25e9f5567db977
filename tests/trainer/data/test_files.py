"""Datasets streamed from object stores, by the real commands from servers on this machine."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from charseq.errors import DataError
from tests.support.datasets import rows_of, toy_rows, write_chain, write_dataset
from tests.support.killed import Killed
from tests.support.stores import files_below, gs_server, s3_server
from trainer.__main__ import main
from trainer.data import batches
from trainer.data.batches import Batches
from trainer.data.dataset import chain_datasets, open_dataset, open_datasets, read_dataset
from trainer.data.files import StoredFiles
from trainer.evaluate.__main__ import main as evaluate_main
from trainer.training.progress import Progress

# More shards than may be on disk at once: 16 that are read, and 16 fetched ahead.
SHARDS, ON_DISK = 40, 32
FLAGS = [
    "--representation",
    "embedding",
    "--batch-size",
    "16",
    "--units",
    "4,3",
    "--epochs",
    "2",
    "--steps-per-execution",
    "2",
]
# Compiling would take most of the time.
FLAGS += ["--jit-compile", "off", "--checkpoint-every", "3", "--learning-rate", "0.02"]
S3, GS = "s3://bucket/some/prepared", "gs://bucket/some/prepared"


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    rows = toy_rows(280)
    splits = {"train": rows[:200], "validation": rows[200:240], "test": rows[240:]}
    directory = tmp_path_factory.mktemp("prepared")
    write_dataset(directory, splits, shards=SHARDS, transform=True)
    return directory


@pytest.fixture(scope="module")
def s3(local):
    with s3_server() as bucket, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", bucket.url)
        for name, content in files_below(local).items():
            bucket.put(f"some/prepared/{name}", content)
        # As some tools mark directories.
        for marker in ("", "transform/", "transform/transform_fn/"):
            bucket.put(f"some/prepared/{marker}", b"")
        # Another dataset whose name begins alike.
        bucket.put("some/prepared-2/dataset.json", b"{")
        yield bucket


@pytest.fixture
def gs(local):
    with gs_server() as bucket:
        for name, content in files_below(local).items():
            bucket.blob(f"some/prepared/{name}").upload_from_string(content)
        yield bucket


@pytest.fixture
def temp(tmp_path, monkeypatch):
    """Where temporary files go."""
    directory = tmp_path / "temp"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


@pytest.fixture
def downloaded(monkeypatch):
    """The names of all files that are fetched, and with each how many lie beside it then."""
    files = []
    download = StoredFiles.download

    def counted(self, name, path):
        directory = os.path.dirname(path)
        files.append((name, len(os.listdir(directory)) + 1 if os.path.exists(directory) else 1))
        download(self, name, path)

    monkeypatch.setattr(StoredFiles, "download", counted)
    return files


@pytest.fixture(scope="module")
def whole(local, tmp_path_factory):
    """A run on the local batches, evaluated."""
    output = tmp_path_factory.mktemp("runs") / "whole"
    assert train(local, output) == 0
    assert evaluate(output, local) == 0
    return output


def train(data, output, *flags):
    return main(["--data", str(data), "--output", str(output), *FLAGS, *flags])


def evaluate(run, data):
    return evaluate_main(["--model", str(run), "--data", str(data)])


def assert_same_run(got, expected):
    weights = [
        keras.saving.load_model(run / "model.keras").get_weights() for run in (got, expected)
    ]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
    scores = [
        [(epoch["train"], epoch["validation"]) for epoch in json.loads(metrics)["epochs"]]
        for metrics in ((run / "metrics.json").read_text() for run in (got, expected))
    ]
    assert scores[0] == scores[1]


def ours_in(directory):
    """What is left there; TensorFlow's own files are removed when the process ends."""
    return [path.name for path in directory.iterdir() if not path.name.startswith("__autograph")]


def one_line(capsys):
    """Return the one line on standard error that is no warning of a run on few rows."""
    lines = capsys.readouterr().err.splitlines()
    (error,) = (line for line in lines if not line.startswith("warning: "))
    assert error.startswith("error: ")
    return f"{error}\n"


@pytest.mark.parametrize(("store", "address"), [("s3", S3), ("gs", f"{GS}/")])
def test_a_run_from_a_store_is_that_from_a_local_copy(
    request, whole, tmp_path, temp, downloaded, store, address
):
    request.getfixturevalue(store)
    output = tmp_path / "run"
    assert train(address, output) == 0
    assert_same_run(output, whole)
    # Each train shard in each epoch, and few at once.
    shards = [count for name, count in downloaded if name.startswith("train/")]
    # The n-gram baseline, some of whose shards the first epoch finds, two epochs, and strangeness.
    assert 2 * SHARDS < len(shards) <= 4 * SHARDS
    assert 16 < max(shards) <= ON_DISK
    assert ours_in(temp) == []

    downloaded.clear()
    assert evaluate(output, address) == 0
    got, expected = (
        json.loads((run / "evaluation-test.json").read_text()) for run in (output, whole)
    )
    assert got == expected
    # All the other files are left where they are.
    kinds = {name.partition("/")[0] for name, _ in downloaded}
    assert kinds == {"dataset.json", "test"}
    assert ours_in(temp) == []


@pytest.mark.crash
def test_a_killed_run_goes_on_from_a_store(s3, whole, tmp_path, temp, monkeypatch):
    calls = []

    def count(progress, state):
        calls.append(state)
        if len(calls) == 10:  # In epoch 2, after 6 of its 13 steps.
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "update", count)
        with pytest.raises(Killed):
            train(S3, tmp_path / "run")
    assert ours_in(temp) == []
    assert train(S3, tmp_path / "run", "--resume", "must") == 0
    assert_same_run(tmp_path / "run", whole)


def test_rows_kept_in_memory_are_those_of_a_local_copy(s3, local):
    def order(dataset):
        return rows_of(Batches(dataset, "embedding", 16, cache="memory").training(1))

    with open_dataset(S3) as dataset:
        assert order(dataset) == order(read_dataset(str(local)))


def test_a_chain_is_read_from_a_store_and_a_directory(s3, tmp_path, temp):
    chain = write_chain(tmp_path, shards=SHARDS)
    base = "s3://bucket/chain/base"
    for name, content in files_below(tmp_path / "base").items():
        s3.put(f"chain/base/{name}", content)
    expected = rows_of(Batches(chain_datasets(chain), "embedding", 16).training(1))
    others = [dataset.directory for dataset in chain[1:]]
    with open_datasets([*others, base]) as dataset:
        assert dataset.directory == ", ".join([base, *others])
        assert rows_of(Batches(dataset, "embedding", 16).training(1)) == expected
        dataset.check_unchanged()
        s3.put("chain/base/dataset.json", b"{}")
        with pytest.raises(DataError, match=f"^{base}/dataset.json: replaced while it was used"):
            dataset.check_unchanged()
    assert ours_in(temp) == []


def test_a_dataset_is_read_again_and_left_in_the_middle(s3, local, temp):
    with open_dataset(S3) as dataset:
        batches = Batches(dataset, "embedding", 16).training(1)
        next(iter(batches))
        expected = rows_of(Batches(read_dataset(str(local)), "embedding", 16).training(1))
        assert rows_of(batches) == rows_of(batches) == expected
    assert ours_in(temp) == []


def test_shards_are_fetched_ahead_of_the_model(s3, downloaded, monkeypatch):
    """Also while operations are to be deterministic, which stops what is stateful from it."""
    monkeypatch.setattr(batches, "_SHUFFLE_BLOCK", 16)
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    with open_dataset(S3) as dataset:
        downloaded.clear()
        iterator = iter(Batches(dataset, "embedding", 16).training(1))
        next(iterator)
        until = time.monotonic() + 20
        while len(downloaded) <= ON_DISK and time.monotonic() < until:
            time.sleep(0.01)
        assert len(downloaded) > ON_DISK


def test_a_shard_that_is_missing_is_named(s3, tmp_path, capsys):
    key = "some/prepared/train/part-00007-of-00040.tfrecord"
    content = s3.get(key)
    s3.delete(key)
    assert train(S3, tmp_path / "run") == 1
    s3.put(key, content)
    assert f"s3://bucket/{key}: no such file, but dataset.json names it" in one_line(capsys)


def test_a_torn_shard_is_named(s3, whole, tmp_path, temp, capsys):
    for split, command in (("train", train), ("test", lambda data, _: evaluate(whole, data))):
        key = f"some/prepared/{split}/part-00007-of-00040.tfrecord"
        content = s3.get(key)
        torn = bytearray(content)
        torn[-20] ^= 1  # In the last record.
        s3.put(key, bytes(torn))
        assert command(S3, tmp_path / "run") == 1
        s3.put(key, content)
        last = {"train": 5, "test": 1}[split]
        said = f"{S3}: {split}/part-00007-of-00040.tfrecord, record {last}: corrupted, prepare"
        assert said in one_line(capsys)
        assert ours_in(temp) == []


@pytest.mark.crash
def test_a_store_that_fails_in_mid_run(s3, whole, tmp_path, temp, monkeypatch, capsys):
    key = "some/prepared/train/part-00007-of-00040.tfrecord"
    content = s3.get(key)
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "update", lambda *_: s3.delete(key))
        assert train(S3, tmp_path / "run") == 1
    s3.put(key, content)
    error = one_line(capsys)
    assert f"error: s3://bucket/{key}: An error occurred (404)" in error
    assert error.endswith("same command again: a training goes on from its newest checkpoint\n")
    assert ours_in(temp) == []
    assert train(S3, tmp_path / "run", "--resume", "must") == 0
    assert_same_run(tmp_path / "run", whole)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://nowhere/prepared", "s3://nowhere/prepared: An error occurred (NoSuchBucket)"),
        ("s3://bucket/some/prep", "s3://bucket/some/prep: no such directory"),
        ("s3://bucket/some", "s3://bucket/some holds no dataset.json"),
        ("s3://bucket/some/prepared-2", "s3://bucket/some/prepared-2/dataset.json: not JSON"),
        ("s3://", "s3://: Parameter validation failed"),
        ("gs://nowhere/prepared", "gs://nowhere/prepared: 404 GET"),
    ],
)
def test_what_is_not_there_is_one_line(s3, gs, tmp_path, capsys, address, said):
    assert train(address, tmp_path / "run") == 1
    assert f"error: {said}" in one_line(capsys)
    assert not (tmp_path / "run").exists()


def test_no_credentials_and_no_server_are_one_line(s3, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        assert train(S3, tmp_path / "run") == 1
    assert f"error: {S3}: Could not connect to the endpoint URL" in one_line(capsys)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert train(S3, tmp_path / "run") == 1
    assert f"error: {S3}: Unable to locate credentials" in one_line(capsys)


@pytest.mark.parametrize(
    ("module", "address", "said"),
    [
        ("boto3", S3, "s3:// needs boto3, the extra `aws`: pip install boto3"),
        (
            "google.cloud.storage.exceptions",
            GS,
            "gs:// needs google-cloud-storage, the extra `gcp`: pip inst",
        ),
    ],
)
def test_a_client_that_is_not_installed(tmp_path, monkeypatch, capsys, module, address, said):
    monkeypatch.setitem(sys.modules, module, None)
    assert train(address, tmp_path / "run") == 1
    assert said in one_line(capsys)


def test_runs_are_on_this_machine_and_other_addresses_are_refused(tmp_path, capsys):
    assert train(tmp_path, "s3://bucket/run") == 2
    said = "--output: got 's3://bucket/run', expected a local directory; a mounted bucket will do"
    assert said in one_line(capsys)
    assert evaluate("gs://bucket/run", tmp_path) == 2
    assert "--model: got 'gs://bucket/run', expected a local directory" in one_line(capsys)
    assert train("hdfs://host/prepared", tmp_path / "run") == 2
    assert "--data: got 'hdfs://host/prepared', expected a local" in one_line(capsys)


class ClimbingStore:
    """A store with a key that leads out of the directory of copies."""

    address = "s3://bucket/data"
    errors: tuple[type[Exception], ...] = (OSError,)

    def sizes(self):
        return {"transform/a": 1, "transform/b/../../../climbed": 1}

    def download(self, name, path):
        with open(path, "w") as file:
            file.write(name)


def test_a_key_never_leaves_the_directory_of_copies(tmp_path):
    copies = tmp_path / "copies"
    pool = ThreadPoolExecutor(1)
    files = StoredFiles(ClimbingStore(), str(copies), str(tmp_path), pool)
    with pytest.raises(DataError, match=r"s3://bucket/data names the file 'transform/b/\.\./"):
        files.path("transform")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a"]
