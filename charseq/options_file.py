"""`--options FILE`: the flags of a command in a file, and the file that an output keeps.

    input = ["data/*.csv"]
    max-length = "auto"
    strip = false

    [beam]
    runner = "FlinkRunner"

A file whose name ends in `.json` holds the same as a JSON object; `charseq.api` writes such files.
Keys are names of flags, without dashes in front. What stands on the command line as well counts
there. The table `beam`, of commands that pass flags to Apache Beam, holds such flags.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, BinaryIO

from charseq.errors import UsageError, describe_os_error
from charseq.paths import expand_path

OPTIONS_FILE = "options.toml"
_BEAM = "beam"


def find_options_file(argv: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the value of `--options`, and the command line without it.

    Raises:
        UsageError: it has no value, or is there twice.
    """
    paths: list[str] = []
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name != "--options":
            rest.append(word)
        elif equals:
            paths.append(value)
        else:
            paths.append(next(words, ""))
    if len(paths) > 1 or "" in paths:
        raise UsageError("--options: expected one file, as --options options.toml")
    return (expand_path(paths[0]) if paths else None), rest


def read_options_file(path: str) -> dict[str, Any]:
    """Return the content of a file of options, its keys with underscores.

    Raises:
        UsageError: it is neither TOML nor, by its name, a JSON object; or it is TOML, and this
            Python is older than 3.11, which reads TOML.
    """
    load = json.load if path.endswith(".json") else _load_toml
    try:
        with open(path, "rb") as file:
            content = load(file)
    except OSError as error:
        raise UsageError(f"--options: {describe_os_error(error)}") from error
    except ValueError as error:  # Of UTF-8, TOML and JSON alike.
        raise UsageError(f"--options: {path}: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"--options: {path}: got {content!r}, expected a JSON object")
    names = [key.replace("-", "_") for key in content]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"--options: {path}: {twice[0].replace('_', '-')!r} is there twice")
    return dict(zip(names, content.values(), strict=True))


def _load_toml(file: BinaryIO) -> dict[str, Any]:
    try:
        import tomllib
    except ImportError:
        raise UsageError("--options: needs Python 3.11 or later, which reads TOML") from None
    return tomllib.load(file)


def to_words(name: str, value: object, *, is_repeated: bool, is_switch: bool) -> list[str]:
    """Return the words of a command line that set the flag `name` to the value of a file.

    Args:
        name: such as `--max-length`.
        value: of TOML or JSON.
        is_repeated: whether it takes several words.
        is_switch: whether it takes none.

    Raises:
        UsageError: the value is of a type that no flag has.
    """
    if is_switch and isinstance(value, bool):
        return [name] if value else []
    values = value if isinstance(value, list) else [value]
    values = [each.isoformat() if isinstance(each, date) else each for each in values]
    if not all(isinstance(each, str | int | float) for each in values):
        raise UsageError(f"{name}: got {value!r}, expected text, a number, true, false or a list")
    texts = [str(each).lower() if isinstance(each, bool) else str(each) for each in values]
    if any("\0" in text for text in texts):
        raise UsageError(f"{name}: got {value!r}, expected text without NUL")
    if is_repeated:
        return [f"{name}={text}" for text in texts]
    return [f"{name}={_join(texts)}" if isinstance(value, list) else f"{name}={texts[0]}"]


def _join(texts: Sequence[str]) -> str:
    """Return values with commas between; those with a comma, quotes or outer blanks in quotes."""
    needs_quotes = (text != text.strip() or set(text) & set(',"') for text in texts)
    return ",".join(
        '"' + text.replace('"', '""') + '"' if quoted else text
        for text, quoted in zip(texts, needs_quotes, strict=True)
    )


def beam_words(content: Mapping[str, Any], path: str) -> list[str]:
    """Return the flags in the table `beam` of a file.

    Raises:
        UsageError: `beam` is no table, or a value is of a type that no flag has.
    """
    table = content.get(_BEAM, {})
    if not isinstance(table, dict):
        raise UsageError(f"--options: {path}: beam is {table!r}, expected a table, as [beam]")
    words = []
    for name, value in table.items():
        if value is not False:
            is_switch = value is True
            words += to_words(f"--{name}", value, is_repeated=True, is_switch=is_switch)
    return words


def check_keys(content: Mapping[str, Any], names: Iterable[str], path: str, *, beam: bool) -> None:
    """Check that a file has no other keys than the names of fields.

    Raises:
        UsageError: it has; the message names the nearest option.
    """
    known = [*names, *([_BEAM] if beam else [])]
    for key in content:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"; is {near[0].replace('_', '-')!r} meant?" if near else ""
            raise UsageError(f"--options: {path}: no option {key.replace('_', '-')!r}{hint}")


def to_toml(values: Mapping[str, Any], comment: str) -> str:
    """Return the text of a file of options: a comment, and a line for each value."""
    lines = [_line(name.replace("_", "-"), value) for name, value in values.items()]
    return "\n".join([f"# {comment}", *lines]) + "\n"


def _line(name: str, value: object) -> str:
    """Return a line for a value; a comment for one with bytes of a path that are not UTF-8."""
    line = f"{name} = {_value(value)}"
    if not is_encodable(line):
        return f"# {name} is left out: it is not UTF-8"
    return line


def is_encodable(text: str) -> bool:
    """Return whether a text is UTF-8, without the bytes that Python keeps of other file names."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    # A text of JSON is one of TOML, but for DEL.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", r"\u007f")
