"""A frozen dataclass of options to a command line, by tyro: the comment beside a field is the help of its flag."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import tyro

Options = TypeVar("Options")

Model = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
Device = Literal["auto", "cpu", "cuda", "mps"]
Data = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]


def parse(
    kind: type[Options], verb: str, arguments: Sequence[str], *, default: Options | None = None, pairs: bool = False
) -> Options:
    """The options that the arguments say; SystemExit 2, with the nearest flags, where they say none.

    Nested dataclasses lend their flags without a prefix. `pairs` offers --flag and --no-flag for each switch.
    """
    config = (tyro.conf.OmitArgPrefixes,) if pairs else (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    words = [SHORT.get(name, name) + rest for name, rest in map(_split, arguments)]
    return tyro.cli(kind, prog=f"mobilevit {verb}", args=words, default=default, config=config)


SHORT = {"--size": "--size-px"}  # what people type


def _split(word: str) -> tuple[str, str]:
    """A flag, and its value where both are one word."""
    name, equals, value = word.partition("=")
    return name, equals + value
