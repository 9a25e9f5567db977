"""Download the jars of an engine with Maven."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from charseq.errors import DataError


def fetch_jars(folder: Path, pom: Path) -> Path:
    """Download the jars of `pom` with Maven, unless they are in `folder`; return their path.

    Raises:
        DataError: there is no Maven or no Java, or Maven fails.
    """
    jars, fetched, log = folder / "jars", folder / "pom.xml", folder / "maven.log"
    if fetched.exists() and fetched.read_bytes() == pom.read_bytes():
        return jars
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            raise DataError(f"{tool} is needed (Debian: apt-get install default-jre maven)")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = ["mvn", "--quiet", "--batch-mode", "--file", str(pom)]
    command += ["dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
    with log.open("wb") as output:
        if subprocess.run(command, stdout=output, stderr=output, timeout=900).returncode:
            raise DataError(f"Maven could not fetch the jars: see {log}")
    shutil.copy(pom, fetched)
    return jars
