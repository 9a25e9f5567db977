"""The command lines and variables in deploy/, as Kubernetes would start them."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from charseq.flags import make_parser, parse
from charseq.server.gate import OPEN_PATHS, known_hosts
from charseq.server.options import ServeOptions
from deploy.flink.cluster import Cluster as FlinkCluster
from deploy.spark.cluster import Cluster as SparkCluster
from pipeline.options import parse_command_line
from pipeline.runtime.beam_options import unknown_to_beam
from pipeline.worker_pool import parse_command_line as parse_worker_pool
from tests.deploy.readme import PAGE, commands
from tests.deploy.support.pods import command, containers, environment, on_volume, pod_spec, read
from tests.support.paths import ROOT

pytestmark = pytest.mark.unit

DEPLOY = ROOT / "deploy"
BASE = DEPLOY / "kubernetes" / "base"
TRAINING = DEPLOY / "kubernetes" / "training"
SERVING = DEPLOY / "kubernetes" / "serving"
OVERLAYS = DEPLOY / "kubernetes" / "overlays"
SHELL = DEPLOY / "kubernetes" / "shell.yaml"
JOB = "metadata.labels['batch.kubernetes.io/job-name']"
POD = {"metadata.labels['batch.kubernetes.io/job-name']": "scheduled-run-29400660"}
INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
SHOW = f"#!{sys.executable}\nimport json, os, sys\nprint(json.dumps([os.getpid(), sys.argv[1:]]))\n"


def manifests(path: Path) -> dict[str, Any]:
    return {manifest["kind"]: manifest for manifest in read(path.read_text())}


def settings(overlay: str) -> dict[str, str]:
    found: dict[str, str] = {}
    base = {"train": TRAINING, "serve": SERVING}.get(overlay.split("-")[0], BASE)
    for folder in (base, OVERLAYS / overlay):
        kustomization = manifests(folder / "kustomization.yaml")["Kustomization"]
        for generator in kustomization.get("configMapGenerator", []):
            found.update(literal.split("=", 1) for literal in generator["literals"])
    return found


def steps_of(kind: str, path: Path) -> dict[str, Any]:
    return {step["name"]: step for step in containers(pod_spec(manifests(path)[kind]))}


def started(step: dict[str, Any], overlay: str, data: Path) -> list[str]:
    """What Python is given by a container whose volume is `data`, [] where it is not started."""
    python = data / "programs" / "python"
    python.parent.mkdir(exist_ok=True)
    python.write_text(SHOW)
    python.chmod(0o755)
    here = {name: on_volume(value, data) for name, value in settings(overlay).items()}
    variables = environment(step, here, POD)
    variables["PATH"] = f"{python.parent}:{os.environ['PATH']}"
    words = [on_volume(word, data) for word in command(step, variables)]
    with subprocess.Popen(words, env=variables, stdout=subprocess.PIPE, text=True) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    if not output:
        return []
    number, argv = json.loads(output)
    # Kubernetes sends SIGTERM to the first process only.
    assert number == process.pid
    assert not [word for word in argv if "$" in word]
    return argv  # type: ignore[no-any-return]


SCHEDULED = ("CronJob", BASE / "scheduled-run.yaml")
TRAIN = ("Job", TRAINING / "train.yaml")
SERVE = ("Deployment", SERVING / "model.yaml")
PREPARE = ("Job", DEPLOY / "flink" / "prepare.yaml")


@pytest.mark.parametrize(
    ("manifest", "step"),
    [(SCHEDULED, "train"), (SCHEDULED, "evaluate"), (SCHEDULED, "promote"), (TRAIN, "trainer")],
)
@pytest.mark.parametrize("overlay", ["one-node", "several-nodes"])
def test_the_trainer_knows_its_flags(
    manifest: tuple[str, Path],
    step: str,
    overlay: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Status 2 is for a wrong command line; that there is no data is another matter."""
    overlay = f"train-{overlay}" if manifest == TRAIN else overlay
    _, module, *flags = started(steps_of(*manifest)[step], overlay, tmp_path)
    main = importlib.import_module(f"{module}.__main__").main
    assert main(flags) == 1
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overlay", "registry"),
    [
        ("serve-one-node", "{}/registry"),
        ("serve-several-nodes", "{}/registry"),
        ("serve-bucket", "s3://bucket/registry"),
    ],
)
def test_the_server_knows_its_flags(overlay: str, registry: str, tmp_path: Path) -> None:
    step = steps_of(*SERVE)["server"]
    _, module, *flags = started(step, overlay, tmp_path)
    assert module == "charseq.server"
    options = parse(ServeOptions, make_parser(ServeOptions, prog="", description=""), flags)
    assert options.registry == registry.format(tmp_path)
    assert [{"name": "http", "containerPort": options.port}] == step["ports"]
    service = manifests(SERVE[1])["Service"]
    name = service["metadata"]["name"]
    suffixes = ("", ".charseq", ".charseq.svc", ".charseq.svc.cluster.local")
    assert known_hosts(options.host, options.allow_host) == {
        *("localhost", "127.0.0.1", "[::1]"),
        *(name + suffix for suffix in suffixes),
    }


