"""The flags that are Beam's, as Beam's options."""

from __future__ import annotations

import argparse
import difflib
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
from pipeline.runtime.prism import find_prism

_LOCAL_RUNNER = "FnApiRunner"
# These choose between Prism, which they download, and that one.
_CHOOSING_RUNNERS = ("DirectRunner", "SwitchingDirectRunner")
# Before a flag that no options of Beam define, such as one of a job server.
_UNCHECKED = "--beam-flag="


def to_beam_options(flags: Sequence[str], own_flags: Sequence[str] = ()) -> PipelineOptions:
    """Return Beam's options, with Beam's in-process runner by name where no other is set.

    Beam's file systems use these options from now on.

    Args:
        flags: all flags that are not the command's own.
        own_flags: the command's own, by which a misspelt one is explained.

    Raises:
        UsageError: Beam does not know a flag, and it does not stand behind `--beam-flag=`; or a
            number is out of range; or the running mode is one that loses rows; or Prism is to
            run and is not there.
    """
    _check_flags([flag for flag in flags if not flag.startswith(_UNCHECKED)], own_flags)
    options = PipelineOptions([flag.removeprefix(_UNCHECKED) for flag in flags])
    standard = options.view_as(StandardOptions)
    if standard.runner is None or standard.runner in _CHOOSING_RUNNERS:
        standard.runner = _LOCAL_RUNNER
    find_prism(options)
    if options.view_as(DirectOptions).direct_running_mode == "multi_threading":
        raise UsageError(
            "--direct_running_mode=multi_threading loses rows now and then (Beam 2.77); leave it "
            "out: one process works in threads by itself"
        )
    # Workers import the project; nothing of the main session needs to travel.
    options.view_as(SetupOptions).save_main_session = False
    # The graph is the same in every run: checking its types takes half a second and finds nothing.
    options.view_as(TypeOptions).pipeline_type_check = False
    FileSystems.set_options(options)
    return options


def runs_here(options: PipelineOptions) -> bool:
    """Return whether the runner is one of this machine."""
    return options.view_as(StandardOptions).runner in StandardOptions.LOCAL_RUNNERS


def unknown_to_beam(flags: Sequence[str]) -> list[str]:
    """Return those of the flags that no options of Beam define."""
    return _parser_of_all_options().parse_known_args(list(flags))[1]


def _parser_of_all_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False, conflict_handler="resolve", add_help=False)
    for kind in PipelineOptions.__subclasses__():
        kind._add_argparse_args(parser)
    return parser


def _check_flags(flags: Sequence[str], own_flags: Sequence[str]) -> None:
    """Check that Beam knows all flags, and that no number is negative without a meaning.

    Raises:
        UsageError: with the first reason that applies.
    """
    parser = _parser_of_all_options()
    values, unknown = parser.parse_known_args(list(flags))
    if unknown:
        known = [name for action in parser._actions for name in action.option_strings]
        raise UsageError(_explain_unknown(unknown[0], [*own_flags, *known]))
    for action in parser._actions:
        value = getattr(values, action.dest)
        if action.type is int and value is not None and value < 0 and value != action.default:
            raise UsageError(f"{action.option_strings[0]}: got {value}, expected 0 or more")


def _explain_unknown(argument: str, known: Sequence[str]) -> str:
    name, equals, _ = argument.partition("=")
    if not name.startswith("-"):
        return f"unknown argument {argument!r}; --help lists the flags, all others are Beam's"
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {nearest[0]}? --help" if nearest else "--help"
    whole = argument if equals else f"{name}=VALUE"
    return (
        f"unknown flag {name}; {hint} lists the flags, all others are Beam's, and what only its "
        f"runner knows is given as {_UNCHECKED}{whole}"
    )
