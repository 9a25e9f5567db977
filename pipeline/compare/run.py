"""A comparison from start to end: both profiles, a table, the files and the limits."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from apache_beam.io.filesystems import FileSystems

from charseq.errors import ChangedData, DataError, UsageError
from charseq.manifest import MANIFEST_FILE, Manifest
from charseq.models.runs import RUN_MODEL
from charseq.models.saved_model import DATASET_ASSET, POINTER_FILE
from pipeline.compare.comparison import PAGE_FILE, RESULT_FILE, Comparison
from pipeline.compare.limits import DEFAULT, find_unknown
from pipeline.compare.options import CompareOptions
from pipeline.compare.profile import Named, profile_of_dataset
from pipeline.compare.read_first import read_first
from pipeline.compare.rows import build, read_profile, rules_like
from pipeline.manifests.read import read_manifest
from pipeline.rows.sources import find_nonempty_sources
from pipeline.runtime.filesystems import delete_files, is_local, open_file, write_text
from pipeline.runtime.job import Job, new_job, report_job


def compare(options: CompareOptions, beam_flags: Sequence[str]) -> None:
    """Compare, print a table, and write the files that are asked for.

    Raises:
        UsageError: a flag is neither ours nor Beam's, or is not what the runner needs.
        DataError: something cannot be read, or a file of somebody else is in the way.
        ChangedData: a change is beyond a limit.
    """
    paths = (options.first, options.second, *([options.output] if options.output else []))
    job = new_job(beam_flags, paths)
    check_second(options)
    if options.output is not None:
        _open_output(options.output)
    first = read_first(options.first)
    comparison = Comparison(
        first=profile_of_dataset(first.manifest, options.split, first.name),
        second=_second_profile(first.manifest, options, job),
        alphabet=first.manifest.alphabet,
        limits=options.limits,
    )
    print(comparison.format())
    if options.output is not None:
        write_comparison(comparison, options.output)
        print(f"report: {FileSystems.join(options.output, PAGE_FILE)}")
    _check_limits(comparison, options)


def _check_limits(comparison: Comparison, options: CompareOptions) -> None:
    """Check the changes against the limits of --fail-if.

    Raises:
        DataError: the change of a measure that --fail-if names is not known.
        ChangedData: a change is beyond a limit.
    """
    unknown = ", ".join(find_unknown(comparison.changes, options.limits))
    if unknown and options.fail_if == DEFAULT:
        print(f"note: not known, and without a limit: {unknown}")
    elif unknown:
        raise DataError(
            f"--fail-if: the change of {unknown} is not known: labels and duplicates need "
            "--label-column, and characters a dataset of this version"
        )
    if exceeded := comparison.exceeded:
        named = ", ".join(f"{name} > {limit:g}" for name, limit in exceeded.items())
        raise ChangedData(f"{options.second} has changed beyond the limits of --fail-if: {named}")


def _second_profile(first: Manifest, options: CompareOptions, job: Job) -> Named:
    """Return the profile of the second, a dataset or files.

    Raises:
        DataError: it cannot be read.
    """
    if FileSystems.exists(FileSystems.join(options.second, MANIFEST_FILE)):
        manifest = read_manifest(options.second)
        return profile_of_dataset(manifest, options.other_split or options.split, options.second)
    sources = find_nonempty_sources(options.input_options)
    rules = rules_like(first, options.label_column)
    with _scratch_directory(job, options.output) as scratch:
        path = FileSystems.join(scratch, f"profile-{uuid.uuid4().hex}.json")
        sizes = [source.bytes for source in sources]
        with report_job(job, "counting", sizes, first_stage="counting"):
            build(job.pipeline, sources, rules, options.input_options, path)
            job.pipeline.run().wait_until_finish()
        with open_file(path) as file:
            profile = read_profile(file.read())
        delete_files([path])
    if not profile.rows:
        raise DataError(f"{options.second}: no row to compare")
    return Named(options.second, profile)


@contextmanager
def _scratch_directory(job: Job, output: str | None) -> Iterator[str]:
    """Yield a directory that the workers of a job can write to.

    Raises:
        UsageError: there is none.
    """
    if output is not None:
        yield output
    elif job.is_local:
        with tempfile.TemporaryDirectory() as directory:
            yield directory
    else:
        raise UsageError(f"--output: is missing: {job.runner} needs a place for its result")


def check_second(options: CompareOptions) -> None:
    """Check that the second is a dataset or files, with the options of its kind.

    Raises:
        UsageError: --other-split is there for files.
        DataError: it is a model.
    """
    for name in (DATASET_ASSET, f"{RUN_MODEL}/{DATASET_ASSET}", POINTER_FILE):
        if FileSystems.exists(FileSystems.join(options.second, name)):
            raise DataError(
                f"{options.second} is a model: it can be the first, and the second is a dataset or "
                "files of rows"
            )
    is_dataset = FileSystems.exists(FileSystems.join(options.second, MANIFEST_FILE))
    if options.other_split is not None and not is_dataset:
        raise UsageError(f"--other-split: {options.second} is no dataset, and files have no splits")


def _open_output(output: str) -> None:
    """Make the directory to write to, and check that only a comparison is replaced there.

    Raises:
        DataError: it cannot be made, is a dataset, or has files of those names that are others.
    """
    if is_local(output):
        try:
            os.makedirs(output, exist_ok=True)
        except OSError as error:
            raise DataError(f"--output {output}: {error.strerror}") from error
    page, result, manifest = (
        FileSystems.join(output, name) for name in (PAGE_FILE, RESULT_FILE, MANIFEST_FILE)
    )
    if FileSystems.exists(manifest):
        raise DataError(f"--output {output}: it is a dataset; choose another directory")
    if FileSystems.exists(result):
        with open_file(result) as file:
            is_ours = b'"changes"' in file.read()
    else:
        is_ours = not FileSystems.exists(page)
    if not is_ours:
        raise DataError(
            f"--output {output}: its {PAGE_FILE} or {RESULT_FILE} is not of a comparison; choose "
            "another directory"
        )


def write_comparison(comparison: Comparison, output: str) -> None:
    """Write `compare.json` and `compare.html` into a directory."""
    for name, text in comparison.to_files().items():
        write_text(FileSystems.join(output, name), text)
