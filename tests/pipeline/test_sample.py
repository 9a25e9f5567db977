"""Samples of known difficulty: their chains, rows, best possible accuracy and files."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.options import DEFAULT_ALPHABET_SIZE
from pipeline.sample import (
    ALPHABET,
    LABELS,
    Accuracy,
    Rows,
    classify,
    count_slots,
    draw_chains,
    draw_rows,
    encode_csv,
    main,
    score_transitions,
)

pytestmark = pytest.mark.unit


def draw_text(seed: int, rows: int, chunk_rows: int = 65_536) -> str:
    chunks = draw_rows(seed, draw_chains(seed), rows, chunk_rows)
    return b"".join(encode_csv(chunk) for chunk in chunks).decode()


def reference_label(sequence: str, slots: list[list[list[int]]]) -> int:
    """The label whose chain gives the cut sequence the largest probability, a letter at a time."""
    best, best_score = -1, -math.inf
    for label, transitions in enumerate(slots):
        score, state = 0.0, 0
        for letter in sequence[:31]:
            following = ALPHABET.index(letter) + 1
            score += math.log(transitions[state][following] / 256)
            state = following
        if score > best_score + 1e-9:
            best, best_score = label, score
    return best


def reference_accuracy(lines: list[str], seed: int) -> float:
    """The share of the lines `sequence,label` for which the reference label is the one there."""
    slots = count_slots(draw_chains(seed)).tolist()
    pairs = [line.split(",") for line in lines]
    right = [LABELS[reference_label(sequence, slots)] == label for sequence, label in pairs]
    return sum(right) / len(right)


def test_the_first_rows_are_the_same_on_any_machine() -> None:
    assert draw_text(0, 4).splitlines() == [
        "PTVDFYHLXOLXVOTXKCYSLLHVTID,fern",
        "LTBBPWYDAQZELSNMIZLBRBH,coral",
        "NBFYCSXRDEXHXSTSSVBXYE,fern",
        "RARRAEIYQCNARESDSNG,grove",
    ]
    digest = hashlib.sha256(draw_text(0, 1000).encode()).hexdigest()
    assert digest == "54a3f1a08b31e9df46d71c6b6328f4c470bbfaffa617254090852bd962dd41f5"


def test_another_seed_gives_other_chains_and_rows() -> None:
    assert not np.array_equal(draw_chains(0), draw_chains(1))
    assert draw_text(0, 10) != draw_text(1, 10)


@pytest.mark.parametrize("chunk_rows", [1, 7, 99, 100, 1000])
def test_rows_do_not_depend_on_the_chunks(chunk_rows: int) -> None:
    assert draw_text(3, 100, chunk_rows) == draw_text(3, 100)


def test_lengths_letters_and_labels_are_the_promised_ones() -> None:
    lines = [line.split(",") for line in draw_text(0, 5000).splitlines()]
    assert {len(sequence) for sequence, _ in lines} == set(range(5, 41))
    assert {letter for sequence, _ in lines for letter in sequence} == set(
        "ACDEFGHIKLMNPQRSTVWYBZXUO"
    )
    assert {label for _, label in lines} == set(LABELS)


def test_the_alphabet_is_as_large_as_the_pipeline_expects() -> None:
    assert len(ALPHABET) == len(set(ALPHABET)) == DEFAULT_ALPHABET_SIZE


def test_labels_and_lengths_are_uniform() -> None:
    (rows,) = draw_rows(0, draw_chains(0), 40_000)
    assert np.bincount(rows.labels) / 40_000 == pytest.approx([1 / 8] * 8, rel=0.05)
    assert np.bincount(rows.lengths)[5:] / 40_000 == pytest.approx([1 / 36] * 36, rel=0.15)


def test_each_state_leads_to_every_letter_and_never_back_to_the_start() -> None:
    slots = count_slots(draw_chains(5))
    assert slots.shape == (8, 26, 26)
    assert (slots.sum(axis=-1) == 256).all()
    assert (slots[:, :, 0] == 0).all()
    assert (slots[:, :, 1:] >= 2).all()


def test_transitions_occur_as_often_as_the_chain_says() -> None:
    chains = draw_chains(0)
    (rows,) = draw_rows(0, chains, 50_000)
    letters = rows.letters[rows.labels == 2]
    seen = np.zeros((26, 26))
    np.add.at(seen, (letters[:, :-1].ravel(), letters[:, 1:].ravel()), 1)
    seen = seen[1:, 1:]  # without what comes before the first letter and after the last
    expected = count_slots(chains)[2, 1:, 1:] / 256
    assert seen / seen.sum(axis=1, keepdims=True) == pytest.approx(expected, abs=0.03)


def test_first_letters_occur_as_often_as_the_start_says() -> None:
    chains = draw_chains(0)
    (rows,) = draw_rows(0, chains, 50_000)
    first = rows.letters[rows.labels == 6, 0]
    assert np.bincount(first, minlength=26) / len(first) == pytest.approx(
        count_slots(chains)[6, 0] / 256, abs=0.02
    )


def test_the_classifier_is_the_brute_force_one() -> None:
    chains = draw_chains(4)
    (rows,) = draw_rows(4, chains, 50)
    best = classify(rows.letters[:, :31], score_transitions(chains))
    slots = count_slots(chains).tolist()
    sequences = [line.split(",")[0] for line in encode_csv(rows).decode().splitlines()]
    assert best.tolist() == [reference_label(sequence, slots) for sequence in sequences]


@pytest.mark.parametrize("seed", [0, 1, 2, 12345])
def test_the_best_accuracy_is_neither_trivial_nor_low(seed: int) -> None:
    chains = draw_chains(seed)
    (rows,) = draw_rows(seed, chains, 5000)
    best = classify(rows.letters[:, :31], score_transitions(chains))
    assert 0.93 <= (best == rows.labels).mean() <= 0.97


def test_the_frequencies_of_the_letters_are_not_enough() -> None:
    chains = draw_chains(0)
    (rows,) = draw_rows(0, chains, 10_000)
    counts = np.stack([(rows.letters[:, :31] == i).sum(axis=1) for i in range(1, 26)], axis=1)
    seen = np.stack([counts[rows.labels == label].sum(axis=0) for label in range(8)])
    log_frequencies = np.log(seen / seen.sum(axis=1, keepdims=True))
    by_frequency = (counts @ log_frequencies.T).argmax(axis=1) == rows.labels
    by_order = classify(rows.letters[:, :31], score_transitions(chains)) == rows.labels
    assert by_frequency.mean() < 0.9 * by_order.mean()


def test_accuracy_counts_longer_rows_at_the_cut() -> None:
    accuracy = Accuracy(max_length=7)
    accuracy.add(np.array([5, 5, 7]), np.array([True, False, True]))
    accuracy.add(np.array([9, 40]), np.array([False, False]))
    assert accuracy.overall() == 2 / 5
    assert accuracy.by_length() == {5: 1 / 2, 7: 1 / 3}


def test_rows_become_lines() -> None:
    letters = np.zeros((2, 40), np.uint8)
    letters[0, :5] = [1, 2, 3, 4, 25]
    letters[1, :6] = 24
    rows = Rows(letters, lengths=np.array([5, 6]), labels=np.array([0, 3]))
    assert encode_csv(rows) == b"ACDEO,amber\nUUUUUU,dune\n"


def test_main_writes_the_rows_and_what_is_known_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "sample.csv"
    assert main(["--rows", "50", "--output", str(output), "--seed", "7"]) == 0
    header, *lines = output.read_text().splitlines()
    assert header == "sequence,label"
    assert lines == draw_text(7, 50).splitlines()
    facts = json.loads(output.with_suffix(".json").read_text())
    by_length = facts.pop("best_possible_accuracy_by_length")
    assert facts == {
        "rows": 50,
        "seed": 7,
        "labels": ["amber", "birch", "coral", "dune", "ember", "fern", "grove", "heath"],
        "max_length": 31,
        "best_possible_accuracy": reference_accuracy(lines, 7),
    }
    lengths = sorted({min(len(line.split(",")[0]), 31) for line in lines})
    assert list(by_length) == [str(length) for length in lengths]
    assert "50 rows, 8 labels" in capsys.readouterr().out
    assert sorted(path.name for path in output.parent.iterdir()) == ["sample.csv", "sample.json"]


def test_main_replaces_an_earlier_sample(tmp_path: Path) -> None:
    output = tmp_path / "sample.csv"
    assert main(["--rows", "30", "--output", str(output)]) == 0
    assert main(["--rows", "20", "--output", str(output)]) == 0
    assert len(output.read_text().splitlines()) == 21
    assert json.loads(output.with_suffix(".json").read_text())["rows"] == 20


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--rows", "0"], "error: --rows: got 0, expected 1 or more\n"),
        (["--rows", "5", "--seed", "-1"], "error: --seed: got -1, expected 0 or more\n"),
        (
            ["--rows", "5", "--output", "sample.tsv"],
            "error: --output: got 'sample.tsv', expected a name ending in .csv\n",
        ),
    ],
)
def test_a_wrong_command_line_gets_one_line(
    flags: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--output", "sample.csv", *flags]) == 2
    assert capsys.readouterr().err == message
    assert not list(tmp_path.iterdir())


def test_an_output_that_cannot_be_written_gets_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "sample.csv"
    output.mkdir()
    assert main(["--rows", "5", "--output", str(output)]) == 1
    assert capsys.readouterr().err.startswith(f"error: cannot write {output}: ")
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.integration
def test_it_runs_without_tensorflow_and_beam() -> None:
    code = (
        "import sys, pipeline.sample;"
        "print(sorted({'tensorflow', 'apache_beam', 'keras', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
