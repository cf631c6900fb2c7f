"""docs/quickstart.ipynb: committed without outputs, and every cell runs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "quickstart.ipynb"


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_holds_no_outputs(notebook: nbformat.NotebookNode) -> None:
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert [cell.id for cell in cells if cell.outputs or cell.execution_count] == []


def test_its_links_lead_somewhere(notebook: nbformat.NotebookNode) -> None:
    texts = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    linked = [part.partition(")")[0] for part in texts.split("](")[1:]]
    assert linked
    assert [name for name in linked if not (NOTEBOOK.parent / name).is_file()] == []


@pytest.mark.system
def test_every_cell_runs(notebook: nbformat.NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))  # and not that of this user
    NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    printed = {name: "".join(each.get("text", "") for each in found) for name, found in outputs.items()}
    assert "359 images of quickstart/digits (val)" in printed["evaluate"]
    assert printed["predict"].count("is taken for") == 3
    assert "image/png" in outputs["predict-drawn"][-1].data
    assert "images, largest difference of a probability" in printed["export"]
    assert (tmp_path / "quickstart" / "runs" / "digits" / "best.onnx").is_file()
