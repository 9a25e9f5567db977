"""Rows added with --base: base and additions hold what one preparation of all rows would."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charseq.manifest import index_path
from pipeline.__main__ import main
from pipeline.inspect import main as inspect_main
from tests.support.preparation import manifest_of, read_split

ALPHABET = "ACDEFGH"
Row = tuple[str, str]
Records = Counter[tuple[str, str, str]]


def write(path: Path, rows: list[Row]) -> Path:
    path.write_text("sequence,label\n" + "".join(f"{one},{other}\n" for one, other in rows))
    return path


def prepare(output: Path, rows: list[Row], *flags: str) -> Path:
    source = write(output.with_suffix(".csv"), rows)
    arguments = ["--input", str(source), "--output", str(output), *flags]
    assert main(arguments) == 0
    assert inspect_main([str(output), "--verify"]) == 0
    return output


def add(output: Path, rows: list[Row], *bases: Path) -> Path:
    return prepare(output, rows, "--base", *map(str, bases))


def records(*datasets: Path) -> Records:
    """Return split, text and label of all records of some datasets."""
    found: Records = Counter()
    for dataset in datasets:
        manifest = manifest_of(dataset)
        alphabet = [*manifest["alphabet"], "?"]
        for split in manifest["label_counts"]:
            for ids, length, label in read_split(dataset, manifest, split):
                found[split, "".join(alphabet[i - 1] for i in ids[:length]), label] += 1
    return found


def make_rows(seed: int) -> list[Row]:
    """Return 700 rows, some of them twice, some sequences under several labels."""
    rng = random.Random(seed)
    rows = [
        ("".join(rng.choices(ALPHABET, k=rng.randint(2, 6))), rng.choice("xxyz"))
        for _ in range(700)
    ]
    rng.shuffle(rows)
    return rows


@pytest.fixture(scope="module", params=[[], ["--stratify"]], ids=["by hash", "stratified"])
def chain(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A base of 400 rows, and 300 more added in two parts, in either order."""
    folder, rows = tmp_path_factory.mktemp("chain"), make_rows(0)
    base = prepare(
        folder / "base", rows[:400], "--alphabet", ALPHABET, "--max-length", "5", *request.param
    )
    one = add(folder / "one", [*rows[400:500], *rows[:10]], base)
    two = add(folder / "two", [*rows[500:], *rows[400:420]], base, one)
    first = add(folder / "first", rows[500:], base)
    second = add(folder / "second", [*rows[400:500], *rows[:10]], first, base)
    whole = prepare(
        folder / "whole", rows, "--alphabet", ALPHABET, "--max-length", "5", *request.param
    )
    names = ("base", "one", "two", "first", "second", "whole")
    return dict(zip(names, (base, one, two, first, second, whole), strict=True))


def test_base_and_additions_in_any_order_are_the_whole(chain: dict[str, Path]) -> None:
    together = records(chain["base"], chain["one"], chain["two"])
    other_order = records(chain["base"], chain["first"], chain["second"])
    whole = records(chain["whole"])
    assert set(together.values()) == {1}
    if manifest_of(chain["whole"])["options"]["stratify"]:
        # The cuts are those of the base, and labels decide that come in some order.
        together, other_order, whole = map(without_splits, (together, other_order, whole))
    assert together == other_order == whole


def without_splits(rows: Records) -> Records:
    return Counter((" ", *row[1:]) for row in rows.elements())


def test_a_sequence_keeps_its_split(chain: dict[str, Path]) -> None:
    splits: dict[str, set[str]] = {}
    for split, sequence, _ in records(chain["base"], chain["one"], chain["two"]):
        splits.setdefault(sequence, set()).add(split)
    assert {len(names) for names in splits.values()} == {1}
    assert len(splits) > 400


def test_rows_of_the_base_are_duplicates(chain: dict[str, Path]) -> None:
    manifests = {name: manifest_of(path) for name, path in chain.items()}
    for manifest in manifests.values():
        counts = manifest["counts"]
        parts = ("train", "validation", "test", "duplicates", "rejected")
        assert counts["read"] == sum(counts[name] for name in parts)
    notes = " ".join(manifests["one"]["notes"])
    assert "rows that the base has already, counted as duplicates: " in notes
    assert "rows of sequences that the base has under another label: " in notes
    assert manifests["one"]["base"] == [manifests["base"]["fingerprint"]]
    fingerprints = [manifests[name]["fingerprint"] for name in ("base", "one")]
    assert manifests["two"]["base"] == fingerprints
    assert len({manifest["fingerprint"] for manifest in manifests.values()}) == 6


