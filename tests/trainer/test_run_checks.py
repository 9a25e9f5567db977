from __future__ import annotations

import json
from dataclasses import replace

import pytest

from charseq.errors import DataError
from trainer.config import Config, Interval
from trainer.replacement import begin_run
from trainer.run_checks import (
    can_resume,
    check_output,
    check_resumable,
    format_flag,
    is_trained,
    reproducibility_warning,
    resume_differences,
)
from trainer.run_directory import complete_run
from trainer.settings import Settings

pytestmark = pytest.mark.unit

FINGERPRINT = "ab" * 32
CONTENT = {
    "options": {"representation": "scalar", "batch_size": 64},
    "dataset": {
        "fingerprint": FINGERPRINT,
        "max_length": 6,
        "alphabet_size": 4,
        "alphabet": ["A", "B"],
        "labels": ["x", "y"],
    },
}


def write_run(directory):
    begin_run(str(directory), CONTENT)
    complete_run(str(directory))


def test_a_complete_run_is_kept_unless_overwritten(tmp_path):
    write_run(tmp_path)
    with pytest.raises(DataError, match="already holds a run"):
        check_output(str(tmp_path), overwrite=False)
    check_output(str(tmp_path), overwrite=True)


def test_what_a_killed_run_left_may_be_written_over(tmp_path):
    begin_run(str(tmp_path), CONTENT)
    check_output(str(tmp_path), overwrite=False)


def test_files_of_another_kind_are_never_written_among(tmp_path):
    (tmp_path / "logs").mkdir()
    for overwrite in (False, True):
        with pytest.raises(DataError, match="holds files that are not of a run"):
            check_output(str(tmp_path), overwrite)


def test_what_a_file_system_keeps_there_leaves_a_directory_empty(tmp_path):
    (tmp_path / "lost+found").mkdir()
    (tmp_path / ".snapshot").mkdir()
    check_output(str(tmp_path), overwrite=False)


@pytest.mark.parametrize("name", ["run.json", "run.json.partial"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"laps": 3}', "damaged, or not a run.json of a training: no 'format_version' in it"),
        ('{"format_version": 1, "opt', "not JSON: .*; choose another --output, or move that file"),
        ('{"format_version": 1, "options": 3, "dataset": {}}', "damaged, or not a run.json"),
    ],
)
def test_a_run_that_is_not_ours_is_never_replaced(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        check_output(str(tmp_path), overwrite=True)


def test_an_output_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(DataError, match="run: not a directory"):
        check_output(str(tmp_path / "run"), overwrite=True)


def test_a_run_killed_while_it_wrote_its_first_file_may_be_written_over(tmp_path):
    (tmp_path / "run.json.partial.tmp").write_text("{")
    check_output(str(tmp_path), overwrite=False)


def is_trained_by(config, fingerprint):
    """Whether the run is there, if what the options leave open resolves as for embedding."""
    given = {name: value for name, value in vars(config).items() if value is not None}
    return is_trained(config, Settings(**given), fingerprint)


def write_trained(directory, **options):
    asked = Config(data=("prepared",), output=str(directory), **options).to_json()
    resolved = {
        "representation": "embedding",
        "strategy": "mirrored",
        "jit_compile": "on",
        "devices": ["CPU:0", "CPU:1"],
    }
    content = {**CONTENT, "options": {**asked, **resolved, "replicas": 2}}
    content["asked"] = {name: asked[name] for name in resolved}
    directory.mkdir()
    begin_run(str(directory), content)
    complete_run(str(directory))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"keep": 7, "resume": "must", "checkpoint_every": Interval(steps=5)},
        # Options may be requested as they were resolved then.
        {"representation": "embedding", "devices": ("CPU:0", "CPU:1")},
        {"strategy": "auto", "jit_compile": "on"},
    ],
)
def test_a_complete_run_is_known_again(tmp_path, options):
    write_trained(tmp_path / "run", units=(4, 3), jit_compile="auto")
    config = Config(data=("elsewhere",), output=str(tmp_path / "run"), units=(4, 3), **options)
    assert is_trained_by(config, FINGERPRINT)
    assert not is_trained_by(replace(config, output=str(tmp_path / "other")), FINGERPRINT)


