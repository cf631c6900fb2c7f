"""classes.txt is read in time that grows with its length, and as a plain reading of its words would have it."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mobilevit.datasets import classes_txt
from mobilevit.errors import DataError

COLORED = re.compile(r"(?P<name>.*?)[\s,:]+(?:(\d{1,3})[\s,:]+(\d{1,3})[\s,:]+(\d{1,3})|#([0-9a-fA-F]{6}))")
WORDS = st.sampled_from(["road", "12", "7", "255", "#804080", "a-b", "x9", "1234"])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(WORDS, min_size=1, max_size=7), between=st.sampled_from([" ", ", ", ":  ", "\t"]))
def test_a_line_is_read_as_a_regular_expression_reads_it(tmp_path: Path, words: list[str], between: str) -> None:
    """One of quadratic time, which is no matter on so short a line."""
    line = between.join(words)
    found = COLORED.fullmatch(line)
    color = None
    if found:
        color = tuple(bytes.fromhex(found[5])) if found[5] else tuple(int(found[place]) for place in (2, 3, 4))
    try:
        row = classes_txt._parsed(tmp_path, 1, line)
    except DataError:
        return  # the color first, four numbers: told apart by tests of their own
    assert (row.name, row.color) == (found["name"] if found else line, color)


@pytest.mark.parametrize("unit", [" ", "\t,", "1 ", "a ", ": ", "#", "ignore ", "1,", "\u00a0"])
def test_long_lines_take_no_longer_than_their_length(tmp_path: Path, unit: str) -> None:
    """60 KB of blanks took 43 s: so many would take minutes."""
    path = tmp_path / "classes.txt"
    for text in (unit, f"x{unit}", f"{unit}x", f"0 x{unit}y"):
        path.write_text(f"sky\n{text[:2]}{unit * (200_000 // len(unit.encode()))}{text[2:]}z\n")
        try:
            classes_txt.read(path)
        except DataError as error:
            assert "classes.txt" in str(error)


def test_many_lines(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("a\n" * 100_000)
    assert len(classes_txt.read(path).names) == 100_000
    path.write_text("a\n" * 600_000)
    with pytest.raises(DataError, match="larger than 1 MB"):
        classes_txt.read(path)
