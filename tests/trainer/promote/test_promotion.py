from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext

import pytest

from charseq.errors import DataError, UsageError
from tests.support.paths import ROOT
from tests.support.registries import (
    FINGERPRINT,
    MANIFEST,
    SCORES,
    fake_measure,
    write_data,
    write_run,
)
from trainer.promote import measurement
from trainer.promote.__main__ import main
from trainer.promote.comparison import check_can_decide
from trainer.promote.lineage import (
    read_lineage,
    sha256_of_files,
    sha256_of_tree,
)
from trainer.promote.options import PromotionRules
from trainer.promote.registry import Pointer, Registry


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    monkeypatch.setattr(measurement, "measure", fake_measure)


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.data.dataset.Dataset.check_not_empty", lambda *_: None)
    return write_data(tmp_path / "data")


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


@pytest.fixture
def new_run(tmp_path, data):
    return lambda name, **scores: write_run(tmp_path / name, data, **scores)


def command(models, *arguments):
    return main(["--registry", str(models), *map(str, arguments)])


def promote(models, run, capsys, *flags):
    """The outcome of a promotion, and its user-facing line."""
    assert command(models, "--candidate", run, *flags) == 0
    *_, message, outcome = capsys.readouterr().out.splitlines()
    return json.loads(outcome), message


def refused(models, run, capsys, outcome):
    """The user-facing line of a promotion that is refused in spite of 0.75 after 0.25, and all."""
    assert command(models, "--candidate", run) == 3
    captured = capsys.readouterr()
    *_, message, last = captured.out.splitlines()
    assert json.loads(last) == {
        "outcome": outcome,
        "number": None,
        "current": 1,
        "metric": "accuracy",
        "candidate": 0.75,
        "previous": 0.25,
        "previous_trained_on": 0,
    }
    return message, captured


def tree(models):
    return {
        str(path.relative_to(models)): path.read_bytes()
        for path in models.rglob("*")
        if path.is_file()
    }


def test_a_metric_by_weight_needs_weights(models, new_run, data, capsys):
    run = new_run("first", accuracy=0.25)
    assert command(models, "--candidate", run, "--metric", "weighted_loss") == 1
    assert capsys.readouterr().err.endswith(
        f"error: --metric weighted_loss: {data} has no weights: it was prepared without "
        "--weight-column\n"
    )


def test_the_first_model_of_a_registry_is_promoted(models, new_run, data, capsys):
    run = new_run("first", accuracy=0.25)
    outcome, message = promote(models, run, capsys)
    assert outcome == {
        "outcome": "promoted",
        "number": 1,
        "current": 1,
        "metric": "accuracy",
        "candidate": 0.25,
        "previous": None,
        "previous_trained_on": None,
    }
    assert message == f"promoted: {run} is {models}/1, the current one: accuracy 0.250000"
    assert Registry(str(models)).pointer() == Pointer(1, 1)
    entry = json.loads((models / "1" / "assets.extra" / "entry.json").read_text())
    assert entry["evaluation"] == {
        "data": str(data),
        "fingerprint": FINGERPRINT,
        "candidate": {"rows": 1234, **SCORES, "accuracy": 0.25},
        "previous": None,
        "trivial": None,
        "lost_labels": [],
        "new_labels": [],
        "previous_trained_on": None,
        "split": "test",
        "metric": "accuracy",
        "min_improvement": 0.0,
    }
    assert (entry["number"], entry["previous"]) == (1, None)
    assert entry["run"]["directory"] == str(run)


