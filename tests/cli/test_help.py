"""`mobilevit VERB --help`: every flag and argument with its default and one line."""

import re

import pytest

from mobilevit.cli import main
from mobilevit.cli.entry import COMMANDS

FLAG = re.compile(r"^│ (--[a-z-]+|[A-Z]{2,}(?= ))")


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_flag_is_explained(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"usage: mobilevit {verb}" in text
    explained = paragraphs(text)
    assert {flag for flag, said in explained.items() if "(default:" not in said and "(required)" not in said} == set()
    assert {flag for flag, said in explained.items() if len(said.split("(default:")[0].split()) < 2} == set()


def paragraphs(text: str) -> dict[str, str]:
    """What is said about each flag, without its own name and type."""
    found: dict[str, str] = {}
    flag = ""
    for line in text.splitlines():
        if match := FLAG.match(line):
            flag = match[1]
            found[flag] = re.sub(r"^│ \S+( \S+)?(, --no-\S+)?", "", line).strip("│ ")
        elif line.startswith("│  "):
            if flag:
                found[flag] += " " + line.strip("│ ")
        else:
            flag = ""
    return found
