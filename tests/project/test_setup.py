"""The first command on a machine: it sets itself up, or says in one line what to install."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pip
import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PYTHON = f"{Path(sys.base_prefix)}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
DEBIAN, FEDORA, MACOS = "apt-get", "dnf", "brew"
# Modules that hide what the machine's real Python has.
HIDING = {
    "ensurepip": 'raise ModuleNotFoundError("No module named ensurepip", name="ensurepip")\n',
    "venv": 'raise ModuleNotFoundError("No module named venv", name="venv")\n',
    "sitecustomize": 'import sys\nsys.version_info = (3, 10, 13, "final", 0)\n',
}
# Stands for Coverbot and its build backend: what is asked here is how they are installed, not what they are.
BACKEND = """\
import pathlib, zipfile


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "coverbot-1-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / name, "w") as wheel:
        wheel.writestr("coverbot-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: coverbot\\nVersion: 1\\n")
        wheel.writestr("coverbot-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr("coverbot-1.dist-info/RECORD", "")
    return name
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


@dataclass
class Machine:
    """A clone of the project on a machine that has only what is put there, and no network."""

    home: Path

    def __post_init__(self) -> None:
        self.clone = self.home / "a clone"
        self.path = self.home / "bin"
        (self.clone / "requirements").mkdir(parents=True)
        self.path.mkdir()
        for name in ("Makefile", "requirements/install.sh"):
            shutil.copy(ROOT / name, self.clone / name)
        (self.clone / "pyproject.toml").write_text(PROJECT)
        (self.clone / "backend.py").write_text(BACKEND)
        for name in ("make", "sh", "dirname", "cp", "cat"):
            real = shutil.which(name)
            assert real is not None, f"the tests need {name}"
            (self.path / name).symlink_to(real)
        self.pip = self.home / "lib"
        self.pip.mkdir()
        (self.pip / "pip").symlink_to(Path(pip.__file__).parent)
        self.has("id", "echo 1000")
        self.has("uname", "echo Linux")
        self.lock("")

    def has(self, name: str, script: str = "exit 1") -> None:
        (self.path / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.path / name).chmod(0o755)

    def has_python(self, name: str, *hidden: str, version: str = "") -> None:
        """Put the real Python there, without some of what it has, or as another version."""
        folder = self.home / f"{name}-hides"
        folder.mkdir()
        for module in hidden:
            (folder / f"{module}.py").write_text(HIDING[module])
        # A new environment borrows pip: to unpack one takes seconds each time.
        self.has(
            name,
            f"""
            export PYTHONPATH="{folder}"
            case $*:{version} in
            "-m venv "*)
                "{PYTHON}" "$@" --without-pip
                echo "{self.pip}" >"$(echo .venv/lib/*/site-packages)/pip.pth" ;;
            -V:?*) echo "Python {version}" ;;
            *) exec "{PYTHON}" "$@" ;;
            esac""",
        )

    def lock(self, text: str) -> None:
        for name in ("demo", "dev"):
            (self.clone / "requirements" / f"{name}.txt").write_text(text)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "PATH": str(self.path),
            "HOME": str(self.home),
            "PIP_NO_INDEX": "1",
            "PIP_CONFIG_FILE": "/dev/null",
        }
        return subprocess.run(
            ["make", *arguments], cwd=self.clone, env=variables, capture_output=True, text=True, check=False
        )

    def refusal(self, *arguments: str) -> str:
        """Return the one line with which a setting-up ends that cannot be."""
        done = self.make(".venv/demo", *arguments)
        assert done.returncode != 0
        assert done.stdout == ""
        line, *others = done.stderr.splitlines()
        # Whatever fails, make says so in a line of its own.
        assert [one for one in others if not one.startswith("make: ***")] == []
        assert not (self.clone / ".venv").exists()
        return line


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("system", "mend"),
    [
        (DEBIAN, "sudo apt update && sudo apt install python3-venv"),
        (FEDORA, "sudo dnf install python3"),
        (MACOS, "brew install python@3.13, or the installer from python.org"),
        ("", "your system's packages of Python 3.11 or newer, with its modules venv and ensurepip"),
    ],
)
def test_a_machine_without_python_is_told_how_to_install_it(machine: Machine, system: str, mend: str) -> None:
    if system == MACOS:
        machine.has("uname", "echo Darwin")
    elif system:
        machine.has(system)
    assert machine.refusal() == (
        "coverbot: Coverbot needs Python 3.11 or newer, and there is no python3 that starts. "
        f"Install it, then try again: {mend}"
    )


