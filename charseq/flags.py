"""Command lines generated from dataclasses: each field made by `flag` is a flag of the same name.

    @dataclass(frozen=True)
    class Options:
        output: str = flag("directory to write", metavar="DIR")
        max_length: int = flag("length of a sequence", default=31, metavar="N", minimum=1)

        def __post_init__(self) -> None:
            validate(self)

    parser = make_parser(Options, prog="python -m example", description="…")
    parse(Options, parser, ["--output", "out", "--max-length", "7"])

A field without a default is required. A bool is a switch without a value; a `tuple[T, ...]` without
`parse` is a flag that may be repeated; the fields of a nested dataclass are flags like the others.
A bool that is true by default has a second flag, `--no-NAME`.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, is_dataclass
from types import NoneType
from typing import (
    Any,
    NamedTuple,
    NoReturn,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from charseq.console.messages import shorten_message
from charseq.errors import UsageError
from charseq.options_file import (
    beam_words,
    check_keys,
    find_options_file,
    read_options_file,
    to_words,
)
from charseq.paths import expand_path
from charseq.running_as import program_name

T = TypeVar("T")
_METADATA_KEY = "flag"
_MAX_PARSER_ERROR = 700
_OPTIONS_HELP = "file of flags in TOML or JSON, before those of the command line"
# The limit of whole numbers that have no other: TensorFlow and Arrow count in 64 bits.
_MAX_COUNT = 2**63 - 1


@dataclass(frozen=True)
class Flag:
    """The flag of a field, and the values that it accepts.

    Attributes:
        help: its text in --help, without the default, which is appended.
        metavar: placeholder of the value in --help.
        choices: accepted values; empty accepts all.
        parse: converts the text of the value; raises ValueError with the message for the user.
            None calls the type of the field.
        const: value of the flag where it stands without one; None: it must have a value.
        is_path: the value is a path, or a pattern of paths, in which `~` and `file://` are
            understood; see `expand_path`.
        positional: the value stands without the flag.
        exclusive: exactly one of the exclusive flags of a command must be present.
        only_with: name of a field whose flag must be present, too.
        not_with: name of a field whose flag must be absent, and the reason.
        minimum, maximum, above, below: limits of a number, `above` and `below` exclusive; in a
            tuple, limits of each number. A whole number without a maximum is at most 2**63 - 1.
    """

    help: str
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    parse: Callable[[str], Any] | None = None
    const: object = None
    is_path: bool = False
    positional: bool = False
    exclusive: bool = False
    only_with: str | None = None
    not_with: tuple[str, str] | None = None
    minimum: float = -math.inf
    maximum: float = math.inf
    above: float = -math.inf
    below: float = math.inf

    def accepts(self, value: object) -> bool:
        """Return whether `value` is one of the choices and within the limits."""
        if self.choices:
            return value in self.choices
        # Not isinstance: a NamedTuple is one value.
        elements = value if type(value) is tuple else (value,)
        return all(self._within_limits(e) for e in elements if isinstance(e, (int, float)))

    def _within_limits(self, number: float) -> bool:
        # False for NaN and the infinities, whatever the limits are.
        inside = self.minimum <= number <= self.maximum and self.above < number < self.below
        return inside and not self._is_too_large(number)

    def _is_too_large(self, number: object) -> bool:
        return isinstance(number, int) and self.maximum == math.inf and number > _MAX_COUNT

    def expected(self, value: object) -> str:
        """Return the accepted values as text, such as `1 or more`, where `value` is not one."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if any(map(self._is_too_large, value if type(value) is tuple else (value,))):
            return f"at most {_limit_text(_MAX_COUNT)}"
        if self.below < math.inf and self.above > -math.inf:
            return f"a number above {self.above} and below {self.below}"
        if self.maximum < math.inf and self.above > -math.inf:
            return f"a number above {self.above}, at most {_limit_text(self.maximum)}"
        if self.maximum < math.inf:
            return f"{self.minimum} to {_limit_text(self.maximum)}"
        if self.below < math.inf:
            return f"{self.minimum} or more and below {self.below}"
        if self.above > -math.inf:
            return f"a number above {self.above}"
        return f"{self.minimum} or more"


def _limit_text(limit: float) -> str:
    """Return a limit as text; the largest integer of 32 bits or more as a power of two."""
    bits = int(limit).bit_length()
    return f"2**{bits} - 1" if bits >= 31 and limit == 2**bits - 1 else str(limit)


@overload
def flag(help: str, *, default: T, **settings: Any) -> T: ...
@overload
def flag(help: str, **settings: Any) -> Any: ...
def flag(help: str, *, default: Any = MISSING, **settings: Any) -> Any:
    """Return a field of a dataclass that a flag sets; it is required if it has no default.

    Args:
        help: the text of the flag in --help.
        default: the value of the field if the flag is absent.
        settings: the other attributes of `Flag`.
    """
    return dataclasses.field(default=default, metadata={_METADATA_KEY: Flag(help, **settings)})


