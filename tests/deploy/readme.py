"""The kubectl commands of deploy/README.md, given to a real API server in their order.

With no cluster behind it nothing starts, so what asks a pod is left out: tests/image runs that.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from string import Template

from charseq.cli import exit_status
from deploy.support.processes import ROOT, wait_until
from tests.deploy.flink import RESOURCES, fetch_definition
from tests.deploy.support.api_server import api_server
from tests.deploy.support.tools import fetch_tools

PAGE = ROOT / "deploy" / "README.md"
NEED_PODS = ("cp", "exec", "logs", "port-forward", "rollout", "wait")


def main() -> int:
    """Run the commands; 1 if the server refuses one."""
    return exit_status(_check)


def _check() -> None:
    tools, definition = fetch_tools(), fetch_definition()
    with api_server(tools) as server:
        if server is None:
            return
        server.apply("--filename", str(definition))
        wait_until(lambda: server.has(RESOURCES), 60, "an API server that knows FlinkDeployment")
        done = 0
        for words in commands(PAGE.read_text()):
            if not set(words).isdisjoint(NEED_PODS):
                print(f"left out: kubectl {shlex.join(words)}")
                continue
            server.ask(*words)
            done += 1
        print(f"{done} commands done")


def commands(page: str) -> Iterator[list[str]]:
    """What follows kubectl in the page's blocks of commands, which are run in the checkout."""
    exported = dict(re.findall(r"^\$ export (\w+)=(\S+)$", page, re.MULTILINE))
    for found in re.finditer(r"^ *\$ kubectl ((?:.*\\\n)*.*)", page, re.MULTILINE):
        line = Template(found[1].replace("\\\n", " ")).substitute(exported)
        yield shlex.split(line, comments=True)


if __name__ == "__main__":
    sys.exit(main())
