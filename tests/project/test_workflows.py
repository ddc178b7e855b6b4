"""What the common code host does for this project: the checks, the image, a release, and what it asks of reporters."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.project.pages import ROOT
from tests.project.test_lock import VERSIONS

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))


def read(path: Path) -> dict[Any, Any]:
    return dict(yaml.safe_load(path.read_text("utf-8")))


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def workflow(name: str) -> dict[Any, Any]:
    return read(next(path for path in WORKFLOWS if path.stem == name))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_asks_for_no_more_than_it_needs_and_its_scripts_can_be_read(path: Path) -> None:
    made = read(path)
    assert set(made) <= {"name", True, "permissions", "concurrency", "jobs"}  # YAML 1.1 reads `on` as true
    assert made["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 60 for job in made["jobs"].values())
    for step in steps(made):
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]), "nobody else's code runs here"
            assert step["with"] == {"persist-credentials": False}
        else:
            # What comes from outside is read from the environment, where it cannot become a command.
            assert "${{" not in step["run"]
            script = subprocess.run(["bash", "-n"], input=step["run"], text=True, capture_output=True, check=False)
            assert script.returncode == 0, script.stderr


def test_the_checks_run_on_each_supported_python_and_build_the_image() -> None:
    made = workflow("checks")
    job = made["jobs"]["tests"]
    assert job["strategy"]["matrix"] == {"python": list(VERSIONS)}
    assert job["env"] == {"PYTHON": "python${{ matrix.python }}"}
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    image = [step["run"] for step in made["jobs"]["image"]["steps"] if "run" in step]
    assert image[0] == "docker build --tag coverbot ."
    assert made[True].keys() == {"push", "pull_request"}


@pytest.mark.parametrize(("tag", "is_good"), [("v{version}", True), ("v99.0.0", False)])
def test_a_release_is_made_of_a_tag_that_is_the_version_with_what_the_changelog_says(
    tmp_path: Path, tag: str, is_good: bool
) -> None:
    made = workflow("release")
    assert made[True] == {"push": {"tags": ["v*"]}}
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert version is not None
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    step = next(step for step in steps(made) if "the changelog says" in step.get("name", ""))
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
        cwd=tmp_path,
        env=os.environ | {"TAG": tag.format(version=version[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is is_good, done.stderr
    if is_good:
        notes = (tmp_path / "notes.md").read_text("utf-8")
        assert "### Added" in notes
        assert not re.search(r"^## ", notes, re.MULTILINE)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_for_issues_asks_for_the_check(path: Path) -> None:
    form = read(path)
    assert form.keys() == {"name", "description", "labels", "body"}
    fields = {field["id"]: field for field in form["body"] if field["type"] != "markdown"}
    assert "`coverbot check`" in fields["check"]["attributes"]["label"]
    assert (
        "its output says" in fields["check"]["attributes"]["description"] or fields["check"]["validations"]["required"]
    )


def test_there_is_a_form_for_what_is_wrong_and_one_for_what_is_missing() -> None:
    assert [path.stem for path in FORMS] == ["bug", "idea"]
    assert read(ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml") == {"blank_issues_enabled": False}