@pytest.mark.parametrize(
    ("metric", "worse", "better"),
    [
        ("accuracy", 0.5, 0.625),
        ("top3_accuracy", 0.875, 1.0),
        ("macro_f1", 0.25, 0.375),
        ("loss", 0.5, 0.375),
        ("calibration_error", 0.25, 0.125),
    ],
)
def test_only_a_better_model_is_promoted(models, new_run, capsys, metric, worse, better):
    flags = ("--metric", metric)
    runs = {
        name: new_run(name, **{metric: value})
        for name, value in (("worse", worse), ("equal", worse), ("better", better))
    }
    promote(models, runs["worse"], capsys, *flags)
    before = tree(models)
    outcome, message = promote(models, runs["equal"], capsys, *flags)
    assert outcome["outcome"] == "not_better"
    assert (outcome["number"], outcome["current"]) == (None, 1)
    assert message == (
        f"not promoted: {runs['equal']} is not better: {metric} {worse:.6f}, "
        f"{models}/1 has {worse:.6f}"
    )
    assert tree(models) == before
    outcome, message = promote(models, runs["better"], capsys, *flags)
    assert outcome == {
        "outcome": "promoted",
        "number": 2,
        "current": 2,
        "metric": metric,
        "candidate": better,
        "previous": worse,
        "previous_trained_on": 0,
    }
    back = new_run("back", **{metric: worse})
    assert promote(models, back, capsys, *flags)[0]["outcome"] == "not_better"


@pytest.mark.parametrize(("more", "outcome"), [("0.125", "not_better"), ("0.124", "promoted")])
def test_the_improvement_must_exceed_the_requested_minimum(models, new_run, capsys, more, outcome):
    promote(models, new_run("a", loss=0.5), capsys)
    flags = ("--metric", "loss", "--min-improvement", more)
    got, message = promote(models, new_run("b", loss=0.375), capsys, *flags)
    assert got["outcome"] == outcome
    assert ("is not better by more than 0.125:" in message) == (outcome == "not_better")


REASON = "it always gives the label x: to 9 of 9 rows, of which 4 have another"


def test_a_trivial_model_is_refused_even_if_it_is_better(models, new_run, capsys):
    promote(models, new_run("a", accuracy=0.25), capsys)
    before = tree(models)
    run = new_run("b", accuracy=0.75, trivial=REASON)
    message, captured = refused(models, run, capsys, "trivial")
    assert message == (
        f"not promoted: {run} is trivial on test: {REASON}; --allow-trivial would let it be "
        "compared all the same"
    )
    assert captured.err == f"error: {run} is trivial and was not promoted\n"
    assert tree(models) == before


def test_a_trivial_model_is_no_first_one_but_where_it_is_allowed(models, new_run, capsys):
    run = new_run("a", accuracy=0.75, trivial=REASON)
    assert command(models, "--candidate", run) == 3
    assert Registry(str(models)).numbers() == []
    capsys.readouterr()
    assert promote(models, run, capsys, "--allow-trivial")[0]["outcome"] == "promoted"
    entry = json.loads((models / "1" / "assets.extra" / "entry.json").read_text())
    assert entry["evaluation"]["trivial"] == REASON
    worse = new_run("b", accuracy=0.5, trivial=REASON)
    assert promote(models, worse, capsys, "--allow-trivial")[0]["outcome"] == "not_better"


def test_promoting_a_run_again_changes_nothing(models, new_run, data, capsys):
    run = new_run("a")
    promote(models, run, capsys)
    before = tree(models)
    shutil.rmtree(data)  # A retry needs it no more.
    outcome, message = promote(models, run, capsys)
    assert outcome == {"outcome": "already_current", "number": 1, "current": 1}
    assert message == f"{run} is already {models}/1, the current one"
    assert tree(models) == before


def test_a_run_that_was_rolled_back_is_not_promoted_again(models, new_run, capsys):
    promote(models, new_run("a", accuracy=0.5), capsys)
    run = new_run("b", accuracy=0.75)
    promote(models, run, capsys)
    assert command(models, "--rollback") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "outcome": "rolled_back",
        "number": 1,
        "current": 1,
        "was": 2,
    }
    before = tree(models)
    outcome, message = promote(models, run, capsys)
    assert outcome == {"outcome": "already_there", "number": 2, "current": 1}
    assert message == (
        f"not promoted: {run} is already {models}/2, but 1 is current; "
        "--rollback 2 would make it so"
    )
    assert tree(models) == before
    # Compared with what is current, and not numbered again.
    assert promote(models, new_run("c", accuracy=0.625), capsys)[0]["number"] == 3
    assert command(models, "--rollback") == 0
    assert Registry(str(models)).pointer() == Pointer(current=1, newest=3)


