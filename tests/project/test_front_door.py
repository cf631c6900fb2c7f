"""What stands around the package: workflows, issue forms, citation, hooks, metadata. Each is valid and agrees with the
rest."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import mobilevit

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").iterdir() if path.name != "config.yml")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def content(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("custom.github-workflows-require-timeout", [path for path in WORKFLOWS if path.name != "release.yml"]),
        ("vendor.github-issue-forms", FORMS),
        ("vendor.github-issue-config", [ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"]),
        ("vendor.citation-file-format", [ROOT / "CITATION.cff"]),
    ],
)
def test_the_schema_holds(schema: str, files: list[Path]) -> None:
    assert files
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", [*WORKFLOWS, *FORMS, ROOT / ".pre-commit-config.yaml"], ids=lambda path: path.name)
def test_no_package_host_is_named(path: Path) -> None:
    assert re.findall(r"(?i)pypi|pythonhosted|anaconda|download\.pytorch|https?://", path.read_text("utf-8")) == []


def test_every_python_that_is_claimed_is_tested() -> None:
    matrix = content(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    claimed = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert matrix == claimed
    assert PROJECT["requires-python"] == f">={claimed[0]}"
    numbers = [int(name.removeprefix("3.")) for name in claimed]
    assert numbers == [*range(numbers[0], numbers[-1] + 1)]


def commands(workflow: Path) -> list[str]:
    """The lines that a workflow's steps run."""
    steps = [step for job in content(workflow)["jobs"].values() for step in job.get("steps", [])]
    return [line.strip() for step in steps for line in step.get("run", "").splitlines()]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_workflows_make_and_install_is_there(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    lines = commands(path)
    made = {line.split()[1] for line in lines if line.startswith("make ")}
    assert made <= targets
    extras = {extra for line in lines for found in re.findall(r"\.\[([\w,]+)\]", line) for extra in found.split(",")}
    assert extras <= PROJECT["optional-dependencies"].keys()
    files = {word for line in lines for word in line.split() if word.startswith("tests/")}
    assert {name for name in files if not (ROOT / name).exists()} == set()


def test_everything_that_must_pass_is_in_ci() -> None:
    required = set(re.findall(r"^make ([a-z-]+)$", (ROOT / ".ci" / "run").read_text("utf-8"), re.MULTILINE))
    assert {"test", "lint"} <= required
    made = {line.split()[1] for line in commands(ROOT / ".github" / "workflows" / "ci.yml") if line.startswith("make ")}
    assert required <= made


CHANGELOG = """# Changelog

## 0.2.0, 2027-01-31

### Added

- Something new.

## {version}, {date}

- The `first` release.
"""


@pytest.mark.parametrize(
    ("tag", "date", "fits"),
    [
        ("v{}", "2026-12-24", True),
        ("v{}", "unreleased", False),
        ("v9.9.9", "2026-12-24", False),
    ],
)
def test_a_tag_is_released_where_it_is_the_version(tag: str, date: str, fits: bool, tmp_path: Path) -> None:
    """The script of the workflow itself, in a tree with another changelog."""
    lay_out(tmp_path, date)
    done = step("release.yml", "version", tag.format(mobilevit.__version__), tmp_path)
    assert (done.returncode == 0) is fits, done.stderr


def test_a_release_has_the_lines_of_its_version(tmp_path: Path) -> None:
    lay_out(tmp_path, "2026-12-24")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "made.whl").touch()
    (tmp_path / "gh").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')  # what would be uploaded
    (tmp_path / "gh").chmod(0o755)
    done = step("release.yml", "release", f"v{mobilevit.__version__}", tmp_path)
    assert done.stdout.split("\n")[:4] == ["release", "create", f"v{mobilevit.__version__}", "dist/made.whl"]
    assert (tmp_path / "notes.md").read_text().strip() == "- The `first` release."


def lay_out(folder: Path, date: str) -> None:
    (folder / "src" / "mobilevit").mkdir(parents=True)
    for name in ("src/mobilevit/__init__.py", "CITATION.cff"):
        (folder / name).write_text((ROOT / name).read_text("utf-8"), "utf-8")
    (folder / "CHANGELOG.md").write_text(CHANGELOG.format(version=mobilevit.__version__, date=date))


def step(workflow: str, job: str, tag: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the commands of a job as its runner does: by bash, which stops at the first that fails."""
    steps = content(ROOT / ".github" / "workflows" / workflow)["jobs"][job]["steps"]
    script = "\n".join(each["run"] for each in steps if "run" in each)
    environment = {**os.environ, "GITHUB_REF_NAME": tag, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    command = ["bash", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_asks_for_what_exists(path: Path) -> None:
    text = path.read_text("utf-8")
    documents = set(re.findall(r"(?:docs/)?[\w-]+\.md", text))
    assert {name for name in documents if not (ROOT / name).exists()} == set()
    if path.stem != "feature":
        assert "mobilevit info --environment" in text


def test_the_citation_is_of_this_version() -> None:
    citation = content(ROOT / "CITATION.cff")
    assert (citation["title"], citation["version"]) == (PROJECT["name"], mobilevit.__version__)
    assert citation["license"] == PROJECT["license"]
    (paper,) = citation["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Mehta", "Rastegari"]
    assert paper["title"] in " ".join((ROOT / "README.md").read_text("utf-8").replace(">", " ").split())
    assert paper["url"] in PROJECT["urls"].values()


HOOKS = [
    (repository["repo"], hook)
    for repository in content(ROOT / ".pre-commit-config.yaml")["repos"]
    for hook in repository["hooks"]
]


@pytest.mark.parametrize(("repository", "hook"), HOOKS, ids=[hook["id"] for _, hook in HOOKS])
def test_a_hook_is_local_and_its_program_is_there(repository: str, hook: dict[str, Any]) -> None:
    assert repository == "local"
    assert hook["language"] in ("pygrep", "system")
    if hook["language"] == "system":
        folder, _, program = hook["entry"].split()[0].rpartition("/")
        assert folder == ".venv/bin"
        assert Path(sys.executable).with_name(program).exists()


def test_conflict_markers_are_found() -> None:
    (hook,) = [hook for _, hook in HOOKS if hook["id"] == "conflict-markers"]
    assert hook["language"] == "pygrep"  # each line on its own, by Python's `re`
    for line in ("<<<<<<< HEAD", "||||||| parent", ">>>>>>> branch", ">>>>>>>"):
        assert re.search(hook["entry"], line), line
    for line in ("a <<<<<<< HEAD", ">>>>>>>> quoted", ">>> doctest", "| | | |", "======="):
        assert re.search(hook["entry"], line) is None, line
