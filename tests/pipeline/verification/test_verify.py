"""`inspect --verify` finds whatever is not as it was written."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from charseq.errors import DataError
from charseq.manifest import manifest_from_json
from pipeline.__main__ import main
from pipeline.inspect import main as inspect_main
from pipeline.tfrecord.framing import frame_records
from pipeline.transform.saved_graph import encode_texts


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    rng = random.Random(1)
    rows = [
        "".join(rng.choices("ABC", k=rng.randint(1, 6))) + "," + rng.choice("xy")
        for _ in range(300)
    ]
    (folder / "rows.csv").write_text("\n".join(["sequence,label", *rows, ",x"]))
    argv = ["--input", str(folder / "rows.csv"), "--output", str(folder / "dataset")]
    assert main([*argv, "--max-length", "4", "--alphabet-size", "3"]) == 0
    return folder / "dataset"


def test_a_transform_graph_that_does_more_than_compute_is_refused(tmp_path: Path) -> None:
    class Reading(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def transform_fn(self, text: tf.Tensor) -> tf.Tensor:
            return tf.strings.join([text, tf.io.read_file("/etc/hostname")])

    tf.saved_model.save(Reading(), str(tmp_path / "transform_fn"))
    with pytest.raises(DataError, match=f"{tmp_path}: operation ReadFile in function"):
        encode_texts(str(tmp_path), ["AC"], ["x"], trust_model=False)


@pytest.fixture
def dataset(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "dataset"))


def verify(dataset: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = inspect_main([str(dataset), "--verify"])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


def test_a_whole_dataset_passes(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = verify(dataset, capsys)
    assert (status, "all files are as the manifest says" in said) == (0, True)


def test_one_flipped_bit_anywhere_is_found(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(7)
    for path in sorted(p for p in dataset.rglob("*") if p.is_file() and p.stat().st_size):
        whole = path.read_bytes()
        torn = bytearray(whole)
        torn[rng.randrange(len(torn))] ^= 1 << rng.randrange(8)
        path.write_bytes(torn)
        status, said = verify(dataset, capsys)
        assert status == 1, path
        assert str(path.relative_to(dataset)) in said
        path.write_bytes(whole)


def test_the_torn_record_is_named(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = dataset / "train" / "part-00000-of-00001.tfrecord"
    data = bytearray(path.read_bytes())
    size = 16 + int.from_bytes(data[:8], "little")
    data[3 * size + 20] ^= 1
    path.write_bytes(data)
    _, said = verify(dataset, capsys)
    assert "train/part-00000-of-00001.tfrecord: the SHA-256" in said
    assert "record 3 is the first that cannot be read" in said


def test_a_missing_file_is_named(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (dataset / "test" / "part-00000-of-00001.tfrecord").unlink()
    status, said = verify(dataset, capsys)
    assert (status, "test/part-00000-of-00001.tfrecord: the file is missing" in said) == (1, True)


@pytest.mark.parametrize(
    ("ids", "length", "label", "said"),
    [
        ([1, 2, 0, 0], 3, 0, "record 1: padding not exactly behind the length"),
        ([1, 2, 3, 0], 2, 0, "record 1: padding not exactly behind the length"),
        ([0, 0, 0, 0], 0, 0, "record 1: length not in 1 to 4"),
        ([1, 5, 0, 0], 2, 0, "record 1: id above 4"),
        ([1, 2, 0, 0], 2, 2, "record 1: label not in 0 to 1"),
    ],
)
def test_records_that_were_never_right(
    dataset: Path,
    capsys: pytest.CaptureFixture[str],
    ids: list[int],
    length: int,
    label: int,
    said: str,
) -> None:
    """A writer with a defect makes a manifest that fits its files: the rows must still be sound."""
    rows = frame_records(
        np.array([[1, 0, 0, 0], ids]), np.array([1, length]), np.array([0, label]), "ids", 3
    )
    replace_test_shard(dataset, bytes(rows), 2)
    assert said in verify(dataset, capsys)[1]


def test_a_one_hot_dataset_with_unknown_characters_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`A?` and `A!` are the same vectors, and those of `A` but for the length."""
    sequences = ["".join(pair) for pair in product("AC", ["", "?", "!", "+", "-", "A", "C"])]
    rows = [f"{sequence},{'xy'[n % 2]}" for n, sequence in enumerate(sequences)]
    (tmp_path / "rows.csv").write_text("\n".join(["sequence,label", *rows]))
    argv = ["--input", str(tmp_path / "rows.csv"), "--output", str(tmp_path / "dataset")]
    split = ["--split", "train=0.5,validation=0.5"]
    assert main([*argv, *split, "--encoding", "one_hot", "--alphabet", "AC"]) == 0
    assert verify(tmp_path / "dataset", capsys)[0] == 0


def test_a_sequence_in_two_splits_is_found(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = json.loads((dataset / "dataset.json").read_text())
    source = next(shard for shard in manifest["shards"] if shard["split"] == "train")
    replace_test_shard(dataset, (dataset / source["path"]).read_bytes(), source["records"], "train")
    assert "sequences both in train and in test is" in verify(dataset, capsys)[1]


def replace_test_shard(dataset: Path, data: bytes, records: int, like: str = "test") -> None:
    """Put `data` in place of the test shard, in the manifest as well."""
    path = dataset / "dataset.json"
    content = json.loads(path.read_text())
    (shard,) = (shard for shard in content["shards"] if shard["split"] == "test")
    (dataset / shard["path"]).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    shard.update(records=records, bytes=len(data), sha256=digest)
    for name in ("length_histogram", "label_counts", "counts"):
        content[name]["test"] = content[name][like]
    manifest = manifest_from_json(content, str(path))
    path.write_text(manifest.with_fingerprint().sealed(manifest.files).to_text())
