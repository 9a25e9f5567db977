"""The lineage of a model as a chain of hashes, from its input files to its registry entry.

A version of a registry is a SavedModel. Its `assets/` hold the `dataset.json` and the `run.json`
that it comes from, and its `assets.extra/entry.json` holds the hashes of all of them:

    input files → dataset → run.json → SavedModel → entry
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from charseq.chain import fingerprint_of
from charseq.console.terminal import escape_terminal
from charseq.errors import DataError
from charseq.files import damage_as_data_error, read_json_object, seal, sha256_of_file
from charseq.manifest import SEAL_KEY
from charseq.models.saved_model import DATASET_ASSET, ENTRY_FILE, EXTRA_DIR, RUN_ASSET
from trainer.run_checks import format_flag

ENTRY_SEAL_KEY = "entry_sha256"
_SHOWN_INPUTS = 20
_SHOWN_WIDTH = 200


@dataclass(frozen=True)
class Link:
    """A link of the chain. lines: its description. problems: how it is broken; () if it holds."""

    name: str
    lines: tuple[str, ...]
    problems: tuple[str, ...]


def read_model_json(saved_model: str, name: str) -> dict[str, Any]:
    """Read a JSON file that a SavedModel carries, such as `RUN_ASSET`.

    Raises:
        DataError: it does not exist, or is not a JSON object.
    """
    path = os.path.join(saved_model, name)
    if not os.path.exists(path):
        raise DataError(f"{path}: no such file; this version of charseq exports models with one")
    return read_json_object(path)


def read_model_dataset(saved_model: str) -> dict[str, Any]:
    """Read the `dataset.json` that a SavedModel was trained on.

    Raises:
        DataError: it does not exist, or has no labels, alphabet or length.
    """
    content = read_model_json(saved_model, DATASET_ASSET)
    with damage_as_data_error(os.path.join(saved_model, DATASET_ASSET), "a dataset.json"):
        list(content["labels"]), list(content["alphabet"]), int(content["max_length"])
    return content


def sha256_of_files(saved_model: str) -> dict[str, str]:
    """Return the SHA-256 of each file of a SavedModel outside `assets.extra/`, sorted by path.

    Raises:
        DataError: there is a link or a device in it, which is not followed or read.
    """
    paths = [os.path.relpath(path, saved_model) for path in _walk(saved_model)]
    return {
        path: sha256_of_file(os.path.join(saved_model, path))
        for path in sorted(paths)
        if not path.startswith(f"{EXTRA_DIR}/")
    }


def _walk(directory: str) -> Iterator[str]:
    """Yield the files below a directory.

    Raises:
        DataError: as `sha256_of_files`.
    """
    check_no_link(directory)
    for folder, folders, names in os.walk(directory):
        for name in folders:
            check_no_link(os.path.join(folder, name))
        for name in names:
            path = os.path.join(folder, name)
            check_no_link(path)
            if not os.path.isfile(path):
                raise DataError(f"{path}: not a file")
            yield path


def check_no_link(path: str) -> None:
    """Check that a path is not a link: what it leads to may be another user's.

    Raises:
        DataError: it is.
    """
    if os.path.islink(path):
        raise DataError(
            f"{path}: a link, and links of a model or a registry are not followed: replace it by "
            "what it leads to, or remove it"
        )


def sha256_of_tree(files: Mapping[str, str]) -> str:
    """Return the SHA-256 of the lines that `sha256sum ./PATH …` prints for `files`."""
    lines = (f"{digest}  ./{path}\n" for path, digest in files.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check_lineage(version: str) -> None:
    """Check that the chain of a version holds.

    Raises:
        DataError: it does not; the message says where.
    """
    problems = [problem for link in read_lineage(version) for problem in link.problems]
    if problems:
        raise DataError(f"{version}: {'; '.join(problems)}")


def read_lineage(version: str) -> list[Link]:
    """Return the chain of a version, from the input files to its entry; all hashes are recomputed.

    Raises:
        DataError: a file of it is missing, or cannot be read.
    """
    entry = read_model_json(version, ENTRY_FILE)
    dataset, run = read_model_json(version, DATASET_ASSET), read_model_json(version, RUN_ASSET)
    try:
        return [
            _inputs_link(dataset),
            _dataset_link(dataset, run, entry),
            _run_link(sha256_of_file(os.path.join(version, RUN_ASSET)), run, entry),
            _saved_model_link(sha256_of_files(version), entry),
            _entry_link(entry),
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{version}: its files are not of a version: {error!r}") from error


def _inputs_link(dataset: Mapping[str, Any]) -> Link:
    inputs = dataset["inputs"]
    lines = [
        f"{escape_terminal(file['path'], _SHOWN_WIDTH)}  {file['bytes']:,} bytes  "
        f"{file.get('identity', 'identity not known: prepared by an older version')}"
        for file in inputs[:_SHOWN_INPUTS]
    ]
    if len(inputs) > _SHOWN_INPUTS:
        lines.append(f"{len(inputs) - _SHOWN_INPUTS:,} more, in {DATASET_ASSET}")
    problems = _mismatch(
        f"{DATASET_ASSET}: its own SHA-256", seal(dataset, SEAL_KEY), dataset.get(SEAL_KEY)
    )
    return Link(f"input files, as {DATASET_ASSET} names them", tuple(lines), problems)


def _dataset_link(
    dataset: Mapping[str, Any], run: Mapping[str, Any], entry: Mapping[str, Any]
) -> Link:
    got, expected = dataset["fingerprint"], entry["dataset"]["fingerprint"]
    problems = _mismatch(f"{DATASET_ASSET}: the fingerprint", got, expected)
    lines = [f"fingerprint {got}"]
    if fingerprints := run["dataset"].get("fingerprints"):
        lines += [f"of the dataset of fingerprint {fingerprint}" for fingerprint in fingerprints]
        problems += _mismatch(
            f"{RUN_ASSET}: the fingerprint of its datasets", fingerprint_of(fingerprints), got
        )
    return Link("dataset", tuple(lines), problems)


def _run_link(digest: str, run: Mapping[str, Any], entry: Mapping[str, Any]) -> Link:
    problems = (
        *_mismatch(f"{RUN_ASSET}: the SHA-256", digest, entry["run"]["sha256"]),
        *_mismatch(
            f"{RUN_ASSET}: the fingerprint of the dataset",
            run["dataset"]["fingerprint"],
            entry["dataset"]["fingerprint"],
        ),
    )
    flags = " ".join(
        format_flag(name, value)
        for name, value in run["options"].items()
        if name != "replicas" and value not in (None, False, [])
    )
    lines = [f"sha256:{digest}", flags]
    if "parent" in run:
        lines.append(f"began with the weights of sha256:{run['parent']['run_json_sha256']}")
    if "excluded" in run:
        lines.append(
            f"without {run['excluded']['rows']:,} rows, of the sequences in the --exclude file of "
            f"sha256:{run['excluded']['sha256']}"
        )
    return Link("run.json", tuple(lines), problems)


def _saved_model_link(files: Mapping[str, str], entry: Mapping[str, Any]) -> Link:
    expected = entry["saved_model"]["files"]
    changed = (
        _mismatch(f"{path}: the SHA-256", files[path], expected[path])
        for path in files
        if path in expected
    )
    problems = (
        *(f"{path}: the file is missing" for path in expected if path not in files),
        *(f"{path}: not a file of this version" for path in files if path not in expected),
        *(problem for problems in changed for problem in problems),
        *_mismatch(
            f"{ENTRY_FILE}: the SHA-256 of its files",
            sha256_of_tree(expected),
            entry["saved_model"]["sha256"],
        ),
    )
    line = f"sha256:{sha256_of_tree(files)} of {len(files)} files"
    return Link("SavedModel", (line,), problems)


def _entry_link(entry: Mapping[str, Any]) -> Link:
    digest = seal(entry, ENTRY_SEAL_KEY)
    evaluation = entry["evaluation"]
    metric, candidate = evaluation["metric"], evaluation["candidate"]
    scores = f"{metric} {candidate[metric]:.6f}"
    if evaluation["previous"]:
        scores += f", {entry['previous']} had {evaluation['previous'][metric]:.6f}"
    if excluded := evaluation.get("excluded"):
        scores += f", without the rows of the --exclude file of sha256:{excluded['sha256']}"
    lines = (
        f"sha256:{digest}",
        f"promoted {entry['promoted']} from {entry['run']['directory']}",
        f"{scores}, on {candidate['rows']:,} rows of {evaluation['split']} of "
        f"{evaluation['data']}, fingerprint {evaluation['fingerprint']}",
    )
    problems = _mismatch(f"{ENTRY_FILE}: its own SHA-256", digest, entry.get(ENTRY_SEAL_KEY))
    return Link("entry", lines, problems)


def _mismatch(name: str, got: object, expected: object) -> tuple[str, ...]:
    """Return the problem that two values differ, or none."""
    return () if got == expected else (f"{name} is {got}, expected {expected}",)
