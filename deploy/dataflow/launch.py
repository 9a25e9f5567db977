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

from charseq.flags import flag_defaults
from pipeline.__main__ import main
from pipeline.options import INPUT_FIELDS, Options

_OURS = flag_defaults(Options).keys()


def to_command_line(arguments: Sequence[str]) -> list[str]:
    """Return the launcher's arguments as flags of `python -m pipeline`.

    Several globs in one --input are separated by a comma before gs://, since the name of an object
    may contain commas; so are those of the inputs of splits. Flags of Beam are not changed.
    """
    line = []
    for argument in arguments:
        name, _, value = argument.removeprefix("--").partition("=")
        if name in INPUT_FIELDS:
            flag = name.replace("_", "-")
            line += [f"--{flag}={glob}" for glob in re.split(",(?=gs://)", value)]
        elif name in _OURS:
            line.append(f"--{name.replace('_', '-')}={value}")
        else:
            line.append(argument)
    return line


if __name__ == "__main__":
    sys.exit(main(to_command_line(sys.argv[1:])))
