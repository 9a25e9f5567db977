"""Convert the parameters of a Flex Template to the command line and run the preparation.

Dataflow's launcher starts this file. It passes each parameter as --name=value, among flags of Beam;
a parameter has the name of its option and one value. The launcher starts a file, not a module as
`python -m pipeline` does, and the directory of a file comes first on `sys.path`: in `pipeline`,
`import inspect` would import `pipeline/inspect.py`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import fields

from pipeline.__main__ import main
from pipeline.options import Options

_OURS = {field.name for field in fields(Options) if field.metadata}


def to_command_line(arguments: Sequence[str]) -> list[str]:
    """Return the launcher's arguments as flags of `python -m pipeline`.

    Several globs in one --input are separated by a comma before gs://, since the name of an object
    may contain commas. Flags of Beam are not changed.
    """
    line = []
    for argument in arguments:
        name, _, value = argument.removeprefix("--").partition("=")
        if name == "input":
            line += [f"--input={glob}" for glob in re.split(",(?=gs://)", value)]
        elif name in _OURS:
            line.append(f"--{name.replace('_', '-')}={value}")
        else:
            line.append(argument)
    return line


if __name__ == "__main__":
    sys.exit(main(to_command_line(sys.argv[1:])))