def test_a_rollback_needs_a_version_that_exists_and_is_whole(models, new_run, capsys):
    for number in (1, 2, 3):
        promote(models, new_run(f"r{number}", accuracy=number / 4), capsys)
    assert command(models, "--rollback", 1) == 0
    assert command(models, "--rollback", 3) == 0
    assert Registry(str(models)).pointer().current == 3
    capsys.readouterr()
    assert command(models, "--rollback", 4) == 1
    assert capsys.readouterr().err == (
        f"error: {models}/4: no such version; {models} holds 1, 2, 3\n"
    )
    (models / "2" / "saved_model.pb").write_text("torn")
    assert command(models, "--rollback") == 1
    assert "2: saved_model.pb: the SHA-256 is" in capsys.readouterr().err
    assert Registry(str(models)).pointer().current == 3
    assert command(models, "--rollback", 1) == 0
    capsys.readouterr()
    assert command(models, "--rollback") == 1
    assert "1 is the first: there is none before it" in capsys.readouterr().err


def test_the_oldest_versions_beyond_keep_are_removed(models, new_run, capsys):
    for number in range(1, 5):
        run = new_run(f"r{number}", accuracy=number / 8)
        assert command(models, "--candidate", run, "--keep", 3) == 0
    assert f"removed: {models}/1\n" in capsys.readouterr().out
    assert Registry(str(models)).numbers() == [2, 3, 4]


def test_a_promotion_cut_short_before_the_pointer_moved_is_finished(
    models, new_run, capsys, monkeypatch
):
    promote(models, new_run("a", accuracy=0.5), capsys)
    run = new_run("b", accuracy=0.75)
    with monkeypatch.context() as cut:
        cut.setattr(Registry, "point", lambda *_: sys.exit(9))
        with pytest.raises(SystemExit):
            command(models, "--candidate", run)
    assert Registry(str(models)).pointer() == Pointer(current=1, newest=1)
    capsys.readouterr()
    assert command(models, "--candidate", run) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{models}/2 is current now: its promotion had been cut short"
    assert json.loads(lines[-1]) == {"outcome": "already_current", "number": 2, "current": 2}


def test_a_rollback_overrules_a_promotion_that_was_cut_short(models, new_run, capsys, monkeypatch):
    for name, accuracy in (("a", 0.25), ("b", 0.5)):
        promote(models, new_run(name, accuracy=accuracy), capsys)
    run = new_run("c", accuracy=0.75)
    with monkeypatch.context() as cut:
        cut.setattr(Registry, "point", lambda *_: sys.exit(9))
        with pytest.raises(SystemExit):
            command(models, "--candidate", run)
    assert command(models, "--rollback") == 0
    assert Registry(str(models)).pointer() == Pointer(current=1, newest=3)
    capsys.readouterr()
    assert promote(models, run, capsys)[0]["outcome"] == "already_there"


def test_a_run_that_changes_while_it_is_measured_is_refused(models, new_run, capsys, monkeypatch):
    run = new_run("a")

    def measure(saved_model, *arguments):
        (run / "saved_model" / "saved_model.pb").write_text("another")
        return fake_measure(saved_model, *arguments)

    monkeypatch.setattr(measurement, "measure", measure)
    assert command(models, "--candidate", run) == 1
    assert "changed while it was measured; promote it again" in capsys.readouterr().err
    assert sorted(os.listdir(models)) == [".lock"]