@pytest.mark.parametrize(
    ("options", "fingerprint", "message"),
    [
        (
            {"epochs": 8},
            FINGERPRINT,
            "--epochs not given, now 8. Choose another",
        ),
        ({"epochs": 3}, FINGERPRINT, "--epochs not given, now 3. "),
        ({"units": (5, 3)}, FINGERPRINT, "--units 4,3, now 5,3. "),
        ({"devices": ("CPU:1",)}, FINGERPRINT, "--devices not given, now CPU:1. "),
        ({"strategy": "none", "seed": 2}, FINGERPRINT, "--strategy auto, now none; --seed 0, now"),
        ({}, "cd" * 32, "the dataset of fingerprint abababababababab…, now cdcdcdcdcdcdcdcd…. "),
    ],
)
def test_another_complete_run_is_refused_by_its_differences(
    tmp_path, options, fingerprint, message
):
    write_trained(tmp_path / "run", units=(4, 3))
    config = Config(
        data=("prepared",), output=str(tmp_path / "run"), **{"units": (4, 3), **options}
    )
    with pytest.raises(DataError) as raised:
        is_trained_by(config, fingerprint)
    assert f"run already holds a run, but not this one: {message}" in str(raised.value)


def test_an_option_newer_than_a_run_had_its_default_then(tmp_path):
    write_trained(tmp_path / "run")
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    del content["options"]["early_stop"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(content))
    config = Config(data=("prepared",), output=str(tmp_path / "run"))
    assert is_trained_by(config, FINGERPRINT)
    with pytest.raises(DataError, match="--early-stop 0, now 2"):
        is_trained_by(replace(config, early_stop=2), FINGERPRINT)


def content_of(units=(4, 3), fingerprint="ab" * 32, tensorflow="2.21.0", **options):
    config = Config(data=("prepared",), output="run", units=units, **options)
    return {
        "options": config.to_json(),
        "dataset": {"fingerprint": fingerprint},
        "versions": {"python": "3.11.7", "tensorflow": tensorflow, "keras": "3.12.0"},
        "machine": {"threads": "2", "XLA_FLAGS": ""},
    }


def write_unfinished(directory, **options):
    begin_run(str(directory), content_of(**options))
    (directory / "checkpoints").mkdir()


@pytest.mark.parametrize(
    "options", [{}, {"epochs": 9, "early_stop": 2, "keep": 1, "data": "moved"}]
)
def test_an_unfinished_run_resumes(tmp_path, options):
    write_unfinished(tmp_path)
    content = content_of()
    content["options"] |= options
    assert resume_differences(content_of(), content) == []
    check_resumable(str(tmp_path), "required")
    assert can_resume(str(tmp_path), content, "auto", overwrite=False)
    assert not can_resume(str(tmp_path), content, "never", overwrite=False)


@pytest.mark.parametrize(
    ("then", "now", "differences"),
    [
        ({}, {"units": (5,)}, ["--units 4,3, now 5"]),
        ({}, {"clip_norm": 1.0}, ["--clip-norm not given, now 1.0"]),
        (
            {"schedule": "cosine", "epochs": 5},
            {"schedule": "cosine", "epochs": 9},
            ["--epochs 5, now 9"],
        ),
        (
            {},
            {"fingerprint": "cd" * 32},
            ["the dataset of fingerprint abababababababab…, now cdcdcdcdcdcdcdcd…"],
        ),
    ],
)
def test_an_unfinished_run_of_other_options_does_not_resume(tmp_path, then, now, differences):
    assert resume_differences(content_of(**then), content_of(**now)) == differences
    write_unfinished(tmp_path, **then)
    for resume, overwrite in (
        *(("auto", False), ("required", False), ("required", True)),
        *(("must", False), ("must", True)),
    ):
        with pytest.raises(DataError, match="holds an unfinished run with "):
            can_resume(str(tmp_path), content_of(**now), resume, overwrite)
    assert not can_resume(str(tmp_path), content_of(**now), "auto", overwrite=True)


