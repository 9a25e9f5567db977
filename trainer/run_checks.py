"""Checks before a training: whether a directory may be written to, is done already, or resumes."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from charseq.console.messages import shorten_value
from charseq.errors import DataError
from charseq.files import damage_as_data_error
from charseq.flags import flag_name
from charseq.models.saved_model import RUN_FILE
from trainer.config import RESUME_REQUIRED, Config
from trainer.owner import OWNER_NAMES
from trainer.parent import Parent
from trainer.replacement import replacement_directory
from trainer.run_directory import (
    CHECKPOINTS,
    PARTIAL_RUN_FILE,
    read_run_json,
    unfinished_run_file,
)
from trainer.settings import Settings

if TYPE_CHECKING:
    from charseq.exclusion import Excluded

# What a file system keeps in a directory of its own, and a run that was killed while it wrote the
# first of its files leaves: neither makes a directory one of another kind.
_NO_FILES = {"lost+found", ".snapshot", f"{PARTIAL_RUN_FILE}.tmp"}
# Options that do not change the result of a run; of the file of `exclude`, the content does.
_FREE_OPTIONS = {
    *(
        "data",
        "output",
        "exclude",
        "checkpoint_every",
        "keep",
        "resume",
        "overwrite",
        "trust_model",
    ),
}
# Options that do not change the weights after the epochs so far: an unfinished run may get others.
_FREE_WHILE_UNFINISHED = _FREE_OPTIONS | {"epochs", "early_stop"}


def check_output(directory: str, overwrite: bool) -> None:
    """Check that a run may be written to a directory: a new one, or that of an earlier run.

    Raises:
        DataError: it holds a complete run that must not be overwritten, files of another kind, or
            a damaged `run.json`.
    """
    if os.path.exists(directory) and not os.path.isdir(directory):
        raise DataError(f"{directory}: not a directory")
    names = set(os.listdir(directory)) if os.path.exists(directory) else set()
    if RUN_FILE in names:
        _check_is_run(os.path.join(directory, RUN_FILE))
        if not overwrite:
            raise DataError(
                f"{directory} already holds a run: choose another --output or give --overwrite"
            )
        _check_replacement(replacement_directory(directory))
    elif PARTIAL_RUN_FILE in names:
        _check_is_run(os.path.join(directory, PARTIAL_RUN_FILE))
    elif others := {name for name in names - _NO_FILES if not OWNER_NAMES.fullmatch(name)}:
        raise DataError(
            f"{directory} holds files that are not of a run, such as {min(others)}: "
            "choose another --output"
        )


def _check_replacement(directory: str) -> None:
    """Check that the run that replaces a complete one may be written to a directory below it."""
    if os.path.exists(os.path.join(directory, RUN_FILE)):
        raise DataError(
            f"{directory} is a run of its own, but the new run is to be written there: "
            "move it away, or choose another --output"
        )
    check_output(directory, overwrite=False)


def _check_is_run(path: str) -> None:
    """Check that a `run.json` is one of a training, so that what it describes may be replaced.

    Raises:
        DataError: it is not.
    """
    try:
        read_run_json(path)
    except DataError as error:
        raise DataError(f"{error}; choose another --output, or move that file away") from error


def is_trained(
    config: Config,
    settings: Settings,
    fingerprint: str,
    parent: Parent | None = None,
    excluded: Excluded | None = None,
) -> bool:
    """Return whether `config.output` holds the requested run, complete.

    Args:
        config: the requested options.
        settings: what they are resolved to on the dataset.
        fingerprint: of the dataset.
        parent: what the run goes on from.
        excluded: what is left out of the dataset.

    Raises:
        DataError: it holds another complete run.
    """
    path = os.path.join(config.output, RUN_FILE)
    if not os.path.exists(path):
        return False
    content = read_run_json(path)
    with damage_as_data_error(path, f"a {RUN_FILE} of a training"):
        check_existing_run(content, config, settings, fingerprint, parent, excluded)
    return True


def check_existing_run(
    content: Mapping[str, Any],
    config: Config,
    settings: Settings,
    fingerprint: str,
    parent: Parent | None = None,
    excluded: Excluded | None = None,
) -> None:
    """Check that a complete run has the requested options and dataset.

    An option such as `--devices` may be requested as it was then, or as what it resolved to then;
    and what is left open may resolve to what it was then.

    Args:
        content: of the run's `run.json`.
        config: the requested options.
        settings: what they are resolved to on the dataset.
        fingerprint: of the requested dataset.
        parent: what the requested run goes on from.
        excluded: what it leaves out of the dataset.

    Raises:
        DataError: it does not; the message names the differences.
    """
    now, requested, resolved = config.to_json(), content.get("asked", {}), content["options"]
    # An option that is newer than the run had its default then.
    then = {**Settings(data=(), output="").to_json(), **resolved}
    then |= {name: requested[name] for name in requested if now[name] != resolved[name]}
    chosen = settings.chosen()
    now |= {name: chosen[name] for name in chosen if now[name] is None and then[name] is not None}
    differences = [
        *_option_differences(then, now, _FREE_OPTIONS),
        *_parent_differences(content, parent.identity if parent else None),
        *_exclusion_differences(content, excluded.to_json() if excluded else None),
        *_dataset_differences(content["dataset"]["fingerprint"], fingerprint),
    ]
    if differences:
        raise DataError(
            f"{config.output} already holds a run, but not this one: {'; '.join(differences)}. "
            "Choose another --output, or replace it with --overwrite"
        )


def check_resumable(directory: str, resume: str) -> None:
    """Check that a directory holds an unfinished run with a checkpoint, as `resume` requires.

    Raises:
        DataError: it does not.
    """
    if not _is_unfinished(directory):
        raise DataError(f"{directory}: no unfinished run with a checkpoint, but --resume {resume}")


def can_resume(directory: str, content: Mapping[str, Any], resume: str, overwrite: bool) -> bool:
    """Return whether a run resumes from an unfinished one, rather than beginning anew.

    Args:
        directory: of the run.
        content: of the requested run's `run.json`.
        resume: auto, never, required or must, which is the same as required.
        overwrite: whether an unfinished run of other options is replaced.

    Raises:
        DataError: the unfinished run has other options or another dataset, and must not be
            overwritten.
    """
    if resume == "never" or not _is_unfinished(directory):
        return False
    path = unfinished_run_file(directory)
    unfinished = read_run_json(path)
    with damage_as_data_error(path, f"a {RUN_FILE} of a training"):
        differences = resume_differences(unfinished, content)
    if differences and overwrite and resume not in RESUME_REQUIRED:
        return False
    if differences:
        raise DataError(
            f"{directory} holds an unfinished run with {'; '.join(differences)}: give it the same "
            "again, or begin anew with --resume never"
        )
    return True


def _is_unfinished(directory: str) -> bool:
    has_checkpoints = os.path.isdir(os.path.join(directory, CHECKPOINTS))
    return has_checkpoints and os.path.exists(unfinished_run_file(directory))


def resume_differences(unfinished: Mapping[str, Any], content: Mapping[str, Any]) -> list[str]:
    """Return what keeps the run of `content` from resuming an unfinished one, a phrase each.

    Both are contents of a `run.json`.
    """
    then, now = unfinished, json.loads(json.dumps(content))  # JSON turns tuples into lists.
    # An option that is newer than the run had its default then.
    options = {**Settings(data=(), output="").to_json(), **then["options"]}
    if options.get("strategy") == "mirrored" and options.get("replicas") == 1:
        options = {**options, "strategy": "none"}  # As an earlier version called it.
    free = set(_FREE_WHILE_UNFINISHED)
    if now["options"]["schedule"] == "cosine":
        free.remove("epochs")  # The learning rate of each step depends on the number of all steps.
    if _requested_batch_size(then) == _requested_batch_size(now):
        # An earlier version filled a batch up that is cut to the rows now: the rows are the same.
        free.add("batch_size")
    if _is_exact(options) and _is_exact(now["options"]):
        free |= {"strategy", "devices", "replicas"}
    return [
        *_option_differences(options, now["options"], free),
        *_parent_differences(then, now.get("parent")),
        *_exclusion_differences(then, now.get("excluded")),
        *_dataset_differences(then["dataset"]["fingerprint"], now["dataset"]["fingerprint"]),
    ]


def _is_exact(options: Mapping[str, Any]) -> bool:
    """Return whether a run ends with the same bits on any number of replicas."""
    devices = options["devices"]
    on_cpus = bool(devices) and all(str(device).startswith("CPU") for device in devices)
    return on_cpus and options["jit_compile"] == "on"


def _requested_batch_size(content: Mapping[str, Any]) -> Any:
    return content.get("asked", {}).get("batch_size", content["options"]["batch_size"])


def reproducibility_warning(directory: str, content: Mapping[str, Any]) -> str | None:
    """Return a warning if an unfinished run would resume where it may compute other bits.

    A run of an earlier version does not say on what machine it began.
    """
    then, now = read_run_json(unfinished_run_file(directory)), content
    differences = [
        f"{name} {before or 'not set'}, now {now[part][name] or 'not set'}"
        for part in ("versions", "machine")
        for name, before in then.get(part, {}).items()
        if name != "python" and before != now[part].get(name, before)
    ]
    if not differences:
        return None
    return (
        f"note: {directory} was begun with {'; '.join(differences)}: it goes on, but may end with "
        "other bits than if all were the same"
    )


def format_flag(name: str, value: Any) -> str:
    """Return an option of a `run.json` as on a command line, such as `--units 32,32`."""
    if name == "data" and isinstance(value, list):
        return " ".join(f"{flag_name(name)} {each}" for each in value)
    return f"{flag_name(name)} {_format_value(value)}"


def _format_value(value: Any) -> str:
    if value is None or value == []:
        return "not given"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _option_differences(
    then: Mapping[str, Any], now: Mapping[str, Any], free: Collection[str]
) -> Iterator[str]:
    for name, value in now.items():
        if name not in free and then[name] != value:
            before, after = (shorten_value(_format_value(each)) for each in (then[name], value))
            yield f"{flag_name(name)} {before}, now {after}"


def _parent_differences(then: Mapping[str, Any], now: Mapping[str, str] | None) -> Iterator[str]:
    if "parent" in then and now and then["parent"] != now:
        yield "--from as it was then, which has changed since"


def _exclusion_differences(then: Mapping[str, Any], now: Mapping[str, Any] | None) -> Iterator[str]:
    before = then.get("excluded")
    if (before and before["sha256"]) != (now and now["sha256"]):
        yield f"{_describe_exclusion(before)}, now {_describe_exclusion(now)}"


def _describe_exclusion(excluded: Mapping[str, Any] | None) -> str:
    if not excluded:
        return "no --exclude"
    return f"an --exclude file of SHA-256 {excluded['sha256'][:16]}…"


def _dataset_differences(then: str, now: str) -> Iterator[str]:
    if then != now:
        yield f"the dataset of fingerprint {then[:16]}…, now {now[:16]}…"
