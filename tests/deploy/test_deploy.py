"""The files that an owner deploys with, against the tools that read them, where those are on the machine."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from bot.cli.commands import parser
from bot.settings import Settings
from bot.shutdown import SECONDS
from tests.project.pages import DOCS, ROOT

UNIT = ROOT / "deploy" / "coverbot.service"
COMPOSE = ROOT / "deploy" / "compose.yaml"
COMPOSE_FILES = [COMPOSE, ROOT / "deploy" / "compose.scale.yaml"]
COMPOSE_SCHEMA: dict[str, Any] = json.loads(Path(__file__).with_name("compose.json").read_text("utf-8"))
PROFILES = [[], ["caddy"], ["metrics"], ["caddy", "metrics"]]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")

MOST_EXPOSED = 3.0


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not on this machine")


def run(*command: str, **variables: str) -> str:
    """Run a tool that has to be content, and return what it says."""
    environment = {"PATH": "/usr/bin:/bin", **variables}
    program = shutil.which(command[0])
    assert program is not None
    done = subprocess.run(
        [program, *command[1:]],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def docker_compose() -> list[str]:
    """Return the command of Docker Compose 2, nothing where there is none; version 1 was another program."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            done = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
            if done.returncode == 0 and not done.stdout.startswith("1."):
                return command
    return []


DOCKER_COMPOSE = docker_compose()


def test_every_file_to_deploy_with_is_described() -> None:
    page = (DOCS / "deploying.md").read_text("utf-8")
    files = [path for path in (ROOT / "deploy").rglob("*") if path.is_file()]
    assert len(files) > 3
    assert [path.name for path in files if f"](../{path.relative_to(ROOT).as_posix()})" not in page] == []


# systemd


@needs("systemd-analyze")
def test_the_unit_leaves_the_bot_little_that_it_does_not_need() -> None:
    said = run("systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT))
    exposure = re.search(r"Overall exposure level for coverbot\.service: ([\d.]+)", said)
    assert exposure is not None, said
    assert float(exposure[1]) <= MOST_EXPOSED
    assert f"says {exposure[1]} of 10" in (DOCS / "deploying.md").read_text("utf-8")


@needs("systemd-analyze")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "coverbot.service"
    # The program is not installed there where this runs.
    unit.write_text(UNIT.read_text("utf-8").replace("/opt/coverbot/bin/coverbot", sys.executable))
    assert run("systemd-analyze", "verify", "--man=no", str(unit)) == ""


def test_the_unit_gives_a_stop_the_time_it_takes_and_starts_no_wrong_setting_again() -> None:
    lines = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE))
    assert int(lines["TimeoutStopSec"]) > SECONDS
    assert lines["RestartPreventExitStatus"] == "2"
    assert known_command(shlex.split(lines["ExecStart"])[1:])
    # A converter bounds itself with what these calls do.
    assert "@resources" not in lines["SystemCallFilter"]


# Docker


def known_command(arguments: list[str]) -> bool:
    """Tell whether the program knows a command; it ends this process where it does not."""
    return bool(parser().parse_args(arguments).command)


def instruction(name: str) -> list[str]:
    found = re.findall(rf"^(?:  )?{name} (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found, name
    return [str(word) for word in json.loads(found[-1])]


def test_the_image_runs_the_program_and_any_command_of_it() -> None:
    assert instruction("ENTRYPOINT") == ["coverbot"]
    assert known_command(instruction("CMD"))
    assert re.search(r"^USER 10001$", DOCKERFILE, re.MULTILINE)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name
        assert name.split("/")[0] not in ignored, name


@needs("hadolint")
def test_the_dockerfile_has_nothing_that_its_linter_knows_better() -> None:
    assert run("hadolint", str(ROOT / "Dockerfile")) == ""


def test_no_page_names_the_program_twice_behind_the_image() -> None:
    pages = [ROOT / "README.md", *DOCS.glob("*.md")]
    commands = [
        words
        for page in pages
        for line in page.read_text("utf-8").replace("\\\n", " ").splitlines()
        if (words := line.partition("docker run ")[2])
    ]
    assert commands
    assert [words for words in commands if re.search(r"\bcoverbot coverbot\b", words)] == []


# Compose


def composed() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE.read_text("utf-8")))


def unfit(composed: object) -> list[str]:
    """Return what of a Compose file is not as the specification has it."""
    found = jsonschema_rs.Draft202012Validator(COMPOSE_SCHEMA).iter_errors(composed)
    return [f"{error.instance_path}: {error.message}" for error in found]


@pytest.mark.parametrize("file", COMPOSE_FILES, ids=lambda file: file.name)
def test_a_compose_file_is_as_the_specification_has_it(file: Path) -> None:
    assert unfit(yaml.safe_load(file.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enviroment", {}),
        ("read_only", []),
        ("depends_on", {"caddy": {"condition": "service_well"}}),
        ("ports", "8080"),
    ],
)
def test_a_slip_in_a_compose_file_is_found(name: str, value: object) -> None:
    whole = composed()
    whole["services"]["coverbot"][name] = value
    assert any("coverbot" in problem for problem in unfit(whole))