def test_runs_that_cannot_be_promoted_are_refused(models, new_run, tmp_path, data, capsys):
    def refused(run, *flags):
        assert command(models, "--candidate", run, *flags) == 1
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        return error

    assert "holds no run.json" in refused(tmp_path)
    run = new_run("a")
    assert "nowhere: no such directory" in refused(run, "--data", tmp_path / "nowhere")
    data.rename(tmp_path / "moved")
    error = refused(run)
    assert "data: no such directory" in error
    assert f"was trained on it, with the fingerprint {FINGERPRINT[:16]}: say with --data" in error
    assert promote(models, run, capsys, "--data", tmp_path / "moved")[0]["outcome"] == "promoted"
    (run / "run.json").write_text((run / "run.json").read_text() + " ")
    assert "its assets/run.json is not the run.json of" in refused(run)
    (run / "saved_model" / "assets" / "run.json").unlink()
    assert "assets/run.json: no such file" in refused(run)


def test_a_missing_current_version_is_reported(models, new_run, capsys):
    for number in (1, 2):
        promote(models, new_run(f"r{number}", accuracy=number / 4), capsys)
    shutil.rmtree(models / "2")
    assert command(models, "--candidate", new_run("r3", accuracy=0.75)) == 1
    assert f"{models}/2: no such version; {models} holds 1\n" in capsys.readouterr().err


def test_another_dataset_than_the_candidates_is_refused(models, new_run, data, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    (other / "dataset.json").write_text(json.dumps({**MANIFEST, "fingerprint": "f" * 64}))
    run = new_run("a")
    expected = (
        f"its fingerprint is {'f' * 16}, and {run} was trained on the dataset of "
        f"{FINGERPRINT[:16]}: say with --data where that is\n"
    )
    assert command(models, "--candidate", run, "--data", other) == 1
    assert capsys.readouterr().err == f"error: {other}: {expected}"
    shutil.copy(other / "dataset.json", data)
    assert command(models, "--candidate", run) == 1
    assert capsys.readouterr().err == f"error: {data}: {expected}"
    assert Registry(str(models)).numbers() == []


def test_a_model_that_knows_fewer_labels_is_refused(models, new_run, capsys):
    promote(models, new_run("a", accuracy=0.25), capsys)
    run = new_run("b", labels=["w", "y", "v"], accuracy=0.75)
    message, captured = refused(models, run, capsys, "fewer_labels")
    assert message == (
        f"not promoted: {run} does not know the labels x, z, which {models}/1 gives; "
        "--allow-fewer-labels would let it be compared all the same"
    )
    assert "measured on 4 labels: x, y, z and 1 more" in captured.out
    assert f"note: {run}/saved_model gives labels that {models}/1 does not know: v" in captured.out
    assert captured.err == f"error: {run} knows fewer labels and was not promoted\n"
    assert promote(models, run, capsys, "--allow-fewer-labels")[0]["outcome"] == "promoted"
    entry = json.loads((models / "2" / "assets.extra" / "entry.json").read_text())
    assert entry["evaluation"]["lost_labels"] == ["x", "z"]
    assert entry["evaluation"]["new_labels"] == ["v"]


def test_a_metric_that_tells_no_models_apart_is_refused(models, new_run, capsys):
    run = new_run("a", labels=["x", "y", "z"])
    assert command(models, "--candidate", run, "--metric", "top3_accuracy") == 1
    assert "a model of 3 labels is always right with three guesses" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metric", "improvement", "rows", "refused"),
    [
        ("accuracy", 0.009, 100, True),
        ("accuracy", 0.01, 100, False),
        ("accuracy", 0.0, 100, False),
        ("top3_accuracy", 0.009, 100, True),
        ("loss", 0.009, 100, False),
        ("macro_f1", 0.009, 100, False),
    ],
)
def test_a_margin_below_one_row_is_refused(metric, improvement, rows, refused):
    rules = PromotionRules(metric=metric, min_improvement=improvement)
    with pytest.raises(DataError, match="one row of the 100") if refused else nullcontext():
        check_can_decide(rules, ["wxyz"], rows, "test")


