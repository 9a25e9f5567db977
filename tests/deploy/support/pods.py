"""The containers of a manifest, and what Kubernetes would start in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

Manifest = dict[str, Any]


def read(text: str) -> list[Manifest]:
    """The documents of a YAML file."""
    return [document for document in yaml.safe_load_all(text) if document]


def pod_spec(manifest: Manifest) -> Manifest:
    """The pods that a Job, CronJob, Deployment or Pod is for."""
    spec: Manifest = manifest["spec"]
    if manifest["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec if manifest["kind"] == "Pod" else spec["template"]["spec"]


def containers(spec: Manifest) -> Iterator[Manifest]:
    """In the order in which they are started."""
    yield from spec.get("initContainers", [])
    yield from spec["containers"]


def environment(
    container: Manifest, settings: Mapping[str, str], pod: Mapping[str, str]
) -> dict[str, str]:
    """The variables of a container.

    settings: what its ConfigMap holds. pod: the values of the fieldPaths that it asks for. Secrets
    are all optional, and not there.
    """
    found = dict(settings) if any("configMapRef" in e for e in container.get("envFrom", [])) else {}
    for variable in container.get("env", []):
        if "value" in variable:
            found[variable["name"]] = expand(variable["value"], found)
        elif not variable["valueFrom"].get("secretKeyRef", {}).get("optional"):
            found[variable["name"]] = pod[variable["valueFrom"]["fieldRef"]["fieldPath"]]
    return found


def command(container: Manifest, variables: Mapping[str, str]) -> list[str]:
    """The command line of a container, as it is started."""
    words = [*container.get("command", []), *container.get("args", [])]
    return [expand(word, variables) for word in words]


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Put variables in for $(NAME), as Kubernetes does; an unknown one stays as it is."""
    return re.sub(r"\$\(([\w.-]+)\)", lambda name: variables.get(name[1], name[0]), text)


def on_volume(text: str, place: object) -> str:
    """`text` with the volume at `place`."""
    return re.sub(r"(?<![\w.])/data(?=/|$)", str(place), text)
