"""The locks: whole, pinned and hashed, and installed everywhere without looking anything up beside them."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.markers import Marker

ROOT = Path(__file__).parents[2]
LOCKS = ("run", "demo", "dev")
# What the README promises; the newest release of each, since markers compare the whole version too.
VERSIONS = {"3.11": "3.11.14", "3.12": "3.12.12", "3.13": "3.13.11"}
SYSTEMS = {
    "linux-x86_64": ("linux", "Linux", "x86_64"),
    "linux-aarch64": ("linux", "Linux", "aarch64"),
    "macos-x86_64": ("darwin", "Darwin", "x86_64"),
    "macos-arm64": ("darwin", "Darwin", "arm64"),
}
ENVIRONMENTS = [(version, system) for version in VERSIONS for system in SYSTEMS]


def this_machine() -> dict[str, str]:
    return {name: str(value) for name, value in default_environment().items()}


def environment(version: str, system: str) -> dict[str, str]:
    sys_platform, platform_system, machine = SYSTEMS[system]
    return this_machine() | {
        "python_version": version,
        "python_full_version": VERSIONS[version],
        "implementation_version": VERSIONS[version],
        "os_name": "posix",
        "sys_platform": sys_platform,
        "platform_system": platform_system,
        "platform_machine": machine,
    }


def applies(marker: Marker | None, where: dict[str, str], extra: str = "") -> bool:
    return marker is None or marker.evaluate(where | {"extra": extra})


@dataclass(frozen=True, slots=True)
class Pin:
    """A line of a lock."""

    name: str
    version: str
    marker: Marker | None
    hashes: frozenset[str]


def parsed(text: str) -> list[Pin]:
    pins = []
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line == "--only-binary :all:":
            continue
        head, *hashes = re.split(r"\s+--hash=", line)
        wanted = Requirement(head)
        exact = re.fullmatch(r"==([^*,]+)", str(wanted.specifier))
        if exact is None:
            raise InvalidRequirement(f"no pin: {head}")
        if not hashes or not all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", one) for one in hashes):
            raise InvalidRequirement(f"no hash: {head}")
        pins.append(Pin(canonicalize_name(wanted.name), exact[1], wanted.marker, frozenset(hashes)))
    return pins


def project(lock: str) -> Iterator[Requirement]:
    """Return what the project asks of a lock: its build backend too, for nothing is built in isolation."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        toml = tomllib.load(file)
    extras = toml["project"]["optional-dependencies"]
    wanted = [*toml["build-system"]["requires"], *toml["project"]["dependencies"], *extras["build"]]
    if lock != "run":
        wanted += extras["demo"]
    if lock == "dev":
        wanted += [one for one in extras["dev"] if not one.startswith("coverbot[")]
    return map(Requirement, wanted)


@cache
def installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def faults(text: str, lock: str, version: str, system: str) -> set[str]:
    """Return what a lock lacks on one kind of system, as far as the packages installed here tell their requirements."""
    here, where = this_machine(), environment(version, system)
    found: set[str] = set()
    pins: dict[str, Pin] = {}
    for pin in parsed(text):
        if applies(pin.marker, where):
            if pin.name in pins:
                found.add(f"{pin.name} is pinned twice")
            pins[pin.name] = pin
    todo = [("coverbot", wanted) for wanted in project(lock) if applies(wanted.marker, where)]
    seen: set[tuple[str, str]] = set()
    while todo:
        asker, wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        if name not in pins:
            found.add(f"{asker} needs {name}, which is not there")
            continue
        pin = pins[name]
        if not wanted.specifier.contains(pin.version, prereleases=True):
            found.add(f"{asker} needs {name}{wanted.specifier}, and {pin.version} is there")
        package = installed(name)
        if package is None or package.version != pin.version:
            # What is pinned for other systems than this one cannot be looked into from here.
            if applies(pin.marker, here):
                found.add(f"{name} {pin.version} is not what is installed here")
            continue
        if not SpecifierSet(str(package.metadata.json.get("requires_python", ""))).contains(VERSIONS[version]):
            found.add(f"{name} {pin.version} does not run on Python {version}")
        for extra in {"", *wanted.extras} - {extra for known, extra in seen if known == name}:
            seen.add((name, extra))
            needed = map(Requirement, package.requires or ())
            todo += [(name, one) for one in needed if applies(one.marker, where, extra)]
    return found