def test_a_server_is_asked_by_probes_and_ends_in_time() -> None:
    deployment = manifests(SERVE[1])["Deployment"]
    spec = pod_spec(deployment)
    (step,) = spec["containers"]
    probes = {name: step[name]["httpGet"] for name in step if name.endswith("Probe")}
    assert {probe["path"] for probe in probes.values()} <= OPEN_PATHS
    assert {probe["port"] for probe in probes.values()} == {"http"}
    (_, seconds) = step["lifecycle"]["preStop"]["exec"]["command"]
    timeout = ServeOptions(registry="models").timeout
    assert spec["terminationGracePeriodSeconds"] >= int(seconds) + timeout + 10
    # Or each `kubectl apply` would undo what the HorizontalPodAutoscaler chose.
    assert "replicas" not in deployment["spec"]
    assert manifests(SERVE[1])["HorizontalPodAutoscaler"]["spec"]["minReplicas"] == 2


def test_a_server_cannot_write_to_the_volume() -> None:
    (step,) = steps_of(*SERVE).values()
    mounts = {mount["name"]: mount.get("readOnly", False) for mount in step["volumeMounts"]}
    assert mounts == {"data": True, "temporary": False}


def test_only_a_server_with_its_registry_in_a_bucket_reaches_one() -> None:
    buckets = read((BASE / "network-policy.yaml").read_text())[1]["spec"]["podSelector"]
    template = manifests(SERVE[1])["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert template == {"app.kubernetes.io/name": "model", "volume": "charseq"}
    (patch,) = read((OVERLAYS / "serve-bucket" / "bucket.yaml").read_text())
    changed = patch["spec"]["template"]["metadata"]["labels"]
    assert changed == {"volume": None, **buckets["matchLabels"]}
    generator = manifests(SERVING / "kustomization.yaml")["Kustomization"]["labels"]
    assert [entry.get("includeTemplates", False) for entry in generator] == [False]


def test_the_model_is_asked_by_pods_with_a_label_only() -> None:
    model, clients = (each["spec"] for each in read((SERVING / "network-policy.yaml").read_text()))
    pods = {"matchLabels": {"app.kubernetes.io/name": "model"}}
    label = {"matchLabels": {"model-client": "true"}}
    port = [{"protocol": "TCP", "port": ServeOptions(registry="models").port}]
    assert model == {
        "podSelector": pods,
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [{"podSelector": label}, {"namespaceSelector": label}], "ports": port}
        ],
    }
    assert clients["podSelector"] == label
    assert clients["egress"][0] == {"to": [{"podSelector": pods}], "ports": port}


def test_pods_join_others_on_the_node_of_a_volume_that_one_node_has() -> None:
    templates = [
        manifests(SCHEDULED[1])["CronJob"]["spec"]["jobTemplate"]["spec"]["template"],
        manifests(TRAIN[1])["Job"]["spec"]["template"],
        manifests(SERVE[1])["Deployment"]["spec"]["template"],
        manifests(SHELL)["Pod"],
    ]
    label = {"volume": "charseq"}
    for template in templates:
        claims = [volume.get("persistentVolumeClaim") for volume in template["spec"]["volumes"]]
        assert {"claimName": "charseq"} in claims
        assert label.items() <= template["metadata"]["labels"].items()
    term = {"labelSelector": {"matchLabels": label}, "topologyKey": "kubernetes.io/hostname"}
    required = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    patches = ("one-node/node.yaml", "train-one-node/train.yaml", "serve-one-node/node.yaml")
    for path in patches:
        (patch,) = read((OVERLAYS / path).read_text())
        assert pod_spec(patch)["affinity"] == required
    # A drain would wait for ever: no other node may have the pod in place of the first that ends.
    (budget,) = read((OVERLAYS / "serve-one-node" / "budget.yaml").read_text())
    assert (budget["kind"], budget["$patch"]) == ("PodDisruptionBudget", "delete")
    (preferred,) = pod_spec(manifests(SHELL)["Pod"])["affinity"]["podAffinity"].values()
    assert [each["podAffinityTerm"] for each in preferred] == [term]


