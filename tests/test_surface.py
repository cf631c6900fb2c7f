"""The public names: lazy, complete, and hidden by no submodule."""

import ast
import inspect
import pkgutil
from importlib.metadata import version
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import torch

import mobilevit
from mobilevit.cli.entry import COMMANDS

SOURCE = Path(mobilevit.__file__)


def imported_for_types() -> dict[str, str]:
    """What a type checker sees: public name to module."""
    block = next(node for node in ast.parse(SOURCE.read_text(encoding="utf-8")).body if isinstance(node, ast.If))
    return {node.names[0].name: node.module for node in block.body if isinstance(node, ast.ImportFrom) and node.module}


def test_type_checkers_see_what_python_offers() -> None:
    assert imported_for_types() == mobilevit._HOMES


@pytest.mark.parametrize("name", sorted(mobilevit._HOMES))
def test_every_name_is_there(name: str) -> None:
    assert getattr(mobilevit, name).__name__ == name
    assert name in dir(mobilevit)


FUNCTIONS = [name for name in sorted(mobilevit._HOMES) if inspect.isfunction(getattr(mobilevit, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_path_may_be_given_as_a_string(name: str) -> None:
    # where torch is imported for types alone, only they know its names
    hints = get_type_hints(getattr(mobilevit, name), localns={"torch": torch, "nn": torch.nn})
    accepted = {parameter: set(get_args(hint)) or {hint} for parameter, hint in hints.items() if parameter != "return"}
    assert [parameter for parameter, kinds in accepted.items() if Path in kinds and str not in kinds] == []


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_is_a_function(verb: str) -> None:
    assert callable(getattr(mobilevit, verb.replace("-", "_")))


def test_no_submodule_hides_a_name() -> None:
    modules = {module.name for module in pkgutil.iter_modules([str(SOURCE.parent)])}
    assert modules & set(mobilevit._HOMES) == set()


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trane'"):
        mobilevit.trane  # noqa: B018


def test_the_version_has_one_home() -> None:
    assert version("mobilevit") == mobilevit.__version__
