"""python -m tests.advisories: the locked versions compared with known advisories, those of OSV.

One request names every package of `requirements.lock`. Exit status: 0 none is known, or the service
cannot be reached, which is said; 1 there are some.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

from tests.support.paths import ROOT

SERVICE = "https://api.osv.dev/v1/querybatch"
_SECONDS = 30
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)

Package = tuple[str, str]
Ask = Callable[[dict[str, Any]], dict[str, Any]]


def main() -> int:
    """Print the advisories of each package of the lock; return the exit status."""
    packages = locked_packages((ROOT / "requirements.lock").read_text())
    try:
        found = find_advisories(packages, ask_service)
    except OSError as error:
        print(f"NOT CHECKED: {len(packages)} packages for advisories: {SERVICE}: {error}")
        return 0
    for (name, version), numbers in found.items():
        print(f"{name} {version}: {', '.join(numbers)}")
    print(f"{len(packages)} packages checked, {len(found)} with known advisories")
    return 1 if found else 0


def locked_packages(lock: str) -> list[Package]:
    """Return name and version of each package of a lock, which may have several of one name."""
    return sorted(set(_PINNED.findall(lock)))


def find_advisories(packages: Sequence[Package], ask: Ask) -> dict[Package, list[str]]:
    """Return the numbers of the advisories of each package that has some.

    Raises:
        OSError: the service cannot be reached, or answers for other packages.
    """
    queries = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
        for name, version in packages
    ]
    results = ask({"queries": queries}).get("results", [])
    if len(results) != len(packages):
        raise OSError(f"{len(results)} answers for {len(packages)} packages")
    return {
        package: [advisory["id"] for advisory in result["vulns"]]
        for package, result in zip(packages, results, strict=True)
        if result.get("vulns")
    }


def ask_service(query: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of the service.

    Raises:
        OSError: it cannot be reached.
    """
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(SERVICE, json.dumps(query).encode(), headers)
    with urllib.request.urlopen(request, timeout=_SECONDS) as response:
        return json.load(response)  # type: ignore[no-any-return]


if __name__ == "__main__":
    sys.exit(main())
