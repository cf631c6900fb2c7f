"""What a benchmark writes, and what the documents make of it."""

import importlib
import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import record
import render


@pytest.mark.parametrize("name", sorted(path.stem for path in (record.ROOT / "benchmarks").glob("*.py")))
def test_every_script_can_be_imported(name: str) -> None:
    importlib.import_module(name)


def test_a_result_is_complete(tmp_path: Path) -> None:
    rows = [{"model": "a", "latency_ms": 1.5}]
    path = record.write("one", {"rows": rows}, packages=("numpy", "no-such-package"), goal="2", folder=tmp_path)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["tables"] == {"rows": rows}
    assert found["versions"].keys() == {"python", "numpy"}
    assert "core" in found["hardware"]
    assert render.facts(found).splitlines()[-1] == "- Goal: 2"


def test_a_table_has_units_and_equally_many_digits_in_a_column() -> None:
    rows = [
        {"model": "a", "latency_ms": 1.0, "difference": 1e-7, "count": 1200, "commands": ["x", "y"]},
        {"model": "b", "latency_ms": 2.25, "difference": 0.002, "count": None, "commands": []},
    ]
    assert render.table(rows).splitlines() == [
        "| model | latency (ms) | difference | count | commands |",
        "| --- | --- | --- | --- | --- |",
        "| a | 1.00 | 1.0e-07 | 1,200 | `x`, then `y` |",
        "| b | 2.25 | 2.0e-03 |  |  |",
    ]


def test_a_column_that_only_some_rows_have_is_empty_in_the_others() -> None:
    assert render.table([{"a": 1}, {"a": 2, "b": 0}]).splitlines()[2:] == ["| 1 |  |", "| 2 | 0 |"]


def test_columns_can_be_chosen() -> None:
    assert render.table([{"a": 1, "b": 2}], "b").splitlines() == ["| b |", "| --- |", "| 2 |"]
