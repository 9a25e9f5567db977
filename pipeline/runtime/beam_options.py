"""The flags that are Beam's, as Beam's options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    SetupOptions,
    StandardOptions,
    TypeOptions,
)

from charseq.errors import UsageError

_LOCAL_RUNNER = "FnApiRunner"


def to_beam_options(flags: Sequence[str]) -> PipelineOptions:
    """Return Beam's options, with Beam's in-process runner by name where no runner is set.

    Beam's file systems use these options from now on.

    Raises:
        UsageError: the runner is local and Beam does not know a flag; or the running mode is one
            that loses rows.
    """
    options = PipelineOptions(list(flags))
    standard = options.view_as(StandardOptions)
    if standard.runner is None:
        standard.runner = _LOCAL_RUNNER
    if options.view_as(DirectOptions).direct_running_mode == "multi_threading":
        raise UsageError(
            "--direct_running_mode=multi_threading loses rows now and then (Beam 2.77); leave it "
            "out: one process works in threads by itself"
        )
    # Workers import the project; nothing of the main session needs to travel.
    options.view_as(SetupOptions).save_main_session = False
    # The graph is the same in every run: checking its types takes half a second and finds nothing.
    options.view_as(TypeOptions).pipeline_type_check = False
    if runs_here(options) and (unknown := unknown_to_beam(flags)):
        raise UsageError(f"unknown flag {unknown[0]}; --help lists the flags, the rest are Beam's")
    FileSystems.set_options(options)
    return options


def runs_here(options: PipelineOptions) -> bool:
    """Return whether the runner is one of this machine."""
    return options.view_as(StandardOptions).runner in StandardOptions.LOCAL_RUNNERS


def unknown_to_beam(flags: Sequence[str]) -> list[str]:
    """Return those of the flags that no options of Beam define."""
    parser = argparse.ArgumentParser(allow_abbrev=False, conflict_handler="resolve", add_help=False)
    for kind in PipelineOptions.__subclasses__():
        kind._add_argparse_args(parser)
    return parser.parse_known_args(list(flags))[1]