def test_a_model_that_was_rolled_back_is_not_promoted_again_once_it_was_removed(
    models, new_run, capsys
):
    promote(models, new_run("a", accuracy=0.25), capsys)
    run = new_run("b", accuracy=0.75)
    promote(models, run, capsys)
    assert command(models, "--rollback") == 0
    promote(models, new_run("c", accuracy=0.5), capsys, "--keep", "1")
    assert Registry(str(models)).numbers() == [1, 3]
    before = tree(models)
    outcome, message = promote(models, run, capsys)
    assert outcome == {"outcome": "was_rolled_back", "number": None, "current": 3}
    assert (
        f"not promoted: {run} was promoted to {models} and rolled back to version 1 at" in message
    )
    assert tree(models) == before
    assert promote(models, run, capsys, "--again")[0]["number"] == 4
    # It is current by request now, and nobody has gone back from it since.
    promote(models, new_run("d", accuracy=0.875), capsys, "--keep", "1")
    promote(models, new_run("e", accuracy=1.0), capsys, "--keep", "1")
    assert 4 not in Registry(str(models)).numbers()
    assert promote(models, run, capsys)[0]["outcome"] == "not_better"


def test_a_version_of_before_may_be_promoted_again_by_request(models, new_run, capsys):
    run = new_run("a", accuracy=0.5)
    promote(models, run, capsys)
    promote(models, new_run("b", accuracy=0.75), capsys)
    assert promote(models, run, capsys)[0]["outcome"] == "already_there"
    assert promote(models, run, capsys, "--again")[0]["outcome"] == "not_better"


