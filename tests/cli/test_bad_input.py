"""docs/bad-input.md is run as it stands: every command, its exact words, its exit code, and nothing written."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mobilevit.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "bad-input.md"


@dataclass(frozen=True)
class Entry:
    """A command of the page, the exit code that its comment names (1 otherwise), and what it prints."""

    line: str
    code: int
    said: list[str]


def entries() -> Iterator[Entry]:
    for block in re.findall(r"^```console\n(\$ .*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        for entry in block.split("$ ")[1:]:
            line, *said = entry.strip().splitlines()
            code = re.search(r"# exit code (\d)", line)
            yield Entry(line, int(code[1]) if code else 1, said)


@pytest.mark.parametrize("entry", list(entries()), ids=lambda entry: entry.line)
def test_the_page(entry: Entry, bad: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(bad)
    before = sorted(bad.rglob("*"))
    program, *arguments = shlex.split(entry.line, comments=True)
    assert program == "mobilevit"
    assert main(arguments) == entry.code
    shown = capsys.readouterr()
    assert [line.rstrip() for line in (shown.out + shown.err).splitlines()] == entry.said
    assert sorted(bad.rglob("*")) == before
