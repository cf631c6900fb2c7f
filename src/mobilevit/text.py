"""Text from untrusted names of files and classes, made safe to print and store.

A name can have bytes that are no UTF-8 (Python keeps them as lone surrogates, which no file and no page can hold),
line breaks, and sequences that move a terminal's cursor or turn the direction of writing.
"""

import json
import math
import re
from typing import Any


def printable(text: object) -> str:
    """The text on one line, printable; other characters are escaped with a backslash.

    Bytes that are valid UTF-8, as where the locale is C, are decoded.
    """
    return HIDDEN.sub(_spelt, _without_surrogates(str(text)))


def printable_lines(text: object) -> str:
    """The same for a text of several lines, which stay lines."""
    return "\n".join(map(printable, str(text).split("\n")))


def words_of(error: BaseException) -> str:
    """The message of another library's exception, on one line and of limited length, to quote in our own.

    `printable` would escape its line breaks. Without a message: the name of its type.
    """
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= LONGEST_WORDS else f"{said[: LONGEST_WORDS - 3]}..."


LONGEST_WORDS = 600  # characters: torch lists every key of a state dict

# Controls (C0, DEL, C1), separators of lines and paragraphs, and marks that turn the direction of writing.
HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
SURROGATE = re.compile("[\ud800-\udfff]")


def _spelt(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _without_surrogates(text: str) -> str:
    if SURROGATE.search(text) is None:
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # surrogates that stand for no byte
        return text.encode("utf-8", "backslashreplace").decode()


def utf8(text: str) -> bytes:
    """The text encoded for a file: line breaks stay, surrogates are escaped with a backslash."""
    return _without_surrogates(text).encode()


def to_json(value: Any, *, indent: int | None = None) -> str:
    """JSON that every reader and terminal accepts, with non-ASCII letters unescaped.

    Control characters are escaped. Surrogates, which many readers refuse, become `printable`, and numbers that are not
    finite, which JSON lacks, become null.
    """
    return HIDDEN_IN_JSON.sub(_escaped, json.dumps(_clean(value), indent=indent, ensure_ascii=False, allow_nan=False))


HIDDEN_IN_JSON = re.compile(HIDDEN.pattern.replace("\x00-\x1f", ""))  # of those below a space only line breaks are left


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _without_surrogates(value)
    if isinstance(value, dict):
        return {_clean(key): _clean(inner) for key, inner in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return [_clean(inner) for inner in value] if isinstance(value, list | tuple) else value
