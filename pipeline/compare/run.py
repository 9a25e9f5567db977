"""A comparison from start to end: both profiles, a table, the files and the limits."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from apache_beam.io.filesystems import FileSystems

from charseq.errors import ChangedData, DataError, UsageError
from charseq.manifest import MANIFEST_FILE, Manifest
from pipeline.compare.comparison import PAGE_FILE, RESULT_FILE, Comparison
from pipeline.compare.options import CompareOptions
from pipeline.compare.profile import Named, profile_of_dataset
from pipeline.compare.read_first import read_first
from pipeline.compare.rows import build, read_profile, rules_like
from pipeline.dataset.read_manifest import read_manifest
from pipeline.rows.sources import find_nonempty_sources
from pipeline.runtime.filesystems import delete_files, open_file, write_text
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
    if options.output is not None:
        _check_output(options.output)
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


def _check_output(output: str) -> None:
    """Check that the files to write are not in the way of others.

    Raises:
        DataError: there is a page that no comparison wrote.
    """
    page, result = (FileSystems.join(output, name) for name in (PAGE_FILE, RESULT_FILE))
    if FileSystems.exists(page) and not FileSystems.exists(result):
        raise DataError(
            f"{page} is there already, and not of a comparison: choose another --output"
        )


def write_comparison(comparison: Comparison, output: str) -> None:
    """Write `compare.html` and `compare.json` into a directory."""
    for name, text in comparison.to_files().items():
        write_text(FileSystems.join(output, name), text)