def test_a_removed_version_is_explained_and_listed(models, new_run, data, capsys):
    runs = [new_run(f"r{number}", accuracy=number / 8) for number in range(1, 5)]
    for run in runs:
        promote(models, run, capsys, "--keep", "2")
    times = {event["number"]: event for event in Registry(str(models)).events()}
    assert command(models, "--rollback") == 0
    capsys.readouterr()
    assert command(models, "--explain", 1) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == ["dataset", f"  fingerprint {FINGERPRINT}"]
    assert f"  accuracy 0.125000 on test of {data}" in out
    assert out[-1] == f"  removed at {times[1]['time']}"
    assert command(models, "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    ends = [line.split("  ")[-1].split(" at ")[0] for line in lines]
    assert ends == ["removed", "removed", "current", "rolled back to 3"]
    assert [line.split("  ")[2] for line in lines] == [
        f"accuracy {number / 8:.6f}" for number in range(1, 5)
    ]
    assert command(models, "--explain", 5) == 1
    assert "5: no such version" in capsys.readouterr().err


def test_a_registry_without_a_ledger_gets_one(models, new_run, capsys):
    runs = [new_run(f"r{number}", accuracy=number / 4) for number in (1, 2)]
    for run in runs:
        promote(models, run, capsys)
    assert command(models, "--rollback") == 0
    (models / "ledger.jsonl").unlink()  # As an earlier version of charseq left it.
    shutil.rmtree(models / "2")
    write_pointer = (models / "models.config").read_text()
    capsys.readouterr()
    assert promote(models, new_run("r3", accuracy=0.5), capsys)[0]["number"] == 3
    assert write_pointer != (models / "models.config").read_text()
    events = [(event["event"], event["number"]) for event in Registry(str(models)).events()]
    assert events == [("promoted", 1), ("rolled_back", 1), ("promoted", 3)]


def test_a_damaged_ledger_is_refused(models, new_run, capsys):
    promote(models, new_run("a"), capsys)
    (models / "ledger.jsonl").write_text("{")
    assert command(models, "--candidate", new_run("b", accuracy=0.75)) == 1
    assert "ledger.jsonl" in capsys.readouterr().err


def test_the_chain_of_hashes_is_explained(models, new_run, data, capsys):
    promote(models, new_run("a", accuracy=0.25), capsys)
    run = new_run("b", accuracy=0.75)
    promote(models, run, capsys)
    assert command(models, "--explain", 2) == 0
    out = capsys.readouterr().out.splitlines()
    entry = json.loads((models / "2" / "assets.extra" / "entry.json").read_text())
    digest = subprocess.run(
        ["sha256sum", run / "run.json"], check=True, capture_output=True, text=True
    ).stdout.split()[0]
    assert out == [
        "input files, as assets/dataset.json names them",
        "  raw/a.csv  1,234 bytes  sha256:aa11",
        "  raw/b.csv  56 bytes  sha256:bb22",
        "  holds",
        "dataset",
        f"  fingerprint {FINGERPRINT}",
        "  holds",
        "run.json",
        f"  sha256:{digest}",
        f"  --data {data} --representation embedding --units 8,6 --batch-size 16",
        "  holds",
        "SavedModel",
        f"  sha256:{entry['saved_model']['sha256']} of 4 files",
        "  holds",
        "entry",
        f"  sha256:{entry['entry_sha256']}",
        f"  promoted {entry['promoted']} from {run}",
        f"  accuracy 0.750000, 1 had 0.250000, on 1,234 rows of test of {data}, "
        f"fingerprint {FINGERPRINT}",
        "  holds",
    ]


def change_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


TAMPERED = {
    "saved_model.pb": lambda path: path.write_text("another graph"),
    "variables/variables.index": lambda path: path.unlink(),
    "variables/variables.more": lambda path: path.write_text("more"),
    "assets/dataset.json": lambda path: change_json(path, lambda content: content["inputs"].pop()),
    "assets/run.json": lambda path: change_json(
        path, lambda content: content["options"].update(units=[9])
    ),
    "assets.extra/entry.json": lambda path: change_json(
        path, lambda content: content["evaluation"]["candidate"].update(accuracy=1.0)
    ),
}


@pytest.mark.parametrize("name", list(TAMPERED))
def test_a_file_that_was_tampered_with_is_named(models, new_run, capsys, name):
    promote(models, new_run("a"), capsys)
    TAMPERED[name](models / "1" / name)
    assert command(models, "--explain", 1) == 1
    out, err = capsys.readouterr()
    assert err.startswith(f"error: {models}/1: the chain is broken: {name}: ")
    assert err.count("\n") == 1
    assert "BROKEN: " in out


def test_each_link_is_checked_by_itself(models, new_run, capsys):
    promote(models, new_run("a"), capsys)

    def broken():
        return [link.name for link in read_lineage(str(models / "1")) if link.problems]

    entry = models / "1" / "assets.extra" / "entry.json"
    whole = entry.read_text()
    change_json(entry, lambda content: content["dataset"].update(fingerprint="other"))
    assert broken() == ["dataset", "run.json", "entry"]
    entry.write_text(whole)
    change_json(entry, lambda content: content["run"].update(sha256="other"))
    assert broken() == ["run.json", "entry"]
    entry.write_text(whole)
    change_json(entry, lambda content: content["saved_model"].update(sha256="other"))
    assert broken() == ["SavedModel", "entry"]
    entry.write_text(whole)
    assert broken() == []
    change_json(models / "1" / "assets" / "dataset.json", lambda content: content.update(labels=[]))
    assert broken() == ["input files, as assets/dataset.json names them", "SavedModel"]


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
@pytest.mark.parametrize("name", ["assets.extra/entry.json", "assets/dataset.json"])
def test_a_link_that_cannot_be_read_is_reported_in_one_line(models, new_run, capsys, name, text):
    promote(models, new_run("a"), capsys)
    (models / "1" / name).write_text(text)
    assert command(models, "--explain", 1) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"error: {models}/1")
    assert err.count("\n") == 1


