"""Images that buildah builds and runs: as root, in a storage of their own, without a daemon."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from charseq.errors import DataError
from deploy.support.processes import ROOT, wait_until

# Where the containers see the folder that is mounted into them.
DATA = "/data"
_COMMAND_SECONDS = 600
_BUILD_SECONDS = 3600


class Storage:
    """Images and containers below `folder`, which must exist; the containers end with the block.

    What buildah says goes to `log`. `cache` outlives the storage: it holds what pip has downloaded.
    """

    def __init__(self, folder: Path, cache: Path, log: Path) -> None:
        self._folder, self._cache, self._log = folder, cache, log

    def __enter__(self) -> Storage:
        self._cache.mkdir(exist_ok=True)
        self._log.write_text("")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.buildah("umount", "--all")
        self.buildah("rm", "--all")

    def command(self, *arguments: str) -> list[str]:
        """A command line of buildah."""
        return [
            "buildah",
            f"--root={self._folder}/storage",
            f"--runroot={self._folder}/run",
            "--storage-driver=overlay",
            *arguments,
        ]

    def buildah(self, *arguments: str) -> str:
        """Run buildah; return what it prints on standard output.

        Raises:
            DataError: it fails.
        """
        with self._log.open("ab") as log:
            ended = self._run(arguments, subprocess.PIPE, log, _COMMAND_SECONDS)
        return ended.stdout.decode()

    def _run(
        self, arguments: Sequence[str], output: int | BinaryIO, log: BinaryIO, seconds: float
    ) -> subprocess.CompletedProcess[bytes]:
        ended = subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(self._cache)},
            stdout=output,
            stderr=log,
            timeout=seconds,
        )
        if ended.returncode:
            raise DataError(
                f"buildah {arguments[0]} ended with status {ended.returncode}: see {self._log}"
            )
        return ended

    def commit(self, image: str, root: Path) -> None:
        """Make an image of the files below `root`."""
        container = self.buildah("from", "scratch").strip()
        self.buildah("copy", container, str(root), "/")
        self.buildah("commit", "--rm", container, f"localhost/{image}")

    def build(self, target: str, arguments: Mapping[str, str], *flags: str) -> None:
        """Build a target of the Dockerfile as localhost/charseq-TARGET."""
        command = [
            "build",
            "--isolation=chroot",
            "--format=docker",
            "--layers",
            f"--target={target}",
            *(f"--build-arg={name}={value}" for name, value in arguments.items()),
            *flags,
            f"--tag=localhost/charseq-{target}",
            ".",
        ]
        with self._log.open("ab") as log:
            self._run(command, log, log, _BUILD_SECONDS)

    def sent_files(self) -> set[str]:
        """The files of the checkout that a builder is sent."""
        empty = self._folder / "everything.Dockerfile"
        empty.write_text("FROM scratch\nCOPY . /\n")
        self.buildah("build", f"--file={empty}", "--tag=localhost/everything", ".")
        container = self.buildah("from", "localhost/everything").strip()
        root = Path(self.buildah("mount", container).strip())
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


class Container:
    """A container of an image, with `data` mounted at /data."""

    def __init__(self, storage: Storage, target: str, data: Path) -> None:
        self._storage, self.data = storage, data
        self.image = f"localhost/charseq-{target}"
        self._name = storage.buildah("from", self.image).strip()
        described = json.loads(storage.buildah("inspect", "--type=image", self.image))
        self.config: dict[str, Any] = described["Docker"]["config"]
        self.root = Path(storage.buildah("mount", self._name).strip())

    def ask(self, *command: str, user: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in it, as its own user or as another."""
        flags = ["--isolation=chroot", f"--volume={self.data}:{DATA}"]
        if user:
            flags.append(f"--user={user}")
        return subprocess.run(
            self._storage.command("run", *flags, self._name, "--", *command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
        )

    def run(self, *command: str, user: str = "") -> str:
        """Run a command in it; return what it prints on standard output.

        Raises:
            DataError: it fails.
        """
        ended = self.ask(*command, user=user)
        if ended.returncode:
            raise DataError(
                f"{' '.join(command)} in {self.image} ended with status {ended.returncode}:\n"
                f"{ended.stderr}"
            )
        return ended.stdout

    def entry(self, *arguments: str) -> list[str]:
        """The command line that an engine starts it with."""
        return [*(self.config["Entrypoint"] or ()), *(arguments or self.config["Cmd"] or ())]

    def health_check(self) -> list[str]:
        """The command line by which an engine sees whether it is well."""
        kind, *command = self.config["Healthcheck"]["Test"]
        return command if kind == "CMD" else ["sh", "-c", *command]

    def command_line(
        self,
        command: Sequence[str],
        mounts: Mapping[str, Path],
        user: str = "",
        group: str = "",
        variables: Mapping[str, str] | None = None,
        read_only: Collection[str] = (),
    ) -> list[str]:
        """Return what becomes `command` in the image, with its environment and directory.

        The process keeps its id, so that whoever started it can end it. What an engine would mount
        is mounted for it alone.

        Args:
            command: the program and its arguments.
            mounts: directories of this machine, by their places in the image.
            user: of the process, `user:group`; "" for that of the image.
            group: another group that it is in.
            variables: of its environment, besides those of the image.
            read_only: places of `mounts` that cannot be written to; with "/", neither can all that
                is not below /tmp, /dev or a mount.
        """
        (self.root / "etc/hosts").touch()
        for place in mounts:
            (self.root / place[1:]).mkdir(exist_ok=True)
        enter = [
            'cd "$0"',
            "mount -t proc proc proc",
            "mount --rbind /dev dev",
            "mount --bind /etc/hosts etc/hosts",
            "mount -t tmpfs -o mode=1777 tmpfs tmp",
            *(f"mount --bind {shlex.quote(str(mounts[place]))} .{place}" for place in mounts),
            *(f"mount -o remount,bind,ro .{place}" for place in read_only),
            'exec "$@"',
        ]
        own = self.config["User"]
        environment = [
            *self.config["Env"],
            *(f"{key}={text}" for key, text in (variables or {}).items()),
        ]
        return [
            *("setpriv", "--no-new-privs", "unshare", "--mount"),
            *("sh", "-ec", "\n".join(enter), str(self.root)),
            *("chroot", f"--userspec={user or f'{own}:{own}'}", f"--groups={group or own}", "."),
            *("env", "--ignore-environment", f"--chdir={self.config['WorkingDir']}"),
            *environment,
            *command,
        ]

    def write_starter(self, path: Path, command: Sequence[str]) -> None:
        """Write a program that becomes `command`, followed by its own arguments, in the image."""
        line = shlex.join(self.command_line(command, {DATA: self.data}))
        path.write_text(f'#!/bin/sh\nexec {line} "$@"\n')
        path.chmod(0o755)

    def wait_until_left(self, seconds: float) -> None:
        """Wait until no process runs in it.

        Raises:
            DataError: one goes on for longer.
        """

        def is_left() -> bool:
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    if (process / "root").readlink() == self.root:
                        return False
                except (FileNotFoundError, ProcessLookupError, PermissionError):
                    continue  # it has ended, or is one that not even root may look into
            return True

        wait_until(is_left, seconds, f"the end of all processes in {self.image}")