def parse_boolean(text: str) -> bool:
    """Return the value of `--overwrite=true`, the form in which templates pass a switch.

    Raises:
        ValueError: it is neither true nor false.
    """
    if text not in ("true", "false"):
        raise ValueError(f"got {text!r}, expected true or false")
    return text == "true"


def flag_name(field_name: str) -> str:
    """Return the flag of a field: `--max-length` of `max_length`, `--from` of `from_`."""
    return f"--{field_name.rstrip('_').replace('_', '-')}"


def flag_names(options: type[Any]) -> list[str]:
    """Return the flags of a dataclass and of those nested in it."""
    return [flag_name(field.name) for field in _all_fields(options)]


def flag_defaults(options: type[Any]) -> dict[str, object]:
    """Return the default of each field with a flag, by name; MISSING for a required one."""
    return {field.name: field.default for field in _all_fields(options)}


def require(condition: bool, name: str, value: object, expected: str) -> None:
    """Check a condition on the value of the flag `name`.

    Raises:
        UsageError: it is false.
    """
    if not condition:
        raise UsageError(f"{name}: got {value!r}, expected {expected}")


def validate(options: Any) -> None:
    """Check each field of a dataclass against the choices and limits of its flag.

    Raises:
        UsageError: a value is not among them; None always is.
    """
    for field in _own_fields(type(options)):
        value = getattr(options, field.name)
        each = " each" if type(value) is tuple else ""
        accepted = value is None or field.flag.accepts(value)
        require(accepted, flag_name(field.name), value, f"{field.flag.expected(value)}{each}")


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without all flags, and short with any argument."""

    def error(self, message: str) -> NoReturn:
        shortened = shorten_message(message, _MAX_PARSER_ERROR)
        self.exit(2, f"error: {shortened}; see {self.prog} --help\n")


def make_parser(
    options: type[Any], *, prog: str, description: str, epilog: str | None = None
) -> argparse.ArgumentParser:
    """Return a parser with the flags of a dataclass; absent flags are absent in its namespace."""
    parser = _Parser(
        prog=program_name(prog),
        description=description,
        epilog=epilog,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    fields = list(_all_fields(options))
    exclusive: argparse._ActionsContainer = parser
    # argparse would always reject the command line if the group had no flag.
    if any(field.flag.exclusive for field in fields):
        exclusive = parser.add_mutually_exclusive_group(required=True)
    for field in fields:
        _add_argument(exclusive if field.flag.exclusive else parser, field)
    parser.add_argument("--options", metavar="FILE", help=_OPTIONS_HELP)
    return parser


def parse(options: type[T], parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> T:
    """Return the options that a command line sets.

    Args:
        options: the dataclass.
        parser: what `make_parser` returned for it.
        argv: the command line; None is that of the process.

    Raises:
        UsageError: a value is outside the limits of its flag, or two flags exclude each other.
        SystemExit: --help (status 0), or a flag cannot be parsed (status 2).
    """
    return _build(options, vars(parser.parse_args(_with_options_file(options, argv))))


def parse_known(
    options: type[T], parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> tuple[T, list[str]]:
    """Return the options that a command line sets, and the flags that are not of the parser.

    Raises:
        UsageError, SystemExit: as `parse`.
    """
    words = _with_options_file(options, argv, beam=True)
    namespace, unknown_flags = parser.parse_known_args(words)
    return _build(options, vars(namespace)), unknown_flags


def _with_options_file(
    options: type[Any], argv: Sequence[str] | None, *, beam: bool = False
) -> list[str]:
    """Return a command line with the flags of `--options FILE` that it does not set itself.

    Args:
        options: the dataclass of the command.
        argv: its command line; None is that of the process.
        beam: whether it passes flags to Apache Beam.

    Raises:
        UsageError: the file cannot be read, or has other keys than the command has flags.
    """
    path, words = find_options_file(sys.argv[1:] if argv is None else argv)
    if path is None:
        return words
    content = read_options_file(path)
    fields = {
        field.name.rstrip("_"): field for field in _all_fields(options) if not field.flag.positional
    }
    check_keys(content, fields, path, beam=beam)
    present = {word.partition("=")[0] for word in words}
    from_file = beam_words(content, path)
    for name, field in fields.items():
        flags = {flag_name(name), flag_name(f"no_{name}")}
        if name in content and not present & flags:
            from_file += to_words(
                flag_name(name),
                content[name],
                is_repeated=field.is_repeated,
                is_switch=field.is_switch,
            )
    return [*from_file, *words]


def changed_options(options: Any) -> dict[str, Any]:
    """Return the values of a dataclass's flags that are not their defaults, by name."""
    values: dict[str, Any] = {}
    for field in _own_fields(type(options)):
        value = getattr(options, field.name)
        if value != field.default and value is not None:
            # Not isinstance: a NamedTuple is one value.
            is_plain = type(value) in (bool, int, float, str, tuple)
            values[field.name.rstrip("_")] = value if is_plain else str(value)
    for name in _nested_dataclasses(type(options)):
        values |= changed_options(getattr(options, name))
    return values


