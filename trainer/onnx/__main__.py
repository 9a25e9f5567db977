"""python -m trainer.onnx: a trained model for other runtimes than TensorFlow."""

from __future__ import annotations

from charseq.process.signals import watch_signals

if __name__ == "__main__":
    watch_signals()  # Before the other imports, which take a moment.

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from charseq.cli import exit_status, heavy_imports
from charseq.console.terminal import escape_terminal
from charseq.errors import DataError
from charseq.files import damage_as_data_error, read_json_object
from charseq.flags import flag, make_parser, parse, validate
from charseq.models.saved_model import ENTRY_FILE, SAVED_MODEL_FILE
from charseq.process.machine import format_bytes
from trainer.addresses import check_data, check_local
from trainer.config import DATA_HELP
from trainer.onnx.files import FILES, MODEL_FILE, check_free
from trainer.run_dataset import open_run_dataset
from trainer.run_directory import read_run

_LIBRARIES = ("onnx", "onnxruntime")
_SHOWN_WIDTH = 200


@dataclass(frozen=True)
class ExportOptions:
    """The model, and where and how to write it.

    Raises:
        UsageError: a path is not of this machine.
    """

    model: str = flag("run directory of python -m trainer", metavar="RUN", is_path=True)
    output: str = flag("new directory to write", metavar="DIR", is_path=True)
    format: str = flag("what to write", default="onnx", choices=("onnx",))
    data: tuple[str, ...] = flag(
        f"{DATA_HELP}, to check the export with (default: where it was in the training)",
        default=(),
        metavar="DIR",
        is_path=True,
    )

    def __post_init__(self) -> None:
        check_data(self.data)
        check_local("--model", self.model)
        check_local("--output", self.output)
        validate(self)


def parse_command_line(argv: Sequence[str] | None) -> ExportOptions:
    """Return the options of `python -m trainer.onnx`.

    Raises:
        UsageError, SystemExit: as `charseq.flags.parse`.
    """
    parser = make_parser(
        ExportOptions,
        prog="python -m trainer.onnx",
        description=f"Write the model of a run as {', '.join(FILES)}: what turns text into ids "
        "and ids into the probabilities of the labels, without TensorFlow. It is checked with "
        "every row of the dataset's parity.jsonl before the directory appears.",
        epilog="Exit status: 0 done, 1 the run or the data cannot be used, 2 the command line is "
        "wrong.",
    )
    return parse(ExportOptions, parser, argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Export as the command line says; return the exit status."""
    return exit_status(lambda: _run(parse_command_line(argv)))


def _run(options: ExportOptions) -> None:
    _check_libraries()
    _check_not_saved_model(options.model)
    run = read_run(options.model)
    check_free(options.output)
    why = "and its rows check the export"
    with open_run_dataset(options.model, options.data, why) as dataset:
        with heavy_imports():
            from trainer.onnx.export import export
        exported = export(run, dataset, options.output)
    print(
        f"{os.path.join(options.output, MODEL_FILE)}: {format_bytes(exported.bytes)}; its "
        f"probabilities of {exported.rows} rows of parity.jsonl are the model's, but for "
        f"{exported.difference:.1g}"
    )


def _check_libraries() -> None:
    """Check that what only this command needs is installed.

    Raises:
        DataError: it is not.
    """
    if missing := [name for name in _LIBRARIES if find_spec(name) is None]:
        raise DataError(f"--format onnx needs {' and '.join(missing)}: pip install 'charseq[onnx]'")


def _check_not_saved_model(directory: str) -> None:
    """Check that a directory is not a SavedModel, such as a version of a registry.

    Raises:
        DataError: it is; the message names its run, if the registry knows it.
    """
    if not os.path.exists(os.path.join(directory, SAVED_MODEL_FILE)):
        return
    run, entry = "that it was exported from", os.path.join(directory, ENTRY_FILE)
    if os.path.exists(entry):
        with damage_as_data_error(entry, "an entry of a registry"):
            run = escape_terminal(str(read_json_object(entry)["run"]["directory"]), _SHOWN_WIDTH)
    raise DataError(
        f"{directory}: a SavedModel, of which no other format can be made: give the run {run}"
    )


if __name__ == "__main__":
    sys.exit(main())
