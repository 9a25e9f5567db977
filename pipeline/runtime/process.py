"""Settings of a whole process: memory, the S3 client, what is logged.

Importing a module changes none of them. Every command calls `configure_process` before its work,
and a worker, which a runner starts without a command of ours, in `ThreadedDoFn.setup`.
"""

from __future__ import annotations

import logging

from pipeline.runtime.memory import configure_allocators
from pipeline.runtime.s3 import share_client


def configure_process() -> None:
    """Set allocators and the S3 client of this process; calling it again changes nothing."""
    configure_allocators()
    share_client()


def silence_error_logs(local: bool) -> None:
    """Keep out of the log what fails: it is raised as an exception, and Beam logs it as well.

    Args:
        local: whether the runner is of this machine; then warnings of Beam are left out, too.
    """
    # Beam logs the messages of a job server and of an object store at the root.
    logging.getLogger().addFilter(_is_no_error)
    # It warns when threads open more connections than it keeps, which calls for no action.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    if local:
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)


def _is_no_error(record: logging.LogRecord) -> bool:
    return record.levelno < logging.ERROR
