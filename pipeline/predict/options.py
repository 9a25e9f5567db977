"""The options of batch prediction, and the command line that sets them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from charseq.console.redaction import redact_json
from charseq.errors import UsageError
from charseq.flags import changed_options, flag, make_parser, parse_boolean, parse_known, validate
from charseq.measures.set_methods import LAC, SET_METHODS
from charseq.models.saved_model import TRUST_MODEL_HELP
from charseq.options_file import to_toml
from pipeline.input_options import (
    DELIMITER_HELP,
    FORMAT_HELP,
    FORMATS,
    INPUT_HELP,
    NO_HEADER_HELP,
    InputOptions,
    parse_delimiter,
)
from pipeline.options import BEAM_FLAGS_HELP, Options
from pipeline.predict.columns import OUTPUT_FORMATS, OutputColumns, parse_names


@dataclass(frozen=True)
class PredictOptions:
    """The model, the rows to label and the directory to write.

    Raises:
        UsageError: a value is not among the choices of its flag.
    """

    model: str = flag(
        "the SavedModel: RUN/saved_model, or a version in a registry, as REGISTRY/3",
        metavar="DIR",
        is_path=True,
    )
    input: tuple[str, ...] = flag(INPUT_HELP, metavar="GLOB", is_path=True)
    output: str = flag("directory to write, also s3:// or gs://", metavar="DIR", is_path=True)
    format: str = flag(FORMAT_HELP, default=Options.format, choices=("auto", *FORMATS))
    sequence_column: str = flag(
        "column of the sequences; no other is needed",
        default=Options.sequence_column,
        metavar="NAME",
    )
    delimiter: str | None = flag(
        DELIMITER_HELP, default=None, parse=parse_delimiter, metavar="CHARACTER"
    )
    no_header: bool | None = flag(
        NO_HEADER_HELP, default=None, parse=parse_boolean, const=True, metavar="true|false"
    )
    label_column: str | None = flag(
        "column of the true labels: also write evaluation.json, the metrics of the model on the "
        "rows that have one",
        default=None,
        metavar="NAME",
    )
    id_column: str | None = flag(
        "column that identifies a row; stands in front of its label", default=None, metavar="NAME"
    )
    keep: tuple[str, ...] = flag(
        "columns of the input to carry through, in this order",
        default=(),
        parse=parse_names,
        metavar="NAME,…",
    )
    with_sequence: bool = flag("add the sequence as it was read", default=False)
    top: int = flag(
        "number of labels: the most probable ones, as label, label_2, …, each with its probability",
        default=1,
        metavar="K",
        minimum=1,
        maximum=1000,
    )
    coverage: float | None = flag(
        "add the column set: the most probable labels, as many as hold the right one in this share "
        "of the rows, if they are like the validation rows of the model",
        default=None,
        metavar="C",
        above=0,
        below=1,
    )
    set_method: str = flag(
        "how sets are made: lac, the smallest; aps, whose coverage differs less between easy and "
        "hard rows",
        default=LAC,
        choices=SET_METHODS,
        only_with="coverage",
    )
    min_confidence: float | None = flag(
        "leave a row without a label if the highest probability is below this, and add the column "
        "reason, which says so",
        default=None,
        metavar="P",
        minimum=0,
        maximum=1,
    )
    with_strangeness: bool = flag(
        "add the column strangeness: the share of the validation rows of the model that are less "
        "strange to it, 0 to 1",
        default=False,
    )
    output_format: str = flag("format of the output", default="jsonl", choices=OUTPUT_FORMATS)
    compare: bool = flag(
        "also write compare.html and compare.json: what changed from the rows that the model was "
        "trained on to these",
        default=False,
    )
    max_rejected_fraction: float = flag(
        "fail if a larger fraction of the rows is rejected",
        default=Options.max_rejected_fraction,
        metavar="F",
        minimum=0,
        maximum=1,
    )
    overwrite: bool = flag("replace existing predictions", default=False)
    trust_model: bool = flag(TRUST_MODEL_HELP, default=False)

    def __post_init__(self) -> None:
        validate(self)
        _ = self.input_options  # which checks itself
        names = self.columns.names()
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise UsageError(f"--keep: {twice[0]!r} would stand twice in the output")

    def to_toml(self) -> str:
        """Return the options that differ from their defaults, without secrets, for `--options`."""
        values = changed_options(self)
        for name in ("output", "overwrite", "trust_model"):
            values.pop(name, None)
        command = "python -m pipeline.predict --options options.toml --output DIR"
        paths = {name: redact_json(values[name]) for name in ("model", "input")}
        return to_toml({**values, **paths}, command)

    @property
    def columns(self) -> OutputColumns:
        """The columns of the output."""
        return OutputColumns(
            self.id_column,
            self.keep,
            self.with_sequence,
            self.top,
            self.output_format,
            with_set=self.coverage is not None,
            min_confidence=self.min_confidence,
            with_strangeness=self.with_strangeness,
        )

    @property
    def input_options(self) -> InputOptions:
        """The options that decide which rows are read; labels only if they are to be compared."""
        return InputOptions(
            self.input,
            self.format,
            label_from=None,
            sequence_column=self.sequence_column,
            label_column=self.label_column,
            delimiter=self.delimiter,
            no_header=self.no_header,
            others=self.columns.wanted,
        )


def parse_command_line(argv: Sequence[str] | None) -> tuple[PredictOptions, list[str]]:
    """Return the options, and the flags to pass to Beam.

    Raises:
        UsageError, SystemExit: as `charseq.flags.parse`.
    """
    parser = make_parser(
        PredictOptions,
        prog="python -m pipeline.predict",
        description="Label character sequences with an exported model: text files in, a line of "
        "JSON, CSV or Parquet for each row out.",
        epilog=f"{BEAM_FLAGS_HELP} Exit status: 0 done, 1 the model or the input cannot be used "
        "or the run failed, 2 the command line is wrong, 3 nothing fits: every row was rejected, "
        "or most rows have only characters that the model does not know, 130 ended by SIGINT, "
        "143 by SIGTERM.",
    )
    return parse_known(PredictOptions, parser, argv)