@pytest.mark.parametrize(("manifest", "own"), [(SCHEDULED, 0), (PREPARE, 6)])
def test_the_pipeline_and_beam_know_their_flags(
    manifest: tuple[str, Path], own: int, tmp_path: Path
) -> None:
    _, module, *flags = started(steps_of(*manifest)["prepare"], "one-node", tmp_path)
    assert module == "pipeline"
    options, beam_flags = parse_command_line(flags)
    assert options.input == (f"{tmp_path}/input/*.csv",)
    assert len(beam_flags) == own
    assert unknown_to_beam(beam_flags) == []


def test_the_page_makes_each_directory_before_it_copies_a_file_there() -> None:
    """As kubectl cp makes none, and a new volume has none."""
    made, copied_to = [], []
    for words in commands(PAGE.read_text()):
        if "mkdir" in words:
            made.append(words[-1])
        elif "cp" in words and words[-1].startswith("shell:"):
            copied_to.append(os.path.dirname(words[-1].removeprefix("shell:")))
            assert made[-1:] == copied_to[-1:]
    assert copied_to == ["/data/input"]


def labels_of(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "charseq"}


def test_flink_admits_the_pods_of_its_job_only() -> None:
    policies = {
        each["metadata"]["name"]: each["spec"]
        for each in read((DEPLOY / "flink" / "network-policy.yaml").read_text())
    }
    peers = {
        direction: {
            name: [
                (peer, [port["port"] for port in rule.get("ports", [])])
                for rule in spec.get(direction, [])
                for peer in rule["from" if direction == "ingress" else "to"]
            ]
            for name, spec in policies.items()
        }
        for direction in ("ingress", "egress")
    }

    def pods(name: str) -> dict[str, Any]:
        return {"podSelector": {"matchLabels": labels_of(name)}}

    operator = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "flink-operator"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "flink-kubernetes-operator"}},
    }
    assert peers["ingress"] == {
        "flink": [(pods("flink"), []), (pods("beam-job-server"), [8081]), (operator, [8081])],
        "beam-job-server": [(pods("prepare"), [8099, 8098])],
        "prepare": [],
    }
    assert peers["egress"] == {
        "flink": [(pods("flink"), [])],
        "beam-job-server": [(pods("flink"), [8081])],
        "prepare": [(pods("beam-job-server"), [8099, 8098])],
    }


def test_each_pod_of_the_flink_job_has_a_policy_for_both_directions() -> None:
    folder = DEPLOY / "flink"
    resources = manifests(folder / "kustomization.yaml")["Kustomization"]["resources"]
    applied = [each for name in resources for each in read((folder / name).read_text())]
    pods = [
        spec.get("template") or spec["podTemplate"]
        for spec in (each["spec"] for each in applied)
        if "template" in spec or "podTemplate" in spec
    ]
    names = ["flink", "beam-job-server", "prepare"]
    assert [pod["metadata"]["labels"] for pod in pods] == [labels_of(name) for name in names]
    policies = {
        each["metadata"]["name"]: each["spec"]
        for each in applied
        if each["kind"] == "NetworkPolicy"
    }
    assert list(policies) == names
    for name, spec in policies.items():
        assert spec["podSelector"] == {"matchLabels": labels_of(name)}
        assert spec["policyTypes"] == ["Ingress", "Egress"]


def test_what_is_complete_is_passed_over(tmp_path: Path) -> None:
    steps = steps_of(*SCHEDULED)
    for name, file in (("prepare", "datasets/{}/dataset.json"), ("train", "runs/{}/run.json")):
        assert started(steps[name], "one-node", tmp_path) != []
        path = tmp_path / file.format("scheduled-run-29400660")
        path.parent.mkdir(parents=True)
        path.touch()
        assert started(steps[name], "one-node", tmp_path) == []


@pytest.mark.parametrize("index", [0, 3])
def test_each_worker_gets_its_own_tf_config(index: int) -> None:
    job = manifests(OVERLAYS / "train-several-nodes" / "train.yaml")["Job"]
    service = manifests(OVERLAYS / "several-nodes" / "workers.yaml")["Service"]
    (trainer,) = containers(pod_spec(job))
    pod = {INDEX: str(index), JOB: "train-7"}
    found = json.loads(environment(trainer, {}, pod)["TF_CONFIG"])
    assert found == {
        "cluster": {
            "worker": [
                "train-7-0.train:2222",
                "train-7-1.train:2222",
                "train-7-2.train:2222",
                "train-7-3.train:2222",
            ],
        },
        "task": {"type": "worker", "index": index},
    }
    name, port = service["metadata"]["name"], service["spec"]["ports"][0]["port"]
    assert found["cluster"]["worker"] == [
        f"train-7-{number}.{name}:{port}" for number in range(job["spec"]["completions"])
    ]
    assert job["spec"]["parallelism"] == job["spec"]["completions"]
    assert pod_spec(job)["subdomain"] == name


