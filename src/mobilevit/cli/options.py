"""A frozen dataclass of options to a command line, by tyro: the comment beside a field is the help of its flag."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import tyro

from mobilevit.errors import UsageError

Options = TypeVar("Options", bound="CommandOptions")

INTERRUPTED = 130  # what a shell expects of a command that was asked to stop

Model = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
Device = Literal["auto", "cpu", "cuda", "mps"]
Data = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
Switch = Annotated[bool, tyro.conf.FlagCreatePairsOff]  # a flag without its --no-


@dataclass(frozen=True, kw_only=True)
class CommandOptions:
    """What every command takes."""

    debug: Switch = False  # print the full traceback of an error


def numbers(flag: str, text: str) -> tuple[int, ...]:
    """Comma-separated integers; UsageError, with the name of the flag, for any other text."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise UsageError(f"--{flag} is '{text}': expected comma-separated integers, such as 1,2") from None


def parse(
    kind: type[Options], verb: str, arguments: Sequence[str], *, default: Options | None = None, pairs: bool = False
) -> Options:
    """Parse the arguments; SystemExit 2 for an unknown option, after a message with the nearest flags.

    The flags of nested dataclasses have no prefix. `pairs` offers --flag and --no-flag for each switch.
    """
    config = (tyro.conf.OmitArgPrefixes,) if pairs else (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    return tyro.cli(kind, prog=f"mobilevit {verb}", args=arguments, default=default, config=config)
