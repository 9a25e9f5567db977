"""charseq serve: the current model of a registry, behind a port."""

from __future__ import annotations

from charseq.process.signals import watch_signals

if __name__ == "__main__":
    watch_signals()  # Before the other imports, which take a moment.

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from charseq.cli import exit_status
from charseq.errors import DataError
from charseq.flags import make_parser, parse
from charseq.server.options import ServeOptions, read_token

_NEEDED = ("starlette", "uvicorn", "prometheus_client", "orjson", "tensorflow")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve as the command line says; return the exit status."""
    return exit_status(lambda: _serve(argv))


def _serve(argv: Sequence[str] | None) -> None:
    parser = make_parser(
        ServeOptions,
        prog="python -m charseq.server",
        description="Serve the current version of a registry over HTTP: TensorFlow Serving's REST "
        "interface, and POST /ask. A version that is promoted takes over by itself.",
        epilog="Exit status: 1 the model, the port or a file cannot be used, 2 the command line is "
        "wrong, 130 ended by SIGINT, 143 by SIGTERM, after the requests under way.",
    )
    options = parse(ServeOptions, parser, argv)
    if missing := [name for name in _NEEDED if not find_spec(name)]:
        raise DataError(f"charseq serve needs {missing[0]}: pip install 'charseq[server]'")
    token = read_token(options, os.environ)
    from charseq.server.serving import serve

    serve(options, token)


if __name__ == "__main__":
    sys.exit(main())
