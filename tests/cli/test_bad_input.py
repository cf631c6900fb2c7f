"""docs/bad-input.md is run as it stands: every command, its exact words, its exit code, and nothing written.

`python tests/cli/test_bad_input.py` writes the page anew, with what the commands say now.
"""

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mobilevit.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "bad-input.md"
BLOCK = re.compile(r"^```console\n(\$ .*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """A command of the page, the exit code that its comment names (1 otherwise), and what it prints."""

    line: str
    code: int
    said: list[str]


def entries() -> Iterator[Entry]:
    for block in BLOCK.findall(PAGE.read_text()):
        for entry in block.split("$ ")[1:]:
            line, *said = entry.strip().splitlines()
            code = re.search(r"# exit code (\d)", line)
            yield Entry(line, int(code[1]) if code else 1, said)


@pytest.mark.parametrize("entry", list(entries()), ids=lambda entry: entry.line)
def test_the_page(entry: Entry, bad: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(bad)
    before = sorted(bad.rglob("*"))
    assert main(arguments(entry.line)) == entry.code
    shown = capsys.readouterr()
    assert [line.rstrip() for line in (shown.out + shown.err).splitlines()] == entry.said
    assert sorted(bad.rglob("*")) == before


def arguments(line: str) -> list[str]:
    program, *given = shlex.split(line, comments=True)
    assert program == "mobilevit"
    return given


def renew() -> None:
    """Put what each command says now in the place of what it said; the commands and the text between them stay."""
    sys.path.append(str(Path(__file__).parents[1]))
    from conftest import write_bad

    with tempfile.TemporaryDirectory() as folder:
        root = write_bad(Path(folder))
        os.chdir(root)
        PAGE.write_text(BLOCK.sub(_with_its_words, PAGE.read_text()))


def _with_its_words(block: re.Match[str]) -> str:
    lines = [entry.strip().splitlines()[0] for entry in block[1].split("$ ")[1:]]
    return "```console\n" + "".join(f"$ {line}\n{_said(line)}" for line in lines) + "```"


def _said(line: str) -> str:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        main(arguments(line))
    return "".join(f"{said.rstrip()}\n" for said in (out.getvalue() + err.getvalue()).splitlines())


if __name__ == "__main__":
    renew()
