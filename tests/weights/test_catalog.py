from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from mobilevit.models.table import MODELS
from mobilevit.spec import ModelSpec, labels
from mobilevit.weights import download, model_file
from mobilevit.weights.catalog import CATALOG, ENTRIES, KEYWORDS, PUBLISHED, Entry, Packaged
from mobilevit.weights.creating import create, load, spec_of

Filled = Callable[..., dict[str, Tensor]]

DOCS = Path(__file__).parents[2] / "docs/weights.md"


def test_names_are_unique_and_every_row_is_complete() -> None:
    assert len(CATALOG) == len(ENTRIES)
    for entry in ENTRIES:
        assert entry.architecture in MODELS and entry.task == MODELS[entry.architecture].task
        assert entry.score and entry.license and entry.source.file
        assert entry.source.url.startswith(("https://", "mobilevit package"))


def test_every_model_has_published_weights_and_every_task_a_word_for_them() -> None:
    assert {name: entry.architecture for name, entry in PUBLISHED.items()} == {name: name for name in MODELS}
    assert set(KEYWORDS.values()) == {row.task for row in MODELS.values()}


def test_no_name_is_a_keyword_or_a_model() -> None:
    assert not set(CATALOG) & {*KEYWORDS, *MODELS}


def test_files_in_the_package_are_the_packaged_rows_and_load_offline() -> None:
    packaged = [entry for entry in ENTRIES if isinstance(entry.source, Packaged)]
    assert {path.name for path in download.PACKAGED.glob("*")} == {entry.source.file for entry in packaged}
    for entry in packaged:
        assert spec_of(load(entry.name)).architecture == entry.architecture


def test_a_packaged_row_reads_from_the_package(filled: Filled, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = ModelSpec("mobilevit_xxs", "classification", labels("ab"))
    model_file.save(tmp_path / "two.safetensors", model_file.in_half(filled(num_classes=2)), spec)
    monkeypatch.setattr(download, "PACKAGED", tmp_path)
    row = Entry("two", "mobilevit_xxs", Packaged("two.safetensors"), "ours", "90 % top-1", "CC0")
    monkeypatch.setitem(CATALOG, "two", row)
    loaded = spec_of(load("two"))
    assert loaded == spec_of(create("mobilevit_xxs", weights="two"))
    assert loaded.classes == spec.classes
    assert (loaded.provenance.license, loaded.provenance.score) == ("CC0", "90 % top-1")


def test_the_docs_list_every_row() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for entry in ENTRIES:
        row = next(line for line in text.splitlines() if line.startswith(f"| `{entry.name}`"))
        assert entry.architecture in row and entry.score.split(" %")[0] in row
