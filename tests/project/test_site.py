"""The documentation site: every document is a page, and a link that leads nowhere stops the build."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = (
    "*.md",
    "docs/*.md",
    "docs/*.ipynb",
    "docs/site.py",
    "docs/images/*",
    "benchmarks/*.md",
    "LICENSE",
    "mkdocs.yml",
)
DOCUMENTS = [
    path.relative_to(ROOT) for pattern in ("*.md", "docs/*.md", "benchmarks/*.md") for path in ROOT.glob(pattern)
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What the site is made of."""
    for path in (path for pattern in PARTS for path in ROOT.glob(pattern)):
        copy(path, tmp_path / path.relative_to(ROOT))
    for path in (ROOT / "src" / "mobilevit" / "recipes").glob("*.toml"):  # linked to
        copy(path, tmp_path / path.relative_to(ROOT))
    return tmp_path


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def build(project: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


@pytest.mark.system
def test_every_document_is_a_page_that_needs_no_other_server(project: Path) -> None:
    done = build(project)
    assert done.returncode == 0, done.stderr
    site = project / "build" / "site"
    pages = {
        path.relative_to(site).with_suffix("").as_posix(): path.read_text("utf-8") for path in site.rglob("*.html")
    }
    names = {path.with_suffix("").as_posix() for path in DOCUMENTS}
    assert (names - {"README"}) | {"index"} <= pages.keys()
    assert (site / "docs" / "images" / "predictions.jpg").stat().st_size > 10_000
    loaded = r'<(?:script|img|link|iframe)\b[^>]*?(?:src|href)="((?:https?:)?//[^"]+)"'
    assert {name: found for name, page in pages.items() if (found := re.findall(loaded, page))} == {}


FAULTS = {
    "a link to no document": ("docs/video.md", "\nSee [this](nowhere.md).\n", "nowhere.md"),
    "a link to no heading": ("docs/video.md", "\nSee [this](data.md#nowhere).\n", "#nowhere"),
    "a link to no file": ("README.md", "\n![image](docs/images/nowhere.png)\n", "nowhere.png"),
    "a document that no menu has": ("docs/forgotten.md", "# Forgotten\n", "docs/forgotten.md"),
}


@pytest.mark.system
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_stops_the_build_and_is_named(fault: str, project: Path) -> None:
    name, text, named = FAULTS[fault]
    with (project / name).open("a", encoding="utf-8") as file:
        file.write(text)
    done = build(project)
    assert done.returncode != 0
    assert named in done.stderr
