"""Beam's Prism, a runner that is a program of its own, which Beam would download by itself."""

from __future__ import annotations

import os
import shutil

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    PipelineOptions,
    PortableOptions,
    PrismRunnerOptions,
    StandardOptions,
)

from charseq.errors import UsageError

PROGRAM = "github.com/apache/beam/sdks/v2/go/cmd/prism"


def build_command() -> str:
    """Return the command that builds Prism in the version of Beam, in $GOBIN or ~/go/bin."""
    return f"go install {PROGRAM}@v{beam.__version__}"


def find_prism(options: PipelineOptions) -> None:
    """Name the Prism of the PATH where its runner is to run and no flag says where it is.

    Raises:
        UsageError: it is not where the flag says, or nowhere.
    """
    runner = str(options.view_as(StandardOptions).runner).rpartition(".")[2].lower()
    prism = options.view_as(PrismRunnerOptions)
    # With a job server of the user's own, Beam starts none.
    if runner not in ("prism", "prismrunner") or options.view_as(PortableOptions).job_endpoint:
        return
    given, found = prism.prism_location, shutil.which("prism")
    if given is not None and not os.path.isfile(given):
        raise UsageError(
            f"--prism_location: {given} is no file, and charseq downloads none; build Prism with "
            f"`{build_command()}`"
        )
    if given is None and found is None:
        raise UsageError(
            f"--runner=PrismRunner: prism is not on the PATH; build it with `{build_command()}`, "
            "or say where it is with --prism_location"
        )
    prism.prism_location = given or found
