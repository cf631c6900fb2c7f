"""The fenced blocks of a document, and how each is run.

Every block names its language. `sh` and `python` are run, `toml` and `json` are parsed, `console` is a dialog that a
test of its own compares word by word, `text` is a drawing or an output. A block of any other language, or one that
needs what is not at hand, says so in its first line: a comment that begins with "not run:" and gives the reason.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
RUN, PARSED, SHOWN = ("sh", "python"), ("toml", "json"), ("console", "text")


@dataclass(frozen=True)
class Block:
    """A fenced block, where it stands and what is in it."""

    document: str  # path below the project's root
    line: int
    language: str  # "" where the fence names none
    text: str

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def not_run(self) -> bool:
        """Whether the block says of itself that it is not run."""
        return re.match(r"(#|//) not run: \S", self.text) is not None


def blocks(document: Path) -> list[Block]:
    """Those of a document, in order."""
    text = document.read_text(encoding="utf-8")
    name = document.relative_to(ROOT).as_posix()
    return [
        Block(name, text[: found.start()].count("\n") + 1, found[1], found[2])
        for found in re.finditer(r"^```(\S*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]
