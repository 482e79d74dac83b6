"""The files of `deploy/` are what they should be: by schemas, by our arguments, by what they say of each other."""

import json
import re
import runpy
import shutil
import subprocess
import sys
from importlib.metadata import requires
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate  # pyright: ignore[reportMissingTypeStubs] - it has none
import pytest
import yaml

from autogen_core import AgentId, AgentRuntime, try_get_known_serializers_for_type
from autogen_ext.runtimes._cli import health, life
from autogen_ext.runtimes._cli.commands import make_parser
from autogen_ext.runtimes.nats import NatsAgentRuntime, NatsSecurity

from .certificates import certify
from .conftest import NewClient, Start
from .processes import Command, probe

ROOT = Path(__file__).resolve().parents[5]
DEPLOY = ROOT / "deploy"
GUIDE = ROOT / "docs" / "guides" / "deployment.md"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
VERSIONS = ("1.31", "1.37")
NEWEST = VERSIONS[-1]

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OBJECTS: list[dict[str, Any]] = [
    one for path in MANIFESTS for one in yaml.safe_load_all(path.read_text()) if one is not None
]
WORKLOADS = [one for one in OBJECTS if one["kind"] in {"Deployment", "StatefulSet"}]
OURS = [one for one in WORKLOADS if one["metadata"]["name"] != "nats"]


def name(one: dict[str, Any]) -> str:
    return f"{one['kind']}-{one['metadata']['name']}"


def pod(one: dict[str, Any]) -> dict[str, Any]:
    return one["spec"]["template"]["spec"]


