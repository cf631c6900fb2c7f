"""Figures of the documents are those of benchmarks/results, and README.zh.md says what README.md says."""

import json
import re
import sys
from datetime import date
from pathlib import Path

import pytest
from blocks import ROOT, blocks

sys.path.append(str(ROOT / "benchmarks"))
import models
import render

READMES = (ROOT / "README.md", ROOT / "README.zh.md")
RESULTS = render.results()
NUMBER = re.compile(r"(?<![A-Za-z0-9_.-])\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
# Numbers of the READMEs that nobody measured: a version of Python, the year and the numbers of papers, decimals.
NOT_MEASURED = {3.11, 2022, 2110.02178, 2206.0268, 8}


def test_the_document_is_rendered_from_the_results() -> None:
    assert render.DOCUMENT.read_text(encoding="utf-8") == render.document(), "run: python benchmarks/render.py"


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_says_where_it_comes_from(name: str) -> None:
    result = RESULTS[name]
    rows = [row for table in result["tables"].values() for row in table]
    assert result.keys() == {"commands", "date", "hardware", "versions", "goal", "note", "tables"}
    assert date.fromisoformat(result["date"]) <= date.today()
    assert result["hardware"]
    assert result["versions"]
    assert rows
    assert result["commands"] or any(row.get("commands") for row in rows)
    assert f"results.{name}.tables" in (ROOT / "benchmarks" / "benchmarks.md.jinja").read_text(encoding="utf-8")


def test_the_models_are_counted_as_the_results_say() -> None:
    assert list(models.rows()) == RESULTS["models"]["tables"]["models"]


COLUMNS = {  # of the results behind each table with figures, in the order of the table
    "models": ("parameters", "input_px", "published_percent", "released_percent"),
    "formats": ("file_mb", "largest_difference", "same_top-1_percent"),
}


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
@pytest.mark.parametrize("name", COLUMNS)
def test_a_table_of_the_readme_has_the_figures_of_the_results(name: str, readme: Path) -> None:
    expected = [_figures(row, COLUMNS[name]) for row in RESULTS[name]["tables"][name]]
    measured = [row for row in expected if row]  # eager PyTorch is no format
    assert measured in [[numbers(line) for line in table if numbers(line)] for table in tables(readme)]


def _figures(row: render.Result, columns: tuple[str, ...]) -> list[float]:
    return [float(row[column]) for column in columns if row[column] is not None]


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_every_number_of_the_readme_was_measured_or_is_known_not_to_be(readme: Path) -> None:
    measured = set(numbers(json.dumps(RESULTS, ensure_ascii=False)))
    found = numbers(prose(readme))
    assert len(found) > 50
    assert [number for number in found if number not in measured | NOT_MEASURED] == []
    assert set(found) >= NOT_MEASURED, "a row of NOT_MEASURED is of no use"


def numbers(text: str) -> list[float]:
    return [float(found.replace(",", "").rstrip(".")) for found in NUMBER.findall(text)]


def prose(document: Path) -> str:
    """Its text without blocks, code and the targets of links."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`]*`", "", re.sub(r"\]\([^)]*\)", "]", text))


def tables(document: Path) -> list[list[str]]:
    """The lines of each table, without code and the targets of links."""
    found: list[list[str]] = [[]]
    for line in prose(document).splitlines():
        if line.startswith("|"):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [lines for lines in found if lines]


def test_both_readmes_have_the_same_headings() -> None:
    levels = [re.findall(r"^(#+) ", prose(readme), re.MULTILINE) for readme in READMES]
    assert levels[0] == levels[1]
    assert len(levels[0]) > 5


def test_both_readmes_have_the_same_commands() -> None:
    commands = [[(each.language, _without_comments(each.text)) for each in blocks(readme)] for readme in READMES]
    assert commands[0] == commands[1]
    assert len(commands[0]) > 2


def _without_comments(block: str) -> list[str]:
    return [re.sub(r"\s+# .*", "", line) for line in block.splitlines()]


def test_both_readmes_have_the_same_tables() -> None:
    shapes = [[[(line.count("|"), numbers(line)) for line in table] for table in tables(readme)] for readme in READMES]
    assert shapes[0] == shapes[1]
    assert len(shapes[0]) > 2


def test_both_readmes_link_to_the_same_places_and_to_each_other() -> None:
    links = [re.findall(r"\]\(([^)]+)\)", readme.read_text(encoding="utf-8")) for readme in READMES]
    assert links[0][0] == READMES[1].name
    assert links[1][0] == READMES[0].name
    assert sorted(links[0][1:]) == sorted(links[1][1:])