def read(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.txt").read_text("utf-8")


def line_of(text: str, name: str) -> str:
    """Return the whole entry of a package in a lock."""
    entry = re.search(rf"^{name}==(?:.*\\\n)*.*\n", text, re.MULTILINE)
    assert entry is not None
    return entry[0]


@pytest.mark.parametrize(("version", "system"), ENVIRONMENTS)
@pytest.mark.parametrize("lock", LOCKS)
def test_everything_that_a_locked_package_needs_is_in_its_lock(lock: str, version: str, system: str) -> None:
    assert faults(read(lock), lock, version, system) == set()


def test_a_pin_that_is_taken_out_is_missed() -> None:
    for name, asker in {"yarl": "aiohttp", "pathspec": "hatchling", "hatchling": "coverbot"}.items():
        text = read("run").replace(line_of(read("run"), name), "")
        assert f"{asker} needs {name}, which is not there" in faults(text, "run", "3.11", "linux-x86_64"), name


def test_what_only_an_extra_needs_is_missed() -> None:
    # `sqlalchemy` alone does not ask for it, `sqlalchemy[asyncio]` does.
    text = read("run").replace(line_of(read("run"), "greenlet"), "")
    assert faults(text, "run", "3.12", "macos-arm64") == {"sqlalchemy needs greenlet, which is not there"}


def test_what_only_another_python_needs_is_missed() -> None:
    text = read("run").replace(line_of(read("run"), "audioop-lts"), "")
    assert faults(text, "run", "3.12", "linux-x86_64") == set()
    assert faults(text, "run", "3.13", "linux-x86_64") == {"discord-py needs audioop-lts, which is not there"}


def test_a_version_out_of_range_is_found() -> None:
    text = re.sub(r"^execnet==\S+", "execnet==2.0.0", read("dev"), flags=re.MULTILINE)
    found = faults(text, "dev", "3.11", "linux-x86_64")
    assert "pytest-xdist needs execnet>=2.1, and 2.0.0 is there" in found


def test_a_lock_that_is_not_what_is_installed_is_no_proof() -> None:
    text = re.sub(r"^yarl==\S+", "yarl==1.999", read("run"), flags=re.MULTILINE)
    assert "yarl 1.999 is not what is installed here" in faults(text, "run", "3.11", "linux-x86_64")


@pytest.mark.parametrize("lock", [*LOCKS, "tools"])
def test_every_line_is_a_pin_with_hashes_and_names_no_registry(lock: str) -> None:
    assert parsed(read(lock))
    # What has to be built could ask for anything while it is.
    assert read(lock).startswith("--only-binary :all:\n")
    assert "://" not in read(lock)


@pytest.mark.parametrize(
    "line",
    [
        "yarl==1.25.1\n",
        "yarl>=1.25 --hash=sha256:" + 64 * "0",
        "yarl==1.25.* --hash=sha256:" + 64 * "0",
        "yarl==1.25.1 --hash=md5:" + 32 * "0",
        "yarl @ https://example.com/yarl-1.25.1.tar.gz --hash=sha256:" + 64 * "0",
        "--index-url https://example.com/simple",
        "--no-binary yarl",
    ],
)
def test_a_line_that_is_no_pin_with_hashes_is_found(line: str) -> None:
    with pytest.raises(InvalidRequirement):
        parsed(read("run") + line)


def test_what_runs_is_what_is_shown_and_tested() -> None:
    run, demo, dev = ({(pin.name, str(pin.marker)): pin for pin in parsed(read(lock))} for lock in LOCKS)
    assert run == {key: demo.get(key) for key in run}
    assert demo == {key: dev.get(key) for key in demo}


@pytest.mark.parametrize("way", ["requirements/install.sh", "Dockerfile", "docs/install.md", "docs/deploying.md"])
def test_every_way_installs_the_lock_looks_nothing_up_beside_it_and_checks(way: str) -> None:
    text = (ROOT / way).read_text("utf-8")
    assert [line for line in re.findall(r"pip install\b.*", text) if "--no-deps" not in line] == []
    assert re.search(
        r"pip install [^\n]*--no-deps --require-hashes -r [^\n]+\n"
        r".*?pip install [^\n]*--no-deps --no-build-isolation .*?pip check\b",
        text,
        re.DOTALL,
    )


def test_the_pythons_that_are_promised_are_the_ones_that_are_locked_for() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        classifiers = tomllib.load(file)["project"]["classifiers"]
    named = [found[1] for one in classifiers if (found := re.fullmatch(r".* Python :: (3\.\d+)", one))]
    assert named == list(VERSIONS)
    assert f"| {', '.join(VERSIONS)} |" in (ROOT / "docs" / "install.md").read_text("utf-8")
    assert f"for version in {' '.join(VERSIONS)}; do" in (ROOT / "requirements" / "lock.sh").read_text("utf-8")