@pytest.mark.parametrize("module", ["ensurepip", "venv"])
def test_a_python_that_cannot_make_environments_is_told_which_package_lacks(machine: Machine, module: str) -> None:
    machine.has(DEBIAN)
    machine.has_python("python3", module)
    assert machine.refusal() == (
        "coverbot: python3 lacks venv or ensurepip, so it cannot make a virtual environment. "
        "Install it, then try again: sudo apt update && sudo apt install python3-venv"
    )
    machine.has_python("python3.12", module)
    assert machine.refusal("PYTHON=python3.12").endswith("sudo apt install python3.12-venv")


def test_root_is_not_told_to_use_sudo(machine: Machine) -> None:
    machine.has(DEBIAN)
    machine.has("id", "echo 0")
    assert machine.refusal().endswith("try again: apt update && apt install python3-venv")


@pytest.mark.parametrize(
    ("system", "mend"),
    [(DEBIAN, "sudo apt install python3.11-venv"), (FEDORA, "sudo dnf install python3.12"), (MACOS, "python@3.13")],
)
def test_a_python_that_is_too_old_is_told_which_one_to_install(machine: Machine, system: str, mend: str) -> None:
    machine.has("uname", "echo Darwin") if system == MACOS else machine.has(system)
    machine.has_python("python3", "sitecustomize")
    line = machine.refusal()
    assert "Coverbot needs Python 3.11 or newer, and python3 is older." in line
    assert mend in line


def test_a_python_that_is_asked_for_and_not_there_is_named(machine: Machine) -> None:
    machine.has(DEBIAN)
    machine.has_python("python3")
    line = machine.refusal("PYTHON=python3.13")
    assert "there is no python3.13 that starts." in line
    assert line.endswith("sudo apt install python3.13-venv")


@pytest.mark.timeout(300)
def test_it_says_what_it_does_and_does_it_once(machine: Machine) -> None:
    # The first that will do is taken, whatever is wrong with those before it.
    machine.has_python("python3", "ensurepip")
    machine.has_python("python3.12")
    machine.lock("not-to-be-had==1\n")
    done = machine.make(".venv/dev")
    assert done.returncode != 0
    assert "No matching distribution found for not-to-be-had==1" in done.stderr
    assert "coverbot: pip could not install the packages, as it says above" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (machine.clone / ".venv" / "dev").exists()

    machine.lock("")
    kept = machine.clone / ".venv" / "kept"
    kept.touch()
    done = machine.make(".venv/dev")
    assert done.returncode == 0, done.stderr
    assert "Installing the packages of requirements/dev.txt" in done.stdout
    assert "No broken requirements found." in done.stdout
    assert kept.exists()
    for _ in range(2):
        # dev holds what demo does.
        assert "Installing" not in machine.make(".venv/dev", ".venv/demo").stdout

    # Nothing of an older lock stays beside a newer one, whichever of them was installed.
    (machine.clone / ".venv" / "dev").unlink()
    machine.lock("# other packages\n")
    done = machine.make(".venv/dev")
    assert done.returncode == 0, done.stderr
    assert "Making a virtual environment in .venv, with Python 3." in done.stdout
    assert not kept.exists()


@pytest.mark.timeout(300)
def test_another_python_that_is_asked_for_makes_the_environment_anew(machine: Machine) -> None:
    machine.has_python("python3")
    assert machine.make(".venv/demo").returncode == 0
    kept = machine.clone / ".venv" / "kept"
    kept.touch()
    assert "Installing" not in machine.make(".venv/demo", "PYTHON=python3").stdout
    assert kept.exists()
    machine.has_python("python3.13", version="3.13.99")
    done = machine.make(".venv/demo", "PYTHON=python3.13")
    assert done.returncode == 0, done.stderr
    assert "with Python 3.13.99:" in done.stdout
    assert not kept.exists()


def test_the_readme_names_for_each_system_what_the_first_command_asks_for(machine: Machine) -> None:
    line = next(line for line in README.splitlines() if line.startswith("| Debian"))
    assert "`sudo apt update && sudo apt install git make python3-venv`" in line
    line = next(line for line in README.splitlines() if line.startswith("| Fedora"))
    assert "`sudo dnf install git make python3`" in line
    line = next(line for line in README.splitlines() if line.startswith("| macOS"))
    assert re.search(r"`xcode-select --install`.*`brew install python@3\.13`", line)
