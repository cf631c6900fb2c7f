"""Options that messages of the library name as fields, printed as flags."""

import ast
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from pathlib import Path

import pytest

import mobilevit
from mobilevit.cli.entry import COMMANDS
from mobilevit.cli.flags import FIELD, with_flags
from mobilevit.cli.options import CommandOptions

PACKAGE = Path(mobilevit.__file__).parent


@pytest.mark.parametrize(
    ("message", "printed"),
    [
        ("`image_size` is 0: it must be at least 32", "--image-size is 0: it must be at least 32"),
        ("train with `flip=False`, or `skip_broken=True`", "train with --no-flip, or --skip-broken"),
        ('give it with `split=all`, `task="detection"`', "give it with --split all, --task detection"),
        ("`mobilevit check DATA` reports details", "`mobilevit check DATA` reports details"),
        ("nothing to translate", "nothing to translate"),
    ],
)
def test_fields_become_flags(message: str, printed: str) -> None:
    assert with_flags(message) == printed
    assert with_flags(printed) == printed


def test_every_field_that_a_message_names_is_an_option() -> None:
    named = {
        (name, str(path.relative_to(PACKAGE)))
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "cli"
        for text in _texts(path)
        for name, _ in FIELD.findall(text)
    }
    assert len(named) > 20
    assert {(name, path) for name, path in named if name not in options()} == set()


def _texts(path: Path) -> list[str]:
    """The strings of a module but docstrings."""
    tree = ast.parse(path.read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    docs = {id(node.value) for node in nodes}
    parts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in docs]
    return [_text(part) for part in parts]


def _text(node: ast.expr) -> str:
    """The string, a number in the place of each value."""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    return str(node.value) if isinstance(node, ast.Constant) else "0"


def options() -> set[str]:
    """The fields of the options of every command."""
    modules = [import_module(f"mobilevit.cli.{name}") for name, _ in COMMANDS.values()]
    kinds = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    return {name for kind in kinds if issubclass(kind, CommandOptions) for name in _names(kind)}


def _names(kind: type) -> set[str]:
    names = set()
    for field in fields(kind):
        nested = field.default_factory
        names |= _names(nested) if nested is not MISSING and is_dataclass(nested) else {field.name}
    return names
