"""`--max-length auto` and `--alphabet-size auto` through the real entry point."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.inspect import main as inspect_main
from pipeline.transform.saved_graph import encode_texts
from tests.support import reference
from tests.support.preparation import SEED, manifest_of, prepare, read_split, write_csv

MAX_LENGTH, ALPHABET = 12, "EDCAé😀"
AUTO = ("--max-length", "auto", "--alphabet-size", "auto")
Rows = list[tuple[str, str]]


def make_rows() -> Rows:
    """Return 2,003 rows, 3 of them to be rejected.

    Of the others 20 are longer than 12, 40 longer than 11. Z, in the train split, is one of some
    14,000 characters there.
    """
    rng = random.Random(0)
    lengths = [*(rng.randint(6, 11) for _ in range(1_960)), *[12] * 20, *[13] * 10, *[200] * 10]
    texts = ["".join(rng.choices("AACCCDDDDEEEEEé😀", k=length)) for length in lengths]
    texts[0] = texts[0][:5] + "Z"
    rejected = [("", "x"), ("A" * 500, ""), ("Q" * 500, " ")]
    return [*((text, rng.choice("xy")) for text in texts), *rejected]


@pytest.fixture(scope="module")
def rows() -> Rows:
    return make_rows()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, rows: Rows) -> Path:
    folder = tmp_path_factory.mktemp("auto")
    write_csv(folder / "rows.csv", rows)
    prepare(folder / "rows.csv", folder / "out", "--num-shards", "3", *AUTO)
    return folder / "out"


def test_it_writes_what_plain_python_would_with_the_numbers_that_fit(
    dataset: Path, rows: Rows
) -> None:
    manifest = manifest_of(dataset)
    assert (manifest["max_length"], manifest["alphabet_size"]) == (MAX_LENGTH, len(ALPHABET))
    assert manifest["feature_spec"]["sequence"]["shape"] == [MAX_LENGTH]
    assert "".join(manifest["alphabet"]) == ALPHABET
    assert manifest["unknown_id"] == len(ALPHABET) + 1
    expected, counts = reference.prepare(rows, MAX_LENGTH, len(ALPHABET), SEED)
    for split, records in expected.items():
        padded = [
            (ids + [0] * (MAX_LENGTH - len(ids)), length, label) for ids, length, label in records
        ]
        assert read_split(dataset, manifest, split) == padded
    assert manifest["counts"]["truncated"] == counts["truncated"] == 20
    assert manifest["counts"]["unknown_characters"] == 1
    assert inspect_main([str(dataset), "--verify"]) == 0


def test_the_notes_say_what_was_taken_and_the_options_what_was_asked(dataset: Path) -> None:
    manifest = manifest_of(dataset)
    assert (manifest["options"]["max_length"], manifest["options"]["alphabet_size"]) == (
        "auto",
        "auto",
    )
    assert manifest["notes"] == [
        "--max-length auto took 12: 1.0 % of the rows are longer and cut",
        "--alphabet-size auto took 6: < 0.01 % of the characters of the train rows are unknown",
    ]
    assert manifest["notes"][0] in (dataset / "report.html").read_text()


def test_another_dataset_can_take_its_alphabet(dataset: Path, tmp_path: Path) -> None:
    rows = [
        ("QéD" + "A" * (number % 9) + "C" * (number // 9), "xy"[number % 2]) for number in range(40)
    ]
    write_csv(tmp_path / "rows.csv", rows)
    other = prepare(
        *(tmp_path / "rows.csv", tmp_path / "out"),
        *("--alphabet-of", str(dataset), "--split", "train=0.5,test=0.5"),
    )
    assert ("".join(other["alphabet"]), other["unknown_id"]) == (ALPHABET, 7)
    assert {tuple(ids[:3]) for ids, _, _ in read_split(tmp_path / "out", other, "train")} == {
        (7, 5, 2)
    }


def test_what_is_served_has_the_ids_of_this_alphabet(dataset: Path) -> None:
    encoded = encode_texts(str(dataset / "transform"), ["E😀Z\u4e00", "C" * 20], ["x", "?"], False)
    assert encoded.ids.tolist() == [[1, 6, 7, 7, *[0] * 8], [3] * 12]
    assert encoded.length.tolist() == [4, 12]


@pytest.mark.parametrize(
    "mode", ["in_memory", pytest.param("multi_processing", marks=pytest.mark.engine)]
)
def test_the_same_bytes_from_other_files_orders_and_workers(
    tmp_path: Path, dataset: Path, rows: Rows, mode: str
) -> None:
    shuffled = random.Random(7).sample(rows, len(rows))
    for number in range(5):
        write_csv(tmp_path / f"rows-{number}.csv", shuffled[number::5])
    workers = ("--direct_num_workers", "2", "--direct_running_mode", mode)
    manifest = prepare(tmp_path / "rows-*", tmp_path / "out", "--num-shards", "3", *AUTO, *workers)
    expected = manifest_of(dataset)
    for name in ("fingerprint", "counts", "notes"):
        assert manifest[name] == expected[name]
    graph = [file for file in expected["files"] if file["path"].startswith("transform/")]
    assert [file for file in manifest["files"] if file in graph] == graph


def test_each_number_is_chosen_by_itself(tmp_path: Path, rows: Rows) -> None:
    write_csv(tmp_path / "rows.csv", rows)
    length = prepare(tmp_path / "rows.csv", tmp_path / "length", "--max-length", "auto")
    assert (length["max_length"], length["alphabet_size"]) == (12, 25)
    assert length["options"]["alphabet_size"] == 25
    alphabet = prepare(
        *(tmp_path / "rows.csv", tmp_path / "alphabet"),
        *("--alphabet-size", "auto", "--encoding", "one_hot", "--min-label-rows", "2"),
    )
    # Cut at 6, the train rows have fewer than 10,000 characters: Z is more than 0.01 % of them.
    assert (alphabet["max_length"], alphabet["alphabet"][6:]) == (6, ["Z"])
    assert alphabet["feature_spec"]["sequence"]["shape"] == [6, 7]
    assert alphabet["options"]["max_length"] == 6
    (first, *_) = read_split(tmp_path / "alphabet", alphabet, "train")
    assert {sum(vector) for vector in first[0]} == {1.0}


def test_fixed_numbers_are_compared_with_what_auto_would_take(
    tmp_path: Path, rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    write_csv(tmp_path / "rows.csv", rows)
    manifest = prepare(
        tmp_path / "rows.csv", tmp_path / "out", "--max-length", "11", "--alphabet-size", "4"
    )
    assert manifest["notes"] == [
        "2.0 % of the rows are longer than 11 characters and cut; --max-length auto would take 12",
        "12.5 % of the characters of the train rows are outside the alphabet of 4 and become "
        "unknown; --alphabet-size auto would take 6",
    ]
    assert capsys.readouterr().out.endswith(
        "".join(f"note: {note}\n" for note in manifest["notes"])
    )


def test_a_second_run_has_nothing_to_do(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--input", str(dataset.parent / "rows.csv"), "--output", str(dataset)]
    asked = ["--seed", str(SEED), "--num-shards", "3", "--max-rejected-fraction", "0.5"]
    assert main([*argv, *asked, *AUTO]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert main([*argv, *asked, *AUTO, "--max-length", "12"]) == 1
    assert "but not this one: --max-length auto, now 12. " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sequence,label\n", "nothing but headers"),
        ("sequence,label\nA,x\n,x\n", "1 of 2 rows are rejected"),
        ("sequence,label\nA,x\nC,y\n", "2 distinct sequences in 2 rows"),
    ],
)
def test_unusable_input_is_refused_as_without_auto(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    (tmp_path / "rows.csv").write_text(text)
    argv = ["--input", str(tmp_path / "rows.csv"), "--output", str(tmp_path / "out"), *AUTO]
    assert main(argv) == 1
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("out/*"))
