"""A frozen dataclass of options to a command line, by tyro: the comment beside a field is the help of its flag."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import tyro

from mobilevit.errors import UsageError

Options = TypeVar("Options")

INTERRUPTED = 130  # what a shell expects of a command that was asked to stop

Model = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
SIDE = tyro.conf.arg(aliases=["--image-size"])  # of a image_size: what people type first
Device = Literal["auto", "cpu", "cuda", "mps"]
Data = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]


def numbers(flag: str, text: str) -> tuple[int, ...]:
    """Whole numbers with commas between; UsageError where the text of that flag is something else."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise UsageError(f"--{flag} is '{text}': give whole numbers with commas between, such as 1,2") from None


def parse(
    kind: type[Options], verb: str, arguments: Sequence[str], *, default: Options | None = None, pairs: bool = False
) -> Options:
    """The options that the arguments say; SystemExit 2, with the nearest flags, where they say none.

    Nested dataclasses lend their flags without a prefix. `pairs` offers --flag and --no-flag for each switch.
    """
    config = (tyro.conf.OmitArgPrefixes,) if pairs else (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    return tyro.cli(kind, prog=f"mobilevit {verb}", args=arguments, default=default, config=config)
