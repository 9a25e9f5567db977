"""The memory that a preparation takes at least, by its options: known before any work."""

from __future__ import annotations

from charseq.errors import UsageError
from charseq.process.machine import cpu_count, format_bytes, memory_bytes
from pipeline.options import Options

# Protocol Buffers writes no larger message.
MAX_RECORD_BYTES = 2**31 - 1
# A table of 256 CRCs of 4 bytes for each byte of a record, see `pipeline.tfrecord.template`.
_TABLE_BYTES = 1 << 10


def record_bytes(options: Options) -> int:
    """Return the bytes of the sequence in a record: floats, or varints of 7 bits each."""
    if options.encoding == "one_hot":
        return 4 * options.num_characters * options.num_positions
    return -(-options.unknown_id.bit_length() // 7) * options.num_positions


def required_bytes(options: Options, threads: int) -> int:
    """Return the least memory to write records: a table, and a row as ids in each thread."""
    size = record_bytes(options)
    return size * _TABLE_BYTES + threads * (size + 8 * options.num_positions)


def check_record_size(options: Options) -> None:
    """Check that a record can be written at all.

    Raises:
        UsageError: it would be larger than Protocol Buffers allows.
    """
    if record_bytes(options) > MAX_RECORD_BYTES:
        raise UsageError(
            f"{_size_of_record(options)}, and a record has less than 2 GiB; {_advice(options)}"
        )


def check_memory(options: Options) -> None:
    """Check that this process may take the memory that a preparation takes at least.

    Raises:
        UsageError: it may not.
    """
    required, available = required_bytes(options, cpu_count()), memory_bytes()
    if required > available:
        raise UsageError(
            f"{_size_of_record(options)}, and writing it takes {format_bytes(required)} of memory, "
            f"more than the {format_bytes(available)} here; {_advice(options)}"
        )


def _size_of_record(options: Options) -> str:
    size = f"a record takes {format_bytes(record_bytes(options))}"
    if options.encoding == "one_hot":
        return (
            f"--max-length {options.num_positions} with {options.num_characters} characters as "
            f"one_hot: {size}"
        )
    return f"--max-length {options.num_positions}: {size}"


def _advice(options: Options) -> str:
    smaller = "choose a smaller --max-length"
    return smaller if options.encoding == "ids" else f"{smaller} or --encoding ids"