def test_a_run_without_a_checkpoint_does_not_resume(tmp_path):
    begin_run(str(tmp_path), content_of())
    assert not can_resume(str(tmp_path), content_of(), "auto", overwrite=False)
    with pytest.raises(DataError, match="no unfinished run with a checkpoint, but --resume must"):
        check_resumable(str(tmp_path), "must")


def test_a_run_that_resumes_with_other_versions_or_machine_gets_a_warning(tmp_path):
    write_unfinished(tmp_path)
    assert reproducibility_warning(str(tmp_path), content_of()) is None
    other = content_of(tensorflow="2.22.0")
    other["machine"] = {"threads": "3", "XLA_FLAGS": "--xla_cpu_max_isa=AVX"}
    other["versions"]["python"] = "3.12.1"
    assert reproducibility_warning(str(tmp_path), other) == (
        f"note: {tmp_path} was begun with tensorflow 2.21.0, now 2.22.0; threads 2, now 3; "
        "XLA_FLAGS not set, now --xla_cpu_max_isa=AVX: it goes on, but may end with other bits "
        "than if all were the same"
    )


def test_a_run_of_an_earlier_version_says_nothing_of_its_machine(tmp_path):
    content = content_of()
    del content["machine"]
    begin_run(str(tmp_path), content)
    assert reproducibility_warning(str(tmp_path), content_of()) is None


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        ("units", [32, 16], "--units 32,16"),
        ("clip_norm", None, "--clip-norm not given"),
        ("devices", [], "--devices not given"),
        ("early_stop", 0, "--early-stop 0"),
    ],
)
def test_an_option_is_shown_as_on_a_command_line(name, value, flag):
    assert format_flag(name, value) == flag


def test_a_batch_that_is_cut_to_the_rows_resumes_what_an_earlier_version_filled_up():
    earlier, now = content_of(batch_size=512), content_of(batch_size=467)
    now["asked"] = {"batch_size": 512}
    assert resume_differences(earlier, now) == []
    assert resume_differences(now, now) == []
    # Another request, cut to the same rows, is the same run.
    assert resume_differences({**now, "asked": {"batch_size": 600}}, now) == []
    assert resume_differences(content_of(batch_size=256), now) == ["--batch-size 256, now 467"]


def test_mirrored_on_one_device_resumes_as_what_it_is():
    earlier, now = content_of(strategy="mirrored"), content_of(strategy="none")
    for content in (earlier, now):
        content["options"]["replicas"] = 1
    assert resume_differences(earlier, now) == []
    earlier["options"]["replicas"] = 2
    assert "--strategy mirrored, now none" in resume_differences(earlier, now)


@pytest.mark.parametrize(
    ("device", "jit_compile", "differences"),
    [
        ("CPU:0", "on", []),
        ("GPU:0", "on", ["--strategy none, now multi_worker", "--replicas 1, now 3"]),
        ("CPU:0", "off", ["--strategy none, now multi_worker", "--replicas 1, now 3"]),
    ],
)
def test_a_run_goes_on_with_other_workers_where_its_bits_are_the_same(
    device, jit_compile, differences
):
    earlier, now = content_of(strategy="none"), content_of(strategy="multi_worker")
    for content, replicas in ((earlier, 1), (now, 3)):
        content["options"] |= {
            "replicas": replicas,
            "devices": [device],
            "jit_compile": jit_compile,
        }
    assert resume_differences(earlier, now) == differences
