"""The manifests of deploy/flink, judged by Kubernetes and the definition of FlinkDeployment.

That the cluster, the worker pool and the flags do their work is `make flink-test`'s to show.
"""

from __future__ import annotations

import json
import sys
import zipfile
from itertools import zip_longest
from pathlib import Path
from typing import Any

from charseq.cli import exit_status
from deploy.support.maven import fetch_jars
from deploy.support.processes import ROOT, wait_until
from tests.deploy.kubernetes import make_namespace
from tests.deploy.support.api_server import ApiServer, api_server
from tests.deploy.support.pods import Manifest, read
from tests.deploy.support.tools import (
    CACHE,
    build,
    check_custom_resource,
    check_schemas,
    fetch_tools,
)

HERE = ROOT / "deploy" / "flink"
POM = ROOT / "tests" / "deploy" / "support" / "pom.xml"
KIND = "FlinkDeployment"
RESOURCES = "/apis/flink.apache.org/v1beta1/flinkdeployments"
DEFINITION = "META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"


def main() -> int:
    """Check the manifests; 1 if one is refused."""
    return exit_status(_check)


def _check() -> None:
    tools, definition = fetch_tools(), fetch_definition()
    text = build(tools, HERE)
    print(f"flink: {check_schemas(tools, text, own=[KIND])} documents fit Kubernetes' schemas")
    (cluster,) = (manifest for manifest in read(text) if manifest["kind"] == KIND)
    check_custom_resource(tools, definition, json.dumps(cluster))
    print(f"{KIND} fits the operator's definition of it")
    with api_server(tools) as server:
        if server:
            apply_all(server, definition, cluster)


def fetch_definition() -> Path:
    """The CustomResourceDefinition, from the jar of the operator's API."""
    (jar,) = fetch_jars(CACHE / "operator", POM).glob("*.jar")
    with zipfile.ZipFile(jar) as archive:
        return Path(archive.extract(DEFINITION, CACHE / "operator"))


def apply_all(server: ApiServer, definition: Path, cluster: Manifest) -> None:
    """Let the server judge all, and the pods that the operator will make of the templates."""
    make_namespace(server)
    server.apply("--filename", str(definition))
    wait_until(lambda: server.has(RESOURCES), 60, f"an API server that knows {KIND}")
    print(f"flink: the API server takes all {server.dry_run('--kustomize', str(HERE))}")
    for name in ("jobManager", "taskManager"):
        file = CACHE / f"{name}.json"
        file.write_text(json.dumps(pod(cluster["spec"], name)))
        server.dry_run("--filename", str(file))
        print(f"flink: the namespace lets a pod of the {name} in")


def pod(spec: Manifest, name: str) -> Manifest:
    """The operator's pod, as far as the templates say: the later wins, lists by position."""
    template = merged(spec["podTemplate"], spec[name].get("podTemplate", {}))
    template["spec"]["containers"][0]["image"] = spec["image"]
    template["spec"]["serviceAccountName"] = spec["serviceAccount"]
    metadata = {**template["metadata"], "name": name.lower(), "namespace": "charseq"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def merged(first: Any, second: Any) -> Any:
    """Two templates in one."""
    if isinstance(first, dict) and isinstance(second, dict):
        keys = [*first, *(key for key in second if key not in first)]
        return {key: merged(first.get(key), second.get(key)) for key in keys}
    if isinstance(first, list) and isinstance(second, list):
        return [merged(one, other) for one, other in zip_longest(first, second)]
    return first if second is None else second


if __name__ == "__main__":
    sys.exit(main())
