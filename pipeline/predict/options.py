"""The options of batch prediction, and the flags that set them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.options import FORMATS, Options


@dataclass(frozen=True)
class PredictOptions:
    """What is predicted, with which model, and where to; an `InputOptions` without labels."""

    model: str
    input: tuple[str, ...]
    output: str
    format: str = Options.format
    sequence_column: str = Options.sequence_column
    overwrite: bool = False

    @property
    def label_column(self) -> str | None:
        """None: no labels are read."""
        return None

    @property
    def label_from(self) -> str | None:
        """None: no labels are read."""
        return None


def parse_command_line(argv: Sequence[str] | None) -> tuple[PredictOptions, list[str]]:
    """The project's options, and every other flag, which is Beam's.

    Raises:
        SystemExit: argparse's own: --help, or a flag that cannot be read (status 2).
    """
    parsed, beam_flags = _parser().parse_known_args(argv)
    values = vars(parsed)
    return PredictOptions(**{**values, "input": tuple(values["input"])}), beam_flags


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.predict",
        allow_abbrev=False,
        description="Label character sequences with an exported model: text files in, a line of "
        "JSON for each row out.",
        epilog="Every other flag goes to Apache Beam as it is, for example --runner=FlinkRunner "
        "or --direct_num_workers=2. Exit status: 0 done, 1 the model or the input cannot be used "
        "or the run failed, 2 the command line is wrong, 143 ended by SIGTERM.",
    )
    parser.add_argument(
        "--model", required=True, metavar="DIR",
        help="the SavedModel: RUN/saved_model, or a version in a registry, as REGISTRY/3",
    )  # fmt: skip
    parser.add_argument(
        "--input", action="append", required=True, metavar="GLOB",
        help="file or glob, also s3:// or gs://; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--output", required=True, metavar="DIR", help="directory to write, also s3:// or gs://"
    )
    parser.add_argument(
        "--format", choices=("auto", *FORMATS), default=PredictOptions.format,
        help="of the input; auto follows the file name (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--sequence-column", metavar="NAME", default=PredictOptions.sequence_column,
        help="column with the characters; no other is needed (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--overwrite", action="store_true", help="replace predictions that are already there"
    )
    return parser
