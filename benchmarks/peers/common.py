"""Command line, record shape and split function that the preparing peers share."""

from __future__ import annotations

import argparse
import hashlib

MAX_LENGTH = 31
SIGNATURE = "serving_default"
SPLITS = ("train", "validation", "test")
_SPLIT_OF_BUCKET = (0, 0, 0, 0, 0, 0, 0, 0, 1, 2)


def peer_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the flags that every peer takes."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("--input", required=True, metavar="CSV", help="header sequence,label")
    parser.add_argument("--output", required=True, metavar="DIR", help="written into")
    return parser


def add_encoding(parser: argparse.ArgumentParser) -> None:
    """Add the flag of the peers that write both kinds of record."""
    parser.add_argument("--encoding", choices=("ids", "one_hot"), default="ids")


def add_vocabulary(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the peers that learn nothing from the data."""
    parser.add_argument("--alphabet", required=True, metavar="CHARACTERS", help="in id order")
    parser.add_argument("--labels", required=True, metavar="A,B,…", help="in id order")


def split_of(line: bytes, _splits: int) -> int:
    """Place in SPLITS of a line: a hash of its bytes modulo 10, as TFX's ExampleGen has it."""
    return _SPLIT_OF_BUCKET[int(hashlib.sha256(line).hexdigest(), 16) % len(_SPLIT_OF_BUCKET)]
