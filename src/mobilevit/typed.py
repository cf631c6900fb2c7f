"""A JSON text as a dataclass: every value is of the type that is declared for it, or one error names its key.

What a value may be beyond its type is for the dataclass to say.
"""

import difflib
import json
import math
import types
from collections import Counter
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from mobilevit.errors import WeightsError
from mobilevit.text import words_of

Kind = TypeVar("Kind")

MOST_CHARACTERS = 2**24  # of a text; ours with 1000 classes has 2**17
DEEPEST = 16  # nesting of what is declared as Any; ours has four levels


def parsed(text: str) -> Any:
    """The value of a JSON text; WeightsError where it is none, holds NaN or Infinity, gives a key twice, or is too
    long or too deep."""
    if len(text) > MOST_CHARACTERS:
        raise WeightsError(f"it has {len(text):,} characters, more than the {MOST_CHARACTERS:,} that are read")
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"it is no JSON: {words_of(error)}") from error


def built(kind: type[Kind], value: Any, key: str) -> Kind:
    """`value`, of parsed JSON, as a `kind`: a dataclass, or any type that its fields may have. WeightsError with `key`.

    Numbers are finite. A field without a value takes its default; a key that is no field is an error.
    """
    found: Kind = _built(kind, value, key)
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of a key given twice one reader takes the first value and the next one the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {_shown(twice)} is given twice")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


def _built(kind: Any, value: Any, key: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _dataclass(kind, value, key)
    if origin in (Union, types.UnionType):
        return _one_of(inner, value, key)
    if origin is Literal:
        return value if isinstance(value, str) and value in inner else _refuse(value, key, " or ".join(map(str, inner)))
    if origin is tuple:
        return _tuple(inner, value, key)
    if origin is dict:
        entries = value.items() if isinstance(value, dict) else _refuse(value, key, "an object")
        return {name: _built(inner[1], entry, f"{key}.{name}") for name, entry in entries}
    if kind is Any:
        return value if _depth(value) <= DEEPEST else _refuse(value, key, f"at most {DEEPEST} levels of nesting")
    return value if _is_plain(kind, value) else _refuse(value, key, WORDS[kind])


WORDS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    types.NoneType: "null",
}


def _is_plain(kind: Any, value: Any) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return type(value) is kind


def _dataclass(kind: Any, value: Any, key: str) -> Any:
    if not isinstance(value, dict):
        _refuse(value, key, "an object")
    hints, known = get_type_hints(kind), {field.name: field for field in fields(kind)}
    for name in value:
        if name not in known:
            near = difflib.get_close_matches(name[:100], known, n=1)
            offer = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise WeightsError(f"{key} has a key {_shown(name)} that is unknown: {offer}")
    for name, field in known.items():
        if name not in value and field.default is MISSING and field.default_factory is MISSING:
            raise WeightsError(f"{key} lacks the key {name}")
    return kind(**{name: _built(hints[name], entry, f"{key}.{name}") for name, entry in value.items()})


def _one_of(kinds: tuple[Any, ...], value: Any, key: str) -> Any:
    """As the first type that fits by its outside: what is wrong inside is told of that one."""
    for kind in kinds:
        is_object = is_dataclass(kind) or get_origin(kind) is dict
        if isinstance(value, dict) if is_object else kind in WORDS and _is_plain(kind, value):
            return _built(kind, value, key)
    words = [WORDS.get(kind, "an object") for kind in kinds]
    return _refuse(value, key, " or ".join(words))


def _tuple(inner: tuple[Any, ...], value: Any, key: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        _refuse(value, key, "a list")
    kinds = [inner[0]] * len(value) if inner[1:] == (...,) else [*inner]
    if len(kinds) != len(value):
        _refuse(value, key, f"a list of {len(kinds)}")
    return tuple(_built(kind, entry, f"{key}[{place}]") for place, (kind, entry) in enumerate(zip(kinds, value)))  # noqa: B905


def _depth(value: Any) -> int:
    """Levels of nesting, found without recursion."""
    level, depth = [value], 0
    while level:
        depth += 1
        level = [
            entry
            for outer in level
            if isinstance(outer, dict | list)
            for entry in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return depth


def _refuse(value: Any, key: str, expected: str) -> Any:
    raise WeightsError(f"{key} is {_shown(value)}, expected {expected}")


def _shown(value: Any) -> str:
    """For people: short, however large it is."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = (
        json.dumps(value, allow_nan=False)
        if not isinstance(value, int) or abs(value) < 10**30
        else "a very large number"
    )
    return text if len(text) <= 80 else f"{text[:77]}..."
