"""Print the Dataflow Flex Template of the preparation, or its metadata, as JSON.

Names, help, choices and defaults of the parameters come from the parser of the command line; only
the validation patterns are defined here. `metadata.json` next to this file is the output without
`--image`. Usage: `python -m deploy.dataflow.template [--image IMAGE]`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import MISSING
from typing import Any

from charseq.flags import flag_defaults
from pipeline.options import DEFAULT_MAX_LENGTH, INPUT_FIELDS, Options, make_parser

# Anchored, and only what POSIX egrep, RE2, Java and JavaScript read alike: Dataflow's documentation
# says egrep, the console is a web page.
_COUNT = "[1-9][0-9]*"
_NAME = ".+"
_SHARE = "(train|validation|test)=([0-9]+(/[1-9][0-9]*)?|[0-9]*[.][0-9]+)"
_SPLIT_VALUE = "[^,]*[^, ][^,]*=(train|validation|test)"
_ZONE = "(Z|[+-][0-9]{2}(:?[0-9]{2})?)?"
_TIME = (
    "[0-9]{4}-[0-9]{2}-[0-9]{2}"
    f"([ T][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}([.,][0-9]{{1,9}})?)?{_ZONE})?"
)
_SWITCHES = ("no_header", "lowercase", "strip", "stratify", "overwrite")
_PATTERNS = {
    **dict.fromkeys(INPUT_FIELDS, "gs://.+"),
    "output": "gs://.+",
    "alphabet_of": "gs://.+",
    "base": "gs://.+",
    "sequence_column": _NAME,
    "label_column": _NAME,
    **dict.fromkeys(("split_column", "time_column", "group_column", "weight_column"), _NAME),
    **dict.fromkeys(("validation_from", "test_from"), _TIME),
    "split_values": f"{_SPLIT_VALUE}(,{_SPLIT_VALUE})*",
    "label_pattern": _NAME,
    "delimiter": "tab|[;,:|]",
    "max_length": _COUNT,
    "alphabet": ".+",
    "alphabet_size": f"auto|{_COUNT}",
    "split": f"{_SHARE}(,{_SHARE})*",
    "num_shards": _COUNT,
    **dict.fromkeys(("similar", "max_cluster_share"), "1([.]0*)?|0?[.][0-9]*[1-9][0-9]*"),
    "folds": "[3-9]|[1-9][0-9]|100",
    "seed": "0|[1-9][0-9]{0,18}",
    "max_rejected_fraction": "[01]([.]0*)?|0?[.][0-9]+|[1-9]([.][0-9]+)?e-0*[1-9][0-9]*",
    "min_label_rows": _COUNT,
    "rare_label_as": _NAME,
    "max_labels": "[2-9]|[1-9][0-9]+",
    **dict.fromkeys(_SWITCHES, "true|false"),
}
_HELP = {
    "input": "file or glob; several with a comma between: gs://a/*.csv,gs://b/*.csv",
    "train_input": "instead of input: files of the train split, likewise",
    "validation_input": "files of the validation split; without any, cut from the train split",
    "test_input": "files of the test split",
    "output": "dataset directory to write",
    # auto takes a job of its own before, and a template is one job.
    "max_length": f"number of positions in a record (default: {DEFAULT_MAX_LENGTH})",
}
_PICKERS = {
    **dict.fromkeys(INPUT_FIELDS, "GCS_READ_FILE"),
    "output": "GCS_WRITE_FOLDER",
    "alphabet_of": "GCS_READ_FOLDER",
    "base": "GCS_READ_FOLDER",
    "max_length": "NUMBER",
    **dict.fromkeys(_SWITCHES, "BOOLEAN"),
}
# The console fills defaults in and sends them, but --label-from and --folds exclude these flags.
_NOT_FILLED_IN = ("sequence_column", "label_column", "split")
# A plan is printed before there is a job.
_NO_PARAMETERS = ("help", "options", "plan", "core_hour_price")

_IMAGE = {
    "name": "sdk_container_image",
    "label": "Worker image",
    "helpText": "of the workers: that of the template (default: what the template says)",
    "isOptional": True,
    "paramType": "TEXT",
    "regexes": ["^[A-Za-z0-9./_:@-]+$"],
}


def metadata() -> dict[str, Any]:
    """Return a TemplateMetadata of Dataflow's API: the options, and the worker image."""
    parser = make_parser()
    # --no-strip is the same as --strip=false, which a parameter can be.
    options = [
        action
        for action in parser._actions
        if action.dest not in _NO_PARAMETERS and not isinstance(action, argparse._StoreFalseAction)
    ]
    return {
        "name": "charseq",
        "description": parser.description,
        "streaming": False,
        "parameters": [*map(_parameter, options), _IMAGE],
    }


def container_spec(image: str) -> dict[str, Any]:
    """Return a ContainerSpec of Dataflow's API: launcher and workers run in `image`."""
    return {
        "image": image,
        "sdkInfo": {"language": "PYTHON"},
        "defaultEnvironment": {"sdkContainerImage": image},
        "metadata": metadata(),
    }


def _parameter(option: argparse.Action) -> dict[str, Any]:
    name = option.dest
    pattern = "|".join(option.choices) if option.choices else _PATTERNS[name]
    parameter: dict[str, Any] = {
        "name": name,
        "label": name.replace("_", " ").capitalize(),
        "helpText": _HELP.get(name, option.help),
        "isOptional": not option.required,
        "paramType": _picker(option),
        "regexes": [f"^({pattern})$"],
    }
    if option.choices:
        parameter["enumOptions"] = [{"value": choice} for choice in option.choices]
    default = flag_defaults(Options)[name]
    if default not in (None, MISSING, ()) and name not in _NOT_FILLED_IN:
        parameter["defaultValue"] = json.dumps(default).strip('"')
    return parameter


def _picker(option: argparse.Action) -> str:
    """Return the ParameterType that the console uses for the input of a value."""
    if option.choices:
        return "ENUM"
    return _PICKERS.get(option.dest, "NUMBER" if option.type in (int, float) else "TEXT")


def main(argv: Sequence[str] | None = None) -> None:
    """Print the metadata, or the template of `--image`, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m deploy.dataflow.template")
    parser.add_argument(
        "--image",
        help="print the template of this image, to upload to a bucket; without it, print only the "
        "metadata, for gcloud dataflow flex-template build --metadata-file",
    )
    image = parser.parse_args(argv).image
    print(json.dumps(container_spec(image) if image else metadata(), indent=2))


if __name__ == "__main__":
    main()
