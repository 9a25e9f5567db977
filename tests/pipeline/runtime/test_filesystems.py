"""Input and output on object stores, through the real entry point and servers on this machine."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from google.cloud import storage

from charseq.errors import DataError, MismatchError, UsageError
from pipeline.__main__ import main
from pipeline.formats.head import Header
from pipeline.inspect import main as inspect_main
from pipeline.output.journal import move
from pipeline.output.staging import staging_path
from pipeline.rows.parts import cut_into_parts
from pipeline.rows.sources import Source
from pipeline.runtime.beam_options import to_beam_options
from pipeline.runtime.filesystems import copy_tree, list_tree, local_file, remove_tree
from pipeline.runtime.job import to_user_error
from pipeline.transform.temp_dir import transform_temp_dir
from tests.support.stores import Bucket, s3_server

FLAGS = ["--max-length", "4", "--alphabet-size", "3", "--num-shards", "2"]


def make_csv(seed: int) -> str:
    rng = random.Random(seed)
    rows = [
        "".join(rng.choices("ABCCC", k=rng.randint(1, 6))) + "," + rng.choice("xy")
        for _ in range(300)
    ]
    return "\n".join(["sequence,label", *rows, ",x"])


@pytest.fixture(scope="module")
def s3() -> Iterator[Bucket]:
    with s3_server() as bucket:
        yield bucket


@pytest.fixture
def file_system(s3: Bucket) -> None:
    FileSystems.set_options(PipelineOptions(s3.flags))


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The manifest of a local run."""
    folder = tmp_path_factory.mktemp("stores")
    (folder / "rows.csv").write_text(make_csv(1))
    argv = ["--input", str(folder / "rows.csv"), "--output", str(folder / "dataset")]
    assert main([*argv, *FLAGS]) == 0
    return json.loads((folder / "dataset" / "dataset.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def dataset(s3: Bucket) -> str:
    """A dataset made from an input in the bucket, over what a killed run left there."""
    s3.put("in/rows.csv", make_csv(1).encode())
    for left in ("started", f"{'0' * 32}/shard-1", f"{'0' * 32}/moves.json.partial"):
        s3.put(f"out/.staging/{left}", b"left")
    s3.put("out/notes.txt", b"not ours")
    argv = ["--input", "s3://bucket/in/*.csv", "--output", "s3://bucket/out"]
    assert main([*argv, *FLAGS, *s3.flags]) == 0
    return "s3://bucket/out"


def test_s3_gets_the_bytes_that_a_local_run_writes(
    s3: Bucket, dataset: str, local: dict[str, Any]
) -> None:
    manifest = json.loads(s3.get("out/dataset.json"))
    assert manifest["fingerprint"] == local["fingerprint"]
    assert manifest["shards"] == local["shards"]
    assert manifest["counts"] == local["counts"]
    etag = hashlib.md5(make_csv(1).encode()).hexdigest()
    assert [file["identity"] for file in manifest["inputs"]] == [f"etag:{etag}"]
    files = [file["path"] for file in local["files"] + local["shards"]]
    assert s3.keys("out/") == sorted(
        f"out/{name}" for name in ("dataset.json", "notes.txt", *files)
    )


def test_s3_keeps_near_copies_apart_as_a_local_run_does(s3: Bucket, tmp_path: Path) -> None:
    rng = random.Random(4)
    texts = ["".join(rng.choices("ABCDEFGH", k=10)) for _ in range(60)]
    rows = [f"{text[:9]}{end},{rng.choice('xy')}" for text in texts for end in "ABC"]
    content = "\n".join(["sequence,label", *rows])
    s3.put("near/rows.csv", content.encode())
    (tmp_path / "rows.csv").write_text(content)
    for place in ("s3://bucket/near", str(tmp_path)):
        argv = ["--input", f"{place}/rows.csv", "--output", f"{place}/out", "--similar", "0.9"]
        assert main([*argv, *s3.flags]) == 0
    on_s3 = json.loads(s3.get("near/out/dataset.json"))
    local = json.loads((tmp_path / "out/dataset.json").read_text())
    assert on_s3["similar"] == local["similar"]
    assert on_s3["similar"]["clusters"] == 60
    assert on_s3["fingerprint"] == local["fingerprint"]


def test_rows_are_added_on_s3_as_locally(
    s3: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fingerprints = []
    for place in ("s3://bucket/added", str(tmp_path)):
        for number, base in ((5, []), (6, ["--base", f"{place}/out5"])):
            text = make_csv(number).replace("\n,x", "") + ("\nBBBB,new" * 2 if base else "")
            if place == str(tmp_path):
                (tmp_path / f"rows{number}.csv").write_text(text)
            else:
                s3.put(f"added/rows{number}.csv", text.encode())
            source, output = f"{place}/rows{number}.csv", f"{place}/out{number}"
            flags = [] if base else FLAGS
            assert main(["--input", source, "--output", output, *flags, *base, *s3.flags]) == 0
            assert inspect_main([output, "--verify", *s3.flags]) == 0
        path = tmp_path / "out6/dataset.json"
        is_local = place == str(tmp_path)
        manifest = json.loads(path.read_bytes() if is_local else s3.get("added/out6/dataset.json"))
        fingerprints.append((manifest["fingerprint"], manifest["base"], manifest["counts"]))
    assert fingerprints[0] == fingerprints[1]
    assert fingerprints[0][2]["duplicates"] > 200
    s3.delete("added/out5/index/train/part-00000-of-00002.npy")
    again = ["--input", "s3://bucket/added/rows6.csv", "--output", "s3://bucket/added/out7"]
    assert main([*again, "--base", "s3://bucket/added/out5", *s3.flags]) == 1
    assert "index/train/part-00000-of-00002.npy" in capsys.readouterr().err.splitlines()[-1]


def test_a_dataset_on_s3_is_inspected_and_verified(
    s3: Bucket, dataset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect_main([dataset, "--count", "2", *s3.flags]) == 0
    assert len(capsys.readouterr().out.partition("\ntrain:\n")[2].splitlines()) == 2
    assert inspect_main([dataset, "--verify", *s3.flags]) == 0
    assert "all files are as the manifest says" in capsys.readouterr().out
    key = "out/train/part-00001-of-00002.tfrecord"
    whole = s3.get(key)
    size = 16 + int.from_bytes(whole[:8], "little")
    torn = bytearray(whole)
    torn[3 * size + 20] ^= 1
    s3.put(key, bytes(torn))
    assert inspect_main([dataset, "--verify", *s3.flags]) == 1
    message = capsys.readouterr().err
    assert "train/part-00001-of-00002.tfrecord: the SHA-256" in message
    assert "record 3 is the first that cannot be read" in message
    s3.delete(key)
    assert inspect_main([dataset, "--verify", *s3.flags]) == 1
    assert "part-00001-of-00002.tfrecord: the file is missing" in capsys.readouterr().err
    s3.put(key, whole)


def test_a_dataset_on_s3_is_replaced_only_with_overwrite(
    s3: Bucket, dataset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.put("other/rows.csv", make_csv(2).replace("x", "w").replace("A", "D").encode())
    argv = ["--input", "s3://bucket/other/rows.csv", "--output", dataset, *s3.flags]
    before = s3.get("out/dataset.json")
    assert main(argv) == 1
    assert "already holds a dataset" in capsys.readouterr().err
    assert s3.get("out/dataset.json") == before
    assert main([*argv, "--overwrite", "--num-shards", "1"]) == 0
    assert s3.keys("out/train/") == ["out/train/part-00000-of-00001.tfrecord"]
    assert s3.keys("out/.staging") == []
    # Also that the graph was not one which an earlier run had left in this process.
    assert inspect_main([dataset, "--verify", *s3.flags]) == 0


@pytest.mark.parametrize(
    ("pattern", "output", "message"),
    [
        ("s3://nowhere/*.csv", "s3://bucket/new", "nowhere/: An error occurred (NoSuchBucket)"),
        ("s3://bucket/in/*.csv", "s3://nowhere/new", "nowhere/new: An error occurred (NoSuchBucke"),
        ("s3://bucket/nothing/*.csv", "s3://bucket/new", "no file matches --input"),
        ("s3://bucket/in/*.csv", "s3://", "s3://: S3 path must be in the form"),
    ],
)
def test_a_missing_bucket_or_file_is_reported_in_one_line(
    s3: Bucket, capsys: pytest.CaptureFixture[str], pattern: str, output: str, message: str
) -> None:
    s3.put("in/rows.csv", make_csv(1).encode())
    assert main(["--input", pattern, "--output", output, *s3.flags]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_wrong_or_missing_credentials_are_reported_in_one_line(
    s3: Bucket,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    argv = ["--input", "s3://bucket/in/*.csv", "--output", "s3://bucket/new"]
    s3.demand_credentials("0")
    assert main([*argv, *s3.flags]) == 1
    wrong = capsys.readouterr().err
    s3.demand_credentials("inf")
    assert "(InvalidAccessKeyId)" in wrong
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert main([*argv, *s3.flags]) == 1
    none = capsys.readouterr().err
    assert "Unable to locate credentials" in none
    assert [wrong.count("\n"), none.count("\n")] == [1, 1]


def test_a_scheme_that_beam_does_not_know_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--input", str(tmp_path), "--output", "ftp://host/new"]) == 2
    assert "error: ftp://host/new: there is no file system for ftp://" in capsys.readouterr().err


def test_trees_are_copied_between_file_systems(
    s3: Bucket, file_system: None, tmp_path: Path
) -> None:
    (tmp_path / "tree" / "below").mkdir(parents=True)
    (tmp_path / "tree" / "empty").touch()
    (tmp_path / "tree" / "below" / "large.gz").write_bytes(bytes(range(256)) * (6 << 12))
    (tmp_path / "tree" / ".hidden").touch()
    copy_tree(str(tmp_path / "tree"), "s3://bucket/tree")
    assert s3.keys("tree/") == ["tree/below/large.gz", "tree/empty"]
    copy_tree("s3://bucket/tree", str(tmp_path / "back"))
    assert (tmp_path / "back" / "empty").read_bytes() == b""
    large = (tmp_path / "tree" / "below" / "large.gz").read_bytes()
    assert (tmp_path / "back" / "below" / "large.gz").read_bytes() == large
    with local_file("s3://bucket/tree/below/large.gz") as path:
        assert Path(path).read_bytes() == large
    remove_tree("s3://bucket/tree")
    remove_tree("s3://bucket/tree")
    assert list_tree("s3://bucket/tree") == []


@pytest.mark.usefixtures("file_system")
def test_a_key_never_leaves_the_directory_it_is_copied_to(s3: Bucket, tmp_path: Path) -> None:
    s3.put("climbing/a", b"model")
    s3.put("climbing/below/", b"")  # as some tools mark a directory
    copy_tree("s3://bucket/climbing", str(tmp_path / "copy"))
    assert [path.name for path in (tmp_path / "copy").rglob("*")] == ["a"]
    s3.put("climbing/below/../../climbed", b"not ours")
    with pytest.raises(DataError, match=r"s3://bucket/climbing names the file 'below/\.\./\.\./c"):
        copy_tree("s3://bucket/climbing", str(tmp_path / "copy"))
    assert not (tmp_path / "climbed").exists()


@pytest.mark.usefixtures("file_system")
def test_a_move_cut_short_anywhere_is_made_again(s3: Bucket) -> None:
    staged, path = "s3://bucket/moves/.staging/a", "s3://bucket/moves/a"
    for cut_short_after in ("nothing", "copy", "delete"):
        for key in ("moves/.staging/a", "moves/a"):
            s3.delete(key)
        if cut_short_after != "delete":
            s3.put("moves/.staging/a", b"rows")
        if cut_short_after != "nothing":
            s3.put("moves/a", b"rows")
        move(staged, path)
        assert s3.keys("moves/") == ["moves/a"]
        assert s3.get("moves/a") == b"rows"
    s3.delete("moves/a")
    with pytest.raises(DataError, match=r"neither s3://bucket/moves/\.staging/a nor"):
        move(staged, path)


def test_parts_of_a_store_are_larger_than_what_beam_reads_at_a_time() -> None:
    for path, count in (("s3://bucket/a.csv", 4), ("gs://bucket/a.csv", 4), ("/a.csv", 100)):
        source = Source(path, 200 << 20, "csv", None, Header(("sequence", "label"), 0, 1))
        parts = cut_into_parts([source])
        assert len(parts) == count
        assert [part.block_bytes for part in parts] == [2 << 20] * count


def test_tensorflow_transform_writes_where_tensorflow_and_all_workers_can(tmp_path: Path) -> None:
    def temp_dir(output: str, *flags: str) -> str:
        with transform_temp_dir(staging_path(output, "run"), to_beam_options(flags)) as directory:
            return directory

    flink = "--runner=FlinkRunner"
    assert temp_dir("/shared/out", flink) == "/shared/out/.staging/run"
    assert temp_dir("gs://bucket/out", flink) == "gs://bucket/out/.staging/run"
    assert temp_dir("/shared/out[1]").startswith("/tmp/")
    assert temp_dir("s3://bucket/out").startswith("/")
    elsewhere = temp_dir("s3://bucket/out", flink, f"--temp_location={tmp_path}")
    assert elsewhere.startswith(f"{tmp_path}/charseq-")
    with pytest.raises(
        UsageError, match=r"cannot write to s3://bucket/out/\.staging/run; .* --temp_location"
    ):
        temp_dir("s3://bucket/out", flink, "--temp_location=s3://bucket/temp")


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (
            "Traceback …\napache_beam.io.aws.clients.s3.messages.S3ClientError: ('Access Denied "
            "[while running 'WriteShard']', 403)\n",
            "Access Denied",
        ),
        ("OSError: [Errno 28] No space left on device [while running 'W']", "[Errno 28] No space"),
        ("google.api_core.exceptions.Forbidden: 403 GET [while running 'W']", "403 GET"),
    ],
)
def test_an_error_of_a_store_in_a_worker_becomes_its_message(raised: str, message: str) -> None:
    assert str(to_user_error(RuntimeError(raised))).startswith(message)


@pytest.mark.parametrize("kind", [DataError, MismatchError])
def test_an_error_of_ours_in_a_worker_keeps_its_kind(kind: type[DataError]) -> None:
    raised = f"Traceback …\ncharseq.errors.{kind.__name__}: all rows\n  7 x [while running 'Check']"
    error = to_user_error(RuntimeError(raised))
    assert (type(error), str(error)) == (kind, "all rows\n  7 x")


def test_gs_gets_the_bytes_that_a_local_run_writes(
    gs: storage.Bucket, local: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    gs.blob("in/rows.csv").upload_from_string(make_csv(1))
    argv = ["--input", "gs://bucket/in/*.csv", "--output", "gs://bucket/out", *FLAGS]
    assert main(argv) == 0
    manifest = json.loads(gs.blob("out/dataset.json").download_as_bytes())
    assert manifest["fingerprint"] == local["fingerprint"]
    assert manifest["shards"] == local["shards"]
    crc32c = gs.get_blob("in/rows.csv").crc32c
    assert crc32c
    assert [file["identity"] for file in manifest["inputs"]] == [f"crc32c:{crc32c}"]
    files = [file["path"] for file in local["files"] + local["shards"]]
    names = [blob.name for blob in gs.list_blobs(prefix="out/")]
    assert names == sorted(f"out/{name}" for name in ("dataset.json", *files))
    assert inspect_main(["gs://bucket/out", "--verify"]) == 0
    shard = gs.blob("out/test/part-00000-of-00001.tfrecord")
    torn = bytearray(shard.download_as_bytes())
    torn[20] ^= 1
    shard.upload_from_string(bytes(torn))
    assert inspect_main(["gs://bucket/out", "--verify"]) == 1
    assert "part-00000-of-00001.tfrecord: the SHA-256" in capsys.readouterr().err
    assert main(argv) == 0
    assert "gs://bucket/out is already prepared" in capsys.readouterr().out
    gs.blob("in/rows.csv").upload_from_string(make_csv(1) + "AC,one\n")
    assert main(argv) == 1
    assert main([*argv[:2], "--output", "gs://nowhere/out"]) == 1
    lines = capsys.readouterr().err.splitlines()[-2:]
    for line, message in zip(
        lines,
        ("not this one: gs://bucket/in/rows.csv has changed. ", "404 GET"),
        strict=True,
    ):
        assert message in line