def test_the_hash_of_a_saved_model_is_that_of_the_documented_command(models, new_run, capsys):
    promote(models, new_run("a"), capsys)
    shell = (
        "find . -type f -not -path './assets.extra/*' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    )
    result = subprocess.run(
        shell, shell=True, cwd=models / "1", check=True, capture_output=True, text=True
    )
    assert result.stdout.split()[0] == sha256_of_tree(sha256_of_files(str(models / "1")))


@pytest.mark.parametrize("value", [-0.5, float("inf"), float("nan")])
def test_a_minimum_improvement_out_of_range_is_refused(value):
    with pytest.raises(UsageError, match="--min-improvement: got"):
        PromotionRules(min_improvement=value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rollback", "--keep", "3"], "--keep: only with --candidate"),
        (["--explain", "1", "--metric", "loss"], "--metric: only with --candidate"),
        (["--candidate", "runs/a", "--keep", "0"], "--keep: got 0, expected 1 or more"),
    ],
)
def test_flags_that_do_not_fit_are_refused(models, arguments, message, capsys):
    assert command(models, *arguments) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
    assert not models.exists()


@pytest.mark.parametrize(
    "arguments", [[], ["--rollback", "0"], ["--explain", "-1"], ["--candidate", "a", "--rollback"]]
)
def test_a_command_line_that_cannot_be_parsed_ends_with_status_2(models, arguments):
    with pytest.raises(SystemExit) as raised:
        command(models, *arguments)
    assert raised.value.code == 2


@pytest.mark.parametrize("arguments", [["--rollback"], ["--explain", "1"]])
def test_a_registry_that_does_not_exist_is_reported(models, arguments, capsys):
    assert command(models, *arguments) == 1
    assert "models holds no models.config: not a registry, or empty" in capsys.readouterr().err
    assert not models.exists()


def test_help_imports_nothing_heavy():
    script = """
import sys
from trainer.promote.__main__ import main
try:
    main(["--help"])
except SystemExit as exit:
    assert exit.code == 0
assert not {"tensorflow", "keras", "numpy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize(
    "name", ["run.json", "MODEL_CARD.md", "saved_model", "saved_model/assets/x", "saved_model/y"]
)
def test_a_link_in_a_candidate_is_not_followed(models, new_run, tmp_path, capsys, name):
    run = new_run("run")
    target = tmp_path / "secret"
    if name.endswith("y"):  # A directory.
        target.mkdir()
        (target / "file").write_text("only the promoter reads this")
    elif (run / name).exists():
        (run / name).rename(target)
    else:
        target.write_text("only the promoter reads this")
    (run / name).symlink_to(target)
    assert command(models, "--candidate", run) == 1
    assert f"{run / name}: a link, and links of a model or a" in capsys.readouterr().err
    assert not models.exists()


def test_a_link_that_comes_after_the_check_is_not_copied(
    models, new_run, tmp_path, capsys, monkeypatch
):
    run = new_run("run")
    (tmp_path / "secret").write_text("only the promoter reads this")

    def measure_and_link(saved_model, *arguments):
        (run / "saved_model" / "assets" / "x").symlink_to(tmp_path / "secret")
        return fake_measure(saved_model, *arguments)

    monkeypatch.setattr(measurement, "measure", measure_and_link)
    assert command(models, "--candidate", run) == 1
    assert "assets/x: a link, and links of a model" in capsys.readouterr().err
    assert sorted(path.name for path in models.iterdir()) == [".lock"]


def test_the_card_of_an_evaluated_run_goes_with_its_model(models, new_run, capsys):
    first, second = new_run("first", accuracy=0.25), new_run("second", accuracy=0.75)
    (second / "MODEL_CARD.md").write_text("# Model card\n")
    for run in (first, second):
        promote(models, run, capsys)
    assert os.listdir(models / "1" / "assets.extra") == ["entry.json"]
    assert (models / "2" / "assets.extra" / "MODEL_CARD.md").read_text() == "# Model card\n"
    # The chain of hashes holds with it.
    assert command(models, "--explain", "2") == 0


def test_a_pipe_in_a_candidate_is_not_read(models, new_run, capsys):
    run = new_run("run")
    os.mkfifo(run / "saved_model" / "assets" / "pipe")
    assert command(models, "--candidate", run) == 1
    assert "assets/pipe: not a file" in capsys.readouterr().err