class _Field(NamedTuple):
    """A field with a flag; kind: its type, without `| None`. default: MISSING if required."""

    name: str
    kind: Any
    flag: Flag
    default: object

    @property
    def is_switch(self) -> bool:
        return self.kind is bool and self.flag.const is None

    @property
    def is_repeated(self) -> bool:
        return get_origin(self.kind) is tuple and self.flag.parse is None


def _all_fields(options: type[Any]) -> Iterator[_Field]:
    """Yield the fields of a dataclass, then those of the dataclasses nested in it."""
    yield from _own_fields(options)
    for nested in _nested_dataclasses(options).values():
        yield from _all_fields(nested)


def _own_fields(options: type[Any]) -> Iterator[_Field]:
    kinds = get_type_hints(options)
    for field in dataclasses.fields(options):
        if _METADATA_KEY in field.metadata:
            kind = _without_none(kinds[field.name])
            yield _Field(field.name, kind, field.metadata[_METADATA_KEY], field.default)


def _nested_dataclasses(options: type[Any]) -> dict[str, type[Any]]:
    kinds = get_type_hints(options)
    names = [field.name for field in dataclasses.fields(options)]
    return {name: kinds[name] for name in names if is_dataclass(kinds[name])}


def _without_none(kind: Any) -> Any:
    """Return `int` for `int | None`, every other type as it is."""
    arguments = get_args(kind)
    return arguments[0] if NoneType in arguments else kind


def _add_argument(parser: argparse._ActionsContainer, field: _Field) -> None:
    flag = field.flag
    settings: dict[str, Any] = {"help": f"{flag.help}{_default_text(field.default)}"}
    if field.is_switch:
        parser.add_argument(flag_name(field.name), action="store_true", **settings)
        return
    settings |= {"type": _converter(field), "metavar": flag.metavar}
    if flag.choices:
        settings["choices"] = flag.choices
    if flag.const is not None:
        settings |= {"nargs": "?", "const": flag.const}
    if field.is_repeated:
        settings |= {"action": "extend", "nargs": "+"}
    if flag.positional:
        parser.add_argument(field.name, **settings)
    else:
        settings |= {"required": field.default is MISSING, "dest": field.name}
        parser.add_argument(flag_name(field.name), **settings)
    if field.default is True:
        parser.add_argument(
            flag_name(f"no_{field.name}"),
            dest=field.name,
            action="store_false",
            help=f"the same as {flag_name(field.name)}=false",
        )


def _default_text(default: object) -> str:
    """Return `" (default: …)"`, or nothing for a default that stands for an absent flag."""
    if default is MISSING or default is None or default is False or default == ():
        return ""
    if default is True:
        return " (default: true)"
    text = ",".join(map(str, default)) if type(default) is tuple else str(default)
    return f" (default: {text})"


def _converter(field: _Field) -> Callable[[str], Any]:
    """Return the function that converts the text of a value."""
    if field.flag.parse is not None:
        return _with_message(field.flag.parse)
    kind: Callable[[str], Any] = get_args(field.kind)[0] if field.is_repeated else field.kind
    return _with_message(lambda text: kind(expand_path(text))) if field.flag.is_path else kind


def _with_message(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return `parse` with errors whose message argparse shows; it hides that of a ValueError."""

    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _build(options: type[T], present: Mapping[str, Any]) -> T:
    """Return the dataclass with the values of the flags that are present."""
    own = list(_own_fields(options))
    _check_combinations(own, present)
    _check_encoding(own, present)
    values = {
        field.name: tuple(present[field.name]) if field.is_repeated else present[field.name]
        for field in own
        if field.name in present
    }
    nested = {name: _build(each, present) for name, each in _nested_dataclasses(options).items()}
    return options(**values, **nested)


def _check_combinations(fields: Sequence[_Field], present: Mapping[str, Any]) -> None:
    """Check `only_with` and `not_with` of the flags that are present.

    Raises:
        UsageError: a flag needs one that is absent, or excludes one that is present.
    """
    for field in fields:
        if field.name in present:
            name, flag = flag_name(field.name), field.flag
            if flag.only_with is not None and flag.only_with not in present:
                raise UsageError(f"{name}: only with {flag_name(flag.only_with)}")
            if flag.not_with is not None and flag.not_with[0] in present:
                other, reason = flag.not_with
                raise UsageError(f"{name}: not allowed with {flag_name(other)}: {reason}")


def _check_encoding(fields: Sequence[_Field], present: Mapping[str, Any]) -> None:
    for field in fields:
        value = present.get(field.name)
        if isinstance(value, str):
            check_encoding(flag_name(field.name), value, is_path=field.flag.is_path)


def check_encoding(name: str, text: str, *, is_path: bool) -> None:
    """Check that a text means to TensorFlow, which takes it as UTF-8, what it means to Python.

    Args:
        name: of its flag.
        text: the value.
        is_path: whether it is a path.

    Raises:
        UsageError: the locale has another encoding; or it has bytes that are not UTF-8, as only a
            path may have.
    """
    other_bytes = "surrogateescape" if is_path else "backslashreplace"
    require(
        text.encode("utf-8", other_bytes) == os.fsencode(text),
        name,
        text,
        "text in UTF-8; set PYTHONUTF8=1 if it is, and the locale is not",
    )
