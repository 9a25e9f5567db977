"""One chain of hashes: input files → dataset → run.json → SavedModel → entry of a registry.

A version of a registry is a SavedModel whose `assets/` hold the `dataset.json` and the `run.json`
that it comes from, and whose `assets.extra/entry.json` holds the hashes of all of them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from charseq.errors import DataError
from charseq.html.escape import escape_terminal
from trainer.data.manifest import MANIFEST_FILE
from trainer.run_directory import RUN_FILE

# Where a SavedModel has room for files of its owner, which a server neither reads nor minds.
EXTRA = "assets.extra"
ENTRY_FILE = f"{EXTRA}/entry.json"
DATASET_ASSET = f"assets/{MANIFEST_FILE}"
RUN_ASSET = f"assets/{RUN_FILE}"
_CHUNK = 1 << 20
_SHOWN_INPUTS = 20
_SHOWN_WIDTH = 200


@dataclass(frozen=True)
class Link:
    """One link of the chain: what it is, line by line, and how it is broken; () if it holds."""

    name: str
    lines: tuple[str, ...]
    problems: tuple[str, ...]


def sha256_of_file(path: str) -> str:
    """SHA-256 of a file, as `sha256sum` prints it."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_of_files(saved_model: str) -> dict[str, str]:
    """SHA-256 of each file of a SavedModel but those in `assets.extra/`, by path, in order."""
    paths = [
        os.path.relpath(os.path.join(folder, name), saved_model)
        for folder, _, names in os.walk(saved_model)
        for name in names
    ]
    return {
        path: sha256_of_file(os.path.join(saved_model, path))
        for path in sorted(paths)
        if not path.startswith(f"{EXTRA}/")
    }


def sha256_of_tree(files: Mapping[str, str]) -> str:
    """Return the SHA-256 of the lines that `sha256sum ./PATH …` prints for `files`."""
    lines = (f"{digest}  ./{path}\n" for path, digest in files.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def seal(content: Mapping[str, Any], name: str) -> str:
    """SHA-256 over all of a JSON object but its key `name`, which holds it.

    That of `dataset.json` is `manifest_sha256`, that of an entry `entry_sha256`.
    """
    values = {key: value for key, value in content.items() if key != name}
    text = json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def read_part(version: str, name: str) -> dict[str, Any]:
    """One of the JSON files that a version holds.

    Raises:
        DataError: it is not there, or is no JSON object.
    """
    path = os.path.join(version, name)
    if not os.path.exists(path):
        raise DataError(f"{path}: no such file; this version of charseq exports models with one")
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: got {type(content).__name__}, expected a JSON object")
    return content


def links(version: str) -> list[Link]:
    """The chain of a version, from the input files to its entry, each link looked at anew.

    Raises:
        DataError: a part of it is not there, or cannot be read.
    """
    entry = read_part(version, ENTRY_FILE)
    dataset, run = read_part(version, DATASET_ASSET), read_part(version, RUN_ASSET)
    try:
        return [
            _inputs(dataset),
            _dataset(dataset, entry),
            _run(version, run, entry),
            _saved_model(version, entry),
            _entry(entry),
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{version}: its files are not of a version: {error!r}") from error


def check_lineage(version: str) -> None:
    """Look whether the chain of a version holds.

    Raises:
        DataError: it does not; the message says where.
    """
    problems = [problem for link in links(version) for problem in link.problems]
    if problems:
        raise DataError(f"{version}: {'; '.join(problems)}")


def _inputs(dataset: dict[str, Any]) -> Link:
    inputs = dataset["inputs"]
    lines = [
        f"{escape_terminal(one['path'], _SHOWN_WIDTH)}  {one['bytes']:,} bytes  "
        f"{one.get('identity', 'identity not known: prepared by an older version')}"
        for one in inputs[:_SHOWN_INPUTS]
    ]
    if len(inputs) > _SHOWN_INPUTS:
        lines.append(f"{len(inputs) - _SHOWN_INPUTS:,} more, in {DATASET_ASSET}")
    sealed = _differences(f"{DATASET_ASSET}: its own SHA-256", seal(dataset, "manifest_sha256"),
                          dataset.get("manifest_sha256"))  # fmt: skip
    return Link(f"input files, as {DATASET_ASSET} names them", tuple(lines), tuple(sealed))


def _dataset(dataset: dict[str, Any], entry: dict[str, Any]) -> Link:
    got, expected = dataset["fingerprint"], entry["dataset"]["fingerprint"]
    problems = _differences(f"{DATASET_ASSET}: the fingerprint", got, expected)
    return Link("dataset", (f"fingerprint {got}",), tuple(problems))


def _run(version: str, run: dict[str, Any], entry: dict[str, Any]) -> Link:
    digest = sha256_of_file(os.path.join(version, RUN_ASSET))
    problems = [
        *_differences(f"{RUN_ASSET}: the SHA-256", digest, entry["run"]["sha256"]),
        *_differences(f"{RUN_ASSET}: the fingerprint of the dataset",
                      run["dataset"]["fingerprint"], entry["dataset"]["fingerprint"]),
    ]  # fmt: skip
    flags = " ".join(
        f"--{name.replace('_', '-')} {_as_flag(value)}"
        for name, value in run["options"].items()
        if name != "replicas" and value not in (None, False, [])
    )
    return Link("run.json", (f"sha256:{digest}", flags), tuple(problems))


def _as_flag(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _saved_model(version: str, entry: dict[str, Any]) -> Link:
    found, expected = sha256_of_files(version), entry["saved_model"]["files"]
    problems = [
        *(f"{path}: the file is missing" for path in expected if path not in found),
        *(f"{path}: not a file of this version" for path in found if path not in expected),
        *(
            problem
            for path in found
            if path in expected
            for problem in _differences(f"{path}: the SHA-256", found[path], expected[path])
        ),
        *_differences(f"{ENTRY_FILE}: the SHA-256 of its files", sha256_of_tree(expected),
                      entry["saved_model"]["sha256"]),
    ]  # fmt: skip
    return Link(
        "SavedModel", (f"sha256:{sha256_of_tree(found)} of {len(found)} files",), tuple(problems)
    )


def _entry(entry: dict[str, Any]) -> Link:
    digest = seal(entry, "entry_sha256")
    problems = _differences(f"{ENTRY_FILE}: its own SHA-256", digest, entry.get("entry_sha256"))
    measured = entry["evaluation"]
    metric = measured["metric"]
    against = f"{metric} {measured['candidate'][metric]:.6f}"
    if measured["previous"]:
        against += f", {entry['previous']} had {measured['previous'][metric]:.6f}"
    lines = (
        f"sha256:{digest}",
        f"promoted {entry['promoted']} from {entry['run']['directory']}",
        f"{against}, on {measured['candidate']['rows']:,} rows of {measured['split']} of "
        f"{measured['data']}, fingerprint {measured['fingerprint']}",
    )
    return Link("entry", lines, tuple(problems))


def _differences(what: str, got: object, expected: object) -> Iterator[str]:
    if got != expected:
        yield f"{what} is {got}, expected {expected}"
