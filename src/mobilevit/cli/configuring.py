"""The options of a run from the command line: the recipe's values, overridden by flags."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, TypeVar

import tyro

from mobilevit.cli.options import CommandOptions, Data, parse
from mobilevit.loading.multiscale import AUTO_BATCH
from mobilevit.training.config import TrainConfig, with_recipe

PLAIN = "default"  # the recipe that is nothing but the defaults of the options


@dataclass(frozen=True)
class RunOptions(CommandOptions, TrainConfig):
    """A TrainConfig as a command line has it."""

    data: Data  # dataset folder: class folders, images with boxes, or images with masks (docs/data.md)
    # other defaults: paper, paper-detection, paper-segmentation, imagenette, bccd, pets, digits, or a TOML file
    recipe: Annotated[str, tyro.conf.arg(metavar="NAME|FILE")] = PLAIN

    @property
    def config(self) -> TrainConfig:
        return TrainConfig(**{field.name: getattr(self, field.name) for field in fields(TrainConfig)})


Kind = TypeVar("Kind", bound=RunOptions)


def parse_run(kind: type[Kind], verb: str, arguments: Sequence[str]) -> Kind:
    """Options whose defaults, those in the help too, are the recipe's."""
    arguments = _with_auto_batch(arguments)
    defaults = kind(data=tyro.MISSING)
    recipe = _recipe(arguments)
    if recipe != PLAIN:
        defaults = with_recipe(defaults, recipe)
    return parse(kind, verb, arguments, default=defaults, pairs=True)


def _recipe(arguments: Sequence[str]) -> str:
    """Only looked for here; tyro parses it with the rest, and complains where its value is missing."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--recipe", nargs="?", const=PLAIN, default=PLAIN)
    return str(finder.parse_known_args(arguments)[0].recipe)


def _with_auto_batch(arguments: Sequence[str]) -> list[str]:
    """`--batch-size auto` as the number that stands for it: the option itself takes numbers alone."""
    found = list(arguments)
    for place, argument in enumerate(arguments):
        flag, _, value = argument.partition("=")
        if flag in BATCH_SIZE and value == "auto":
            found[place] = f"{flag}={AUTO_BATCH}"
        elif argument == "auto" and place and arguments[place - 1] in BATCH_SIZE:
            found[place] = str(AUTO_BATCH)
    return found


BATCH_SIZE = ("--batch-size", "--batch_size")  # tyro takes both