def test_the_index_has_the_rows_of_each_shard(chain: dict[str, Path]) -> None:
    for name in ("base", "two"):
        for shard in manifest_of(chain[name])["shards"]:
            index = np.load(chain[name] / index_path(shard["path"]))
            assert index.shape == (shard["records"], 2)
            assert index.dtype == np.uint64
            assert (np.diff(index[:, 0].astype(object)) >= 0).all()
            assert len(np.unique(index[:, 1])) == len(index)


def write_groups(path: Path, rows: list[tuple[str, str, str]]) -> str:
    lines = ["sequence,label,donor", *map(",".join, rows)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_new_rows_stay_with_their_groups(tmp_path: Path) -> None:
    rng = random.Random(6)
    texts = ["".join(rng.choices(ALPHABET, k=9)) for _ in range(600)]
    rows = [(text, rng.choice("xy"), f"d{number // 5}") for number, text in enumerate(texts)]
    # A group whose only row is a duplicate of another's: no record is of it.
    rows.append((*rows[7][:2], "shadow"))
    groups = ["--group-column", "donor"]

    def prepare_groups(name: str, some: list[tuple[str, str, str]], *bases: str) -> dict[str, Any]:
        source = write_groups(tmp_path / f"{name}.csv", some)
        base = ["--base", *(str(tmp_path / base) for base in bases)] if bases else []
        argv = ["--input", source, "--output", str(tmp_path / name), *groups, *base]
        assert main(argv) == 0
        assert inspect_main([str(tmp_path / name), "--verify"]) == 0
        return manifest_of(tmp_path / name)

    prepare_groups("base", rows)
    of_text = {text: split for split, text, _ in records(tmp_path / "base")}
    train, *_, other_train = (row for row in rows if of_text[row[0]] == "train")
    test = next(row for row in rows if of_text[row[0]] == "test")
    added = [
        ("AAAAAAAAA", "x", train[2]),
        ("CCCCCCCCC", "x", test[2]),
        ("EEEEEEEEE", "x", "shadow"),
        ("DDDDDDDDD", "x", "new"),
        (train[0], "x" if train[1] == "y" else "y", "new"),  # ties `new` to train
        # `both` is tied to train by a sequence, and to test by a link to test's group.
        (other_train[0], other_train[1], "both"),
        ("FFFFFFFFF", "y", "both"),
        ("FFFFFFFFF", "y", test[2]),
        ("GGGGGGGGG", "y", "free"),
    ]
    manifest = prepare_groups("added", added, "base")
    split = {text: name for name, text, _ in records(tmp_path / "added")}
    assert (split["AAAAAAAAA"], split["DDDDDDDDD"]) == ("train", "train")
    assert split["EEEEEEEEE"] == of_text[rows[7][0]]
    assert "GGGGGGGGG" in split
    # The rows of `both`, and those of test's group, which is one with it.
    assert manifest["counts"]["rejected_by_reason"] == {"between_splits": 4}
    assert "rejected as between_splits" in " ".join(manifest["notes"])
    more = [("HHHHHHHHH", "x", "new"), ("HHHHHHHHA", "x", "free"), ("HHHHHHHHC", "x", "shadow")]
    prepare_groups("more", more, "base", "added")
    later = {text: name for name, text, _ in records(tmp_path / "more")}
    assert later["HHHHHHHHH"] == "train"
    assert later["HHHHHHHHA"] == split["GGGGGGGGG"]
    assert later["HHHHHHHHC"] == of_text[rows[7][0]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("base") / "base", make_rows(1), "--max-length", "6")


def test_new_labels_are_appended(base: Path, tmp_path: Path) -> None:
    rows = [("AAAAAA"[:n], "new") for n in range(2, 7)] + [("HHHHH", "also"), ("HHGHHG", "x")]
    rows += [("GGGGG" + letter, "new") for letter in ALPHABET]
    added = manifest_of(add(tmp_path / "added", rows, base))
    labels = manifest_of(base)["labels"]
    assert added["labels"][: len(labels)] == labels
    assert added["labels"][len(labels)] == "new"
    schema = (tmp_path / "added/transform/transformed_metadata/schema.pbtxt").read_text()
    assert f"max: {len(added['labels']) - 1}\n" in schema
    # Its own labels go on, also with a label that only the second one has.
    more = manifest_of(
        add(tmp_path / "more", [("FFF", "new"), ("FFE", "x")], base, tmp_path / "added")
    )
    assert more["labels"] == added["labels"]
    assert (
        more["counts"]["duplicates"]
        + sum(more["counts"][name] for name in ("train", "validation", "test"))
        == 2
    )


def test_added_again_nothing_is_done(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("HHHHHA", "x")]
    add(tmp_path / "added", rows, base)
    add(tmp_path / "added", rows, base)
    assert "nothing to do" in capsys.readouterr().out
    arguments = ["--input", str(tmp_path / "added.csv"), "--output", str(tmp_path / "added")]
    assert main([*arguments, "--max-length", "6"]) == 1
    assert "it adds rows to the datasets of fingerprint" in capsys.readouterr().err


def reseal(path: Path, change: dict[str, Any]) -> None:
    content = json.loads((path / "dataset.json").read_text())
    (path / "dataset.json").write_text(json.dumps({**content, **change}))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--encoding", "one_hot"], "--encoding: got 'one_hot', but"),
        (["--seed", "7"], "--seed: got 7, but"),
        (["--no-strip"], "--strip: got False, but"),
        (["--folds", "3"], "--base: not allowed with --folds"),
        (["--similar", "0.8"], "--base: not allowed with --similar"),
        (["--min-label-rows", "2"], "--base: not allowed with --min-label-rows"),
        (["--alphabet-of", "x"], "--alphabet-of"),
    ],
)
def test_what_cannot_be_added_is_refused(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    source = write(tmp_path / "rows.csv", make_rows(2))
    arguments = ["--input", str(source), "--base", str(base), "--output", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as caught:
        raise SystemExit(main([*arguments, *flags]))
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_base_is_not_written_over(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (base / "dataset.json").read_bytes()
    source = write(tmp_path / "rows.csv", make_rows(2))
    (tmp_path / "link").symlink_to(base)
    for output in (base, f"{base}/", tmp_path / "link"):
        argv = ["--input", str(source), "--base", str(base), "--output", str(output)]
        assert main([*argv, "--overwrite"]) == 2
        assert f"is --base {base}, which is read; choose another" in capsys.readouterr().err
    assert (base / "dataset.json").read_bytes() == before


def test_a_base_that_has_changed_is_refused(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = make_rows(3)
    own = prepare(tmp_path / "own", rows)
    source = write(tmp_path / "rows.csv", rows[:50])
    arguments = ["--input", str(source), "--base", str(own), "--output", str(tmp_path / "out")]
    index = own / "index/train/part-00000-of-00001.npy"
    whole = index.read_bytes()
    index.write_bytes(whole[:-8] + b"damaged!")
    assert main(arguments) == 1
    assert f"{index}: changed after the preparation" in capsys.readouterr().err
    index.write_bytes(whole)
    (own / "transform/transform_fn/assets/labels").write_text("x\ny\nw\n")
    assert main(arguments) == 1
    assert "labels: changed after the preparation" in capsys.readouterr().err
    assert not (tmp_path / "out/dataset.json").exists()


def test_a_base_without_an_index_or_with_folds_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = make_rows(4)
    source = write(tmp_path / "rows.csv", rows[:50])
    folds = prepare(tmp_path / "folds", rows, "--folds", "3")
    arguments = ["--input", str(source), "--output", str(tmp_path / "out")]
    assert main([*arguments, "--base", str(folds)]) == 1
    assert (
        "prepared with --folds, and then no rows can be added: the parts" in capsys.readouterr().err
    )
    old = prepare(tmp_path / "old", rows)
    reseal(old, {"files": []})
    assert main([*arguments, "--base", str(old)]) == 1
    assert "kept no index of its rows; prepare it again" in capsys.readouterr().err


def test_a_chain_with_a_hole_is_refused(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    added = add(tmp_path / "added", [("AAAHHH", "x")], base)
    source = write(tmp_path / "rows.csv", make_rows(5)[:20])
    arguments = ["--input", str(source), "--output", str(tmp_path / "out")]
    capsys.readouterr()
    for bases in ([added], [base, base], [base, added, added]):
        assert main([*arguments, "--base", *map(str, bases)]) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1, error
    assert not (tmp_path / "out").exists()
