"""The files that an owner deploys several processes with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
import yaml

from bot.formats import decoder
from bot.settings import Settings
from bot.shutdown import SECONDS
from tests.deploy.test_deploy import needs, run
from tests.project.pages import DOCS, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPOSE = ROOT / "deploy" / "compose.scale.yaml"
KUBERNETES = ROOT / "deploy" / "kubernetes" / "coverbot.yaml"
SCHEMA: dict[str, Any] = json.loads(Path(__file__).with_name("kubernetes.json").read_text("utf-8"))

OTHERS = {"POSTGRES_PASSWORD", "STORE_HOST"}
"""What .env has to hold there besides settings of the program."""


# Compose


def composed() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE.read_text("utf-8")))


def test_compose_starts_three_bots_on_one_server_and_one_store() -> None:
    services = composed()["services"]
    assert set(services) == {"coverbot", "postgres", "bucket", "store", "caddy"}
    bot = services["coverbot"]
    assert bot["deploy"]["replicas"] == 3
    known = {name.upper() for name in Settings.model_fields} | {"AWS_ENDPOINT_URL", "AWS_REGION"}
    assert set(bot["environment"]) <= known
    assert bot["environment"]["DATABASE_URL"].startswith("postgresql://coverbot:${POSTGRES_PASSWORD:?}@postgres/")
    assert float(bot["stop_grace_period"].removesuffix("s")) > SECONDS
    # Of each process alone: a volume with a name would be shared.
    assert [volume for volume in bot["volumes"] if ":" in volume] == []
    assert bot["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert "healthcheck" in services["postgres"]


def test_compose_says_what_it_needs_and_opens_nothing_but_the_proxy() -> None:
    text = COMPOSE.read_text("utf-8")
    named = set(re.findall(r"(?<!\$)\$\{(\w+)", text))
    assert named - {name.upper() for name in Settings.model_fields} == OTHERS
    # What is missing is said at once, in place of three bots that cannot start.
    assert re.findall(r"(?<!\$)\$\{\w+\}", text) == []
    head = text.partition("name:")[0]
    pages = (DOCS / "scaling.md").read_text("utf-8")
    assert [name for name in OTHERS if name not in head or name not in pages] == []
    services, volumes = composed()["services"], composed()["volumes"]
    assert [name for name, service in services.items() if service.get("ports")] == ["caddy"]
    for service in services.values():
        assert service["cap_drop"] == ["ALL"]
        assert not service["image"].endswith(":latest")
        for volume in service.get("volumes", []):
            assert ":" not in volume or volume.split(":")[0] in volumes, volume


def test_the_store_s_bucket_is_the_one_that_the_bots_are_told() -> None:
    services = composed()["services"]
    bucket = services["coverbot"]["environment"]["ARCHIVE_URL"].removeprefix("s3://")
    assert services["bucket"]["entrypoint"][-1].endswith(f"/data/{bucket}")
    assert services["bucket"]["image"] == services["store"]["image"]
    assert services["store"]["environment"]["ROOT_ACCESS_KEY"] == "${AWS_ACCESS_KEY_ID:?}"
    # What is signed for a name is asked for under that name, from inside too.
    assert services["caddy"]["networks"]["default"]["aliases"] == ["${STORE_HOST:?}"]
    assert services["coverbot"]["environment"]["AWS_ENDPOINT_URL"] == "https://${STORE_HOST:?}"


@needs("caddy")
def test_the_proxy_leads_to_any_bot_and_to_the_store(tmp_path: Path) -> None:
    file = tmp_path / "Caddyfile"
    file.write_text(str(composed()["configs"]["caddyfile"]["content"]).replace("$$", "$"))
    arguments = ("--config", str(file), "--adapter", "caddyfile")
    variables = {
        "HOME": str(tmp_path),
        "PUBLIC_URL": "https://covers.example.com",
        "STORE_HOST": "songs.example.com",
    }
    run("caddy", "validate", *arguments, **variables)
    adapted = run("caddy", "adapt", *arguments, **variables)
    assert re.search(r'"path":\["/callbacks/vidgo/\*","/media/\*"\]', adapted)
    assert '"dynamic_upstreams":{"name":"coverbot"' in adapted
    assert '"dial":"store:7070"' in adapted
    assert '"logs"' not in adapted


# Kubernetes


def manifests() -> dict[str, dict[str, Any]]:
    found = list(yaml.safe_load_all(KUBERNETES.read_text("utf-8")))
    assert len(found) == 3
    return {one["kind"]: one for one in found}


def refusals(manifest: dict[str, Any]) -> Iterator[str]:
    """Return what Kubernetes' own description has against a manifest."""
    schema = {"$schema": SCHEMA["$schema"], "$defs": SCHEMA["$defs"], "$ref": SCHEMA["kinds"][manifest["kind"]]}
    for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(manifest):
        yield f"{error.instance_path}: {error.message}"


@pytest.mark.parametrize("kind", SCHEMA["kinds"])
def test_kubernetes_takes_the_manifests(kind: str) -> None:
    assert list(refusals(manifests()[kind])) == []


def test_the_schema_refuses_what_is_wrong() -> None:
    deployment = manifests()["Deployment"]
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    deployment["spec"]["replicas"] = "three"
    del deployment["spec"]["selector"]
    assert len(list(refusals(deployment))) == 3


def test_a_pod_is_probed_where_the_program_answers_and_has_time_to_end() -> None:
    pod = manifests()["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    # A database that is away makes nobody be killed.
    assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    assert pod["terminationGracePeriodSeconds"] > SECONDS
    # What decodes has a bound of its own; a pod whose memory ends before that is killed as a whole.
    memory = {kind: int(container["resources"][kind]["memory"].removesuffix("Mi")) for kind in ("requests", "limits")}
    assert memory["limits"] >= memory["requests"] + decoder.CHILDREN * (decoder.MEMORY_BYTES >> 20)
    assert {variable["name"] for variable in container["env"]} <= {name.upper() for name in Settings.model_fields}
    port = container["ports"][0]
    listens = next(one["value"] for one in container["env"] if one["name"] == "LISTEN_PORT")
    assert int(listens) == port["containerPort"]
    image = re.search(r"--uid (\d+)", (ROOT / "Dockerfile").read_text("utf-8"))
    assert pod["securityContext"]["runAsUser"] == (int(image[1]) if image is not None else 10001)
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_what_leads_to_the_pods_and_what_protects_them_means_them() -> None:
    found = manifests()
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        found["Deployment"]["spec"]["selector"]["matchLabels"],
        found["Service"]["spec"]["selector"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    [port] = found["Service"]["spec"]["ports"]
    assert port["targetPort"] == found["Deployment"]["spec"]["template"]["spec"]["containers"][0]["ports"][0]["name"]
    # Somebody is always there, and a machine can still be emptied.
    assert found["PodDisruptionBudget"]["spec"]["maxUnavailable"] < found["Deployment"]["spec"]["replicas"]
    assert found["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