@pytest.mark.skipif(not DOCKER_COMPOSE, reason="Docker Compose 2 is not on this machine")
@pytest.mark.parametrize("file", COMPOSE_FILES, ids=lambda file: file.name)
def test_docker_compose_itself_takes_a_file(tmp_path: Path, file: Path) -> None:
    (tmp_path / "deploy").mkdir()
    copied = Path(shutil.copy(file, tmp_path / "deploy"))
    settings = {"DISCORD_TOKEN": "a.b.c", "VIDGO_API_KEY": "abc", "PUBLIC_URL": "https://covers.example.com"}
    settings |= {"POSTGRES_PASSWORD": "abc", "STORE_HOST": "https://songs.example.com"}
    settings |= {"AWS_ACCESS_KEY_ID": "abc", "AWS_SECRET_ACCESS_KEY": "abcabcabc"}
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()), "utf-8")
    for profiles in PROFILES:
        chosen = [f"--profile={profile}" for profile in profiles]
        said = run(
            *DOCKER_COMPOSE, f"--env-file={tmp_path}/.env", "-f", str(copied), *chosen, "config", "--format=json"
        )
        services = json.loads(said)["services"]
        assert services["coverbot"]["environment"]["DISCORD_TOKEN"] == "a.b.c"
        if file == COMPOSE:
            assert {profile for one in services.values() for profile in one.get("profiles", [])} == set(profiles)


def inline(name: str) -> str:
    """Return a file that stands in the Compose file, as a container sees it."""
    return str(composed()["configs"][name]["content"]).replace("$$", "$")


def test_compose_needs_nothing_but_the_settings() -> None:
    text = COMPOSE.read_text("utf-8")
    variables = set(re.findall(r"(?<!\$)\$\{(\w+)", text))
    assert variables <= {name.upper() for name in Settings.model_fields}
    whole = composed()
    profiles = {name: service.get("profiles") for name, service in whole["services"].items()}
    assert profiles == {"coverbot": None, "caddy": ["caddy"], "prometheus": ["metrics"], "grafana": ["metrics"]}
    bot = whole["services"]["coverbot"]
    assert (COMPOSE.parent / bot["build"] / "Dockerfile").is_file()
    assert (COMPOSE.parent / bot["env_file"]).parent.resolve() == ROOT
    assert float(bot["stop_grace_period"].removesuffix("s")) > SECONDS
    # Each port but the proxy's is this machine's alone.
    ports = {name: service.get("ports", []) for name, service in whole["services"].items()}
    assert ports.pop("caddy") == ["80:80", "443:443"]
    assert [port for some in ports.values() for port in some if not port.startswith("127.0.0.1:")] == []
    for service in whole["services"].values():
        assert service["cap_drop"] == ["ALL"]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in whole["volumes"] or (COMPOSE.parent / source).is_file(), source
        # Compose cannot put a file that stands in it into a container that is read-only.
        assert not (service.get("read_only") and service.get("configs"))
        for config in service.get("configs", []):
            assert config["source"] in whole["configs"]


@needs("caddy")
def test_the_proxy_passes_on_what_vidgo_and_members_fetch_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "Caddyfile"
    file.write_text(inline("caddyfile"))
    arguments = ("--config", str(file), "--adapter", "caddyfile")
    variables = {"HOME": str(tmp_path), "PUBLIC_URL": "https://covers.example.com"}
    run("caddy", "validate", *arguments, **variables)
    adapted = run("caddy", "adapt", *arguments, **variables)
    assert re.search(r'"host":\["covers\.example\.com"\]', adapted)
    assert re.search(r'"path":\["/callbacks/vidgo/\*","/media/\*"\]', adapted)
    assert '"dial":"coverbot:8080"' in adapted
    assert '"logs"' not in adapted


@needs("promtool")
def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    rules = ROOT / "deploy" / "prometheus" / "rules.yaml"
    file = tmp_path / "prometheus.yaml"
    file.write_text(inline("prometheus").replace("/etc/prometheus/rules.yaml", str(rules)))
    assert str(rules) in file.read_text()
    run("promtool", "check", "config", str(file))


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    whole = composed()
    [source] = yaml.safe_load(inline("grafana-datasource"))["datasources"]
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load(inline("grafana-dashboards"))["providers"]
    mounted = [volume.split(":")[1] for volume in whole["services"]["grafana"]["volumes"]]
    assert f"{provider['options']['path']}/coverbot.json" in mounted
    [job] = yaml.safe_load(inline("prometheus"))["scrape_configs"]
    assert job["job_name"] == "coverbot"
    assert job["static_configs"] == [{"targets": ["coverbot:8080"]}]