def test_strategies() -> None:
    overlays = ("train-one-node", "train-several-nodes")
    found = {overlay: settings(overlay)["STRATEGY"] for overlay in overlays}
    assert found == {"train-one-node": "mirrored", "train-several-nodes": "multi_worker"}


def test_what_is_applied_again_holds_no_job() -> None:
    """A Job cannot be changed: an overlay that has one would have to be deleted first."""
    for overlay in ("one-node", "several-nodes"):
        kustomization = manifests(OVERLAYS / overlay / "kustomization.yaml")["Kustomization"]
        files = [
            BASE / name
            for name in manifests(BASE / "kustomization.yaml")["Kustomization"]["resources"]
        ]
        files += [
            OVERLAYS / overlay / name for name in kustomization["resources"] if name[0] != "."
        ]
        files += [
            SERVING / name
            for name in manifests(SERVING / "kustomization.yaml")["Kustomization"]["resources"]
        ]
        assert "Job" not in {kind for file in files for kind in manifests(file)}
    for overlay in ("train-one-node", "train-several-nodes"):
        kustomization = manifests(OVERLAYS / overlay / "kustomization.yaml")["Kustomization"]
        assert kustomization["resources"] == ["../../training"]
        assert kustomization["nameSuffix"] == "-1"
    assert list(manifests(TRAINING / "train.yaml")) == ["Job"]


def test_the_parts_of_the_flink_cluster_fit_each_other(tmp_path: Path) -> None:
    flink = DEPLOY / "flink"
    cluster = yaml.safe_load((flink / "cluster.yaml").read_text())["spec"]
    flags = dict(
        flag.split("=", 1)
        for flag in started(steps_of(*PREPARE)["prepare"], "one-node", tmp_path)[2:]
    )
    configuration = cluster["flinkConfiguration"]
    slots = int(configuration["taskmanager.numberOfTaskSlots"])
    assert int(flags["--parallelism"]) == cluster["taskManager"]["replicas"] * slots
    _, pool = cluster["taskManager"]["podTemplate"]["spec"]["containers"]
    python, flag, module, *pool_flags = pool["command"]
    assert (python, flag, module, "args" in pool) == ("python", "-m", "pipeline.worker_pool", False)
    options = parse_worker_pool(pool_flags)
    # It runs what it is sent: no other pod may reach it.
    assert options.host == "127.0.0.1"
    assert flags["--environment_config"] == f"localhost:{options.port}"
    delay = configuration["restart-strategy.fixed-delay.delay"]
    assert delay == "60 s"
    assert 5 * int(flags["--environment_cache_millis"]) <= 60_000
    service = manifests(flink / "job-server.yaml")["Service"]
    port = service["spec"]["ports"][0]["port"]
    assert flags["--job_endpoint"] == f"{service['metadata']['name']}:{port}"
    assert (
        f"--job-port={port}"
        in steps_of("Deployment", flink / "job-server.yaml")["job-server"]["args"]
    )


def test_the_versions_are_those_of_the_session_cluster() -> None:
    """What make flink-test runs is what the manifests name."""
    found = re.search(
        r"<artifactId>beam-runners-flink-([\d.]+)</artifactId>\s*<version>([\d.]+)</version>",
        FlinkCluster.pom.read_text(),
    )
    assert found is not None
    flink, beam = found.groups()
    cluster = yaml.safe_load((DEPLOY / "flink" / "cluster.yaml").read_text())["spec"]
    (server,) = steps_of("Deployment", DEPLOY / "flink" / "job-server.yaml").values()
    assert cluster["flinkVersion"] == f"v{flink.replace('.', '_')}"
    assert cluster["image"].startswith(f"flink:{flink}-")
    assert server["image"] == f"apache/beam_flink{flink}_job_server:{beam}"


def test_the_pages_name_the_versions_of_the_spark_session() -> None:
    """What make spark-test runs is what users read."""
    versions = dict(
        re.findall(
            r"<artifactId>([\w.-]+)</artifactId>\s*<version>([\d.]+)</version>",
            SparkCluster.pom.read_text(),
        )
    )
    beam, spark = versions["beam-runners-spark-3"], versions["spark-core_2.12"]
    page = (DEPLOY / "spark" / "README.md").read_text()
    assert f"Tested: Beam {beam.removesuffix('.0')} on Spark {spark} (Scala 2.12)" in page
    assert f"beam-runners-spark-3-{beam}.jar" in page
    assert f"slf4j-api-{versions['slf4j-api']}.jar" in page
    engines = (ROOT / "docs" / "engines.md").read_text()
    assert f"Spark {spark}, Beam's runner {beam.removesuffix('.0')}" in engines