def container(one: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod(one)["containers"]
    return only


def program(path: str) -> str:
    found = shutil.which(path, path=str(Path(sys.executable).parent)) or shutil.which(path)
    assert found is not None, f"{path} is not installed; it is among the requirements for development"
    return found


# Schemas


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("one", OBJECTS, ids=name)
def test_a_manifest_is_one_by_the_schema_of_kubernetes(one: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(one, version, strict=True)


def test_a_wrong_manifest_would_be_noticed() -> None:
    wrong = json.loads(json.dumps(OURS[0]))
    container(wrong)["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)


def test_the_compose_file_is_one_by_its_schema() -> None:
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    jsonschema.validate(COMPOSE, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**COMPOSE, "services": {"server": {"comand": []}}}, schema)


def test_the_dockerfile_has_no_bad_practice() -> None:
    said = subprocess.run([program("hadolint"), DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, "")


def test_the_nats_servers_understand_their_configuration(tmp_path: Path) -> None:
    """As the server itself reads it, with files in other places."""
    tls, users = tmp_path / "tls", tmp_path / "users"
    tls.mkdir()
    users.mkdir()
    own = certify(tls, "own")
    for path, content in (("tls.crt", own.path), ("tls.key", own.key), ("ca.crt", own.path)):
        shutil.copy(content, tls / path)
    example = re.search(r"^authorization \{.*?^\}", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert example is not None
    (users / "users.conf").write_text(example[0])
    (config,) = [one["data"]["nats.conf"] for one in OBJECTS if one["metadata"]["name"] == "nats-config"]
    assert "/etc/nats" in config
    path = tmp_path / "config" / "nats.conf"
    path.parent.mkdir()
    path.write_text(config.replace("/etc/nats", str(tmp_path)))
    command = [program("nats-server"), "-t", "-c", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, env={"POD_NAME": "nats-0"})
    assert said.returncode == 0, said.stderr


# What the files say of each other


def arguments(one: dict[str, Any]) -> Any:
    environment = any("envFrom" in each for each in pod(one)["containers"])
    given = [*container(one)["args"], *(["--connect=tls://nats:4222"] if environment else [])]
    return make_parser().parse_args(given)


@pytest.mark.parametrize("one", OURS, ids=name)
def test_the_time_for_ending_is_enough_for_draining(one: dict[str, Any]) -> None:
    before = container(one).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    needed = before + arguments(one).drain_timeout + life._PATIENCE_S
    assert pod(one)["terminationGracePeriodSeconds"] >= needed


@pytest.mark.parametrize("one", OURS, ids=name)
def test_probes_ask_where_the_command_answers_and_wait_long_enough(one: dict[str, Any]) -> None:
    ports = {port["name"]: port["containerPort"] for port in container(one)["ports"]}
    assert arguments(one).health == health.Address("0.0.0.0", ports["health"])
    probes = {kind: container(one)[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")}
    for asked in probes.values():
        assert asked["httpGet"]["port"] == "health"
        assert asked["timeoutSeconds"] > health._LOOP_S
    assert [asked["httpGet"]["path"] for asked in probes.values()] == ["/readyz", "/readyz", "/healthz"]
    startup = probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"]
    assert startup > getattr(arguments(one), "connect_timeout", 0)


@pytest.mark.parametrize("one", OURS, ids=name)
def test_files_that_arguments_name_are_mounted(one: dict[str, Any]) -> None:
    mounts = [mount["mountPath"] for mount in container(one)["volumeMounts"]]
    named = [argument.partition("=")[2] for argument in container(one)["args"] if "=/" in argument]
    assert named
    for path in named:
        assert any(path.startswith(f"{mount}/") for mount in mounts), path


@pytest.mark.parametrize("one", WORKLOADS, ids=name)
def test_workloads_run_without_privileges_and_with_limits(one: dict[str, Any]) -> None:
    own, whole = container(one)["securityContext"], pod(one)["securityContext"]
    assert whole["runAsNonRoot"] is True
    assert (own["allowPrivilegeEscalation"], own["readOnlyRootFilesystem"]) == (False, True)
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert {"requests", "limits"} <= set(container(one)["resources"])
    assert pod(one)["automountServiceAccountToken"] is False


def test_everything_that_selects_finds_something() -> None:
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in WORKLOADS]
    by_label = [one for one in OBJECTS if one["kind"] in {"Service", "PodDisruptionBudget", "NetworkPolicy"}]
    for one in by_label:
        spec = one["spec"]
        wanted = spec.get("podSelector", spec.get("selector", {}))
        wanted = wanted.get("matchLabels", wanted)
        assert any(wanted.items() <= each.items() for each in labels), name(one)
    for one in WORKLOADS:
        assert one["spec"]["selector"]["matchLabels"] == one["spec"]["template"]["metadata"]["labels"]
    assert {one["metadata"]["namespace"] for one in OBJECTS if one["kind"] != "Namespace"} == {"autogen"}


def test_what_is_mounted_is_there_or_made_as_the_guide_says() -> None:
    config = {one["metadata"]["name"] for one in OBJECTS if one["kind"] == "ConfigMap"}
    guide = GUIDE.read_text()
    for one in WORKLOADS:
        for volume in pod(one)["volumes"]:
            if "configMap" in volume:
                assert volume["configMap"]["name"] in config
            if "secret" in volume:
                assert re.search(rf"create secret \w+ {volume['secret']['secretName']}\b", guide), volume


def test_who_runs_in_the_image_is_who_may_write_in_the_cluster() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    user = re.search(r"^USER (\d+):(\d+)$", dockerfile, re.MULTILINE)
    assert user is not None
    for one in OURS:
        whole = pod(one)["securityContext"]
        assert (str(whole["runAsUser"]), str(whole["runAsGroup"])) == user.groups()
        assert container(one)["image"] == SERVICES["server"]["image"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_composed_service_has_arguments_that_fit_and_time_to_end(service: str) -> None:
    one = SERVICES[service]
    options = make_parser().parse_args(one["command"])
    assert options.health == health.Address("0.0.0.0", 8080)
    assert ":8080/readyz" in one["healthcheck"]["test"][-1]
    grace = float(one["stop_grace_period"].removesuffix("s"))
    assert grace >= getattr(options, "drain_timeout", 10) + life._PATIENCE_S
    mounted = {f"/run/secrets/{secret}" for secret in one["secrets"]}
    assert mounted >= {word.partition("=")[2] for word in one["command"] if "/run/secrets" in word}
    for other in one.get("depends_on", {}):
        assert f"//{other}:" in options.connect


def test_the_image_has_what_the_packages_need() -> None:
    pinned = set(re.findall(r"^([\w.-]+)==", (DEPLOY / "requirements.txt").read_text(), re.MULTILINE))
    needed = {
        re.split(r"[^\w.-]", line)[0]
        for package in ("autogen-core", "autogen-agentchat", "autogen-ext")
        for line in requires(package) or ()
        if "extra ==" not in line or re.search(r"extra == ['\"](grpc|nats)['\"]", line)
    }
    assert {one for one in needed if not one.startswith("autogen")} <= pinned


# The sample


class Sample:
    """The sample's messages, and what its clerk is to say to one."""

    def __init__(self) -> None:
        found = runpy.run_path(str(DEPLOY / "app" / "agents.py"))
        self.kinds = [found["Question"], found["Answer"]]
        self.question = found["Question"]("house")
        self.answer = found["Answer"]("'house' has 5 letters")

    async def answered(self, client: AgentRuntime) -> bool:
        for kind in self.kinds:
            client.add_message_serializer(try_get_known_serializers_for_type(kind))
        return await client.send_message(self.question, AgentId("clerk", "1")) == self.answer


async def test_the_composed_services_work(start: Start, tmp_path: Path) -> None:
    """With the composed arguments themselves, but for the places that are the container's own."""
    secrets = {"token": "s3cret", "tokens": json.dumps({"s3cret": {}})}
    for name, content in secrets.items():
        (tmp_path / name).write_text(content)
    places = {"/run/secrets": str(tmp_path), "=/data": f"={tmp_path}", "0.0.0.0": "127.0.0.1", ":8080": ":0"}
    places["--port=4222"] = "--port=0"
    sample = {"PYTHONPATH": str(DEPLOY / "app")}

    async def run(service: str) -> Command:
        command: list[str] = SERVICES[service]["command"]
        for place, ours in places.items():
            command = [word.replace(place, ours) for word in command]
        return await (await start(*command, environment=sample)).ready()

    server = await run("server")
    places["server:4222"] = await server.listens()
    workers = [await run(service) for service in ("experts", "clerks", "experts")]
    for worker in workers:
        assert await probe(f"{await worker.health()}/readyz") == (200, {"status": "ready"})
    client = NatsAgentRuntime(f"nats://{await server.listens()}", security=NatsSecurity(token="s3cret"), timeout=20)
    await client.start()
    try:
        assert await Sample().answered(client)
    finally:
        await client.close()


async def test_the_agents_of_the_sample_answer_on_grpc_too(start: Start, new_client: NewClient) -> None:
    address = await (await start("host", "--listen", "127.0.0.1:0")).listens()
    sample = {"PYTHONPATH": str(DEPLOY / "app")}
    for function in ("agents:experts", "agents:clerks"):
        await (await start("worker", function, "--connect", f"grpc://{address}", environment=sample)).ready()
    assert await Sample().answered(await new_client(address))
