"""Names that a terminal, a page or a file cannot hold."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilevit.errors import DataError
from mobilevit.spec import ClassLabel
from mobilevit.text import LONGEST_WORDS, printable, printable_lines, to_json, utf8, words_of

NAMES = {
    b"caf\xe9": "caf\\xe9",  # Latin-1
    "café".encode(): "café",
    b"new\nline": "new\\nline",
    b"red\x1b[31m": "red\\x1b[31m",
    "csi\x9b2J".encode(): "csi\\x9b2J",
    "gnp\u202e.exe".encode(): "gnp\\u202e.exe",
    "日本語 👩\u200d🔬".encode(): "日本語 👩\u200d🔬",
}


@pytest.mark.parametrize(("name", "shown"), NAMES.items())
def test_a_name_of_any_bytes_is_shown_on_one_line(name: bytes, shown: str) -> None:
    """In a locale of UTF-8 and in one of ASCII, which knows no letter of it."""
    for encoding in ("utf-8", "ascii"):
        assert printable(name.decode(encoding, "surrogateescape")) == shown


@given(st.text(st.characters(codec=None)))
def test_any_text_can_be_shown_written_and_read(text: str) -> None:
    shown = printable(text)
    assert printable(shown) == shown and "\n" not in shown and "\x1b" not in shown
    assert utf8(shown).decode() == shown
    written = to_json({text: [text]})
    assert utf8(written).decode() == written
    (((key, (value,)),)) = json.loads(written).items()
    assert printable(key) == printable(value) == shown


def test_json_means_what_was_given() -> None:
    value = {"a": [1, None, True, 0.5, "é\x1b\x9b\n"], "b": {"c": ("x",)}}
    written = to_json(value, indent=1)
    assert json.loads(written) == {"a": [1, None, True, 0.5, "é\x1b\x9b\n"], "b": {"c": ["x"]}}
    assert "\x1b" not in written and "\x9b" not in written and "é" in written


def test_what_is_not_finite_is_null() -> None:
    assert to_json([float("nan"), float("-inf"), 0.5]) == "[null, null, 0.5]"


def test_lines_stay_lines_and_an_error_has_as_many_as_it_was_given() -> None:
    assert printable_lines("a\nb\x1b") == "a\nb\\x1b"
    assert str(DataError("one\ntwo", "three")) == "one\\ntwo\nthree"


@given(st.text(st.characters(codec=None)))
def test_what_another_library_says_goes_on_one_line(said: str) -> None:
    """With nothing spelled that merely parted its lines, and with its kind where it says nothing."""
    line = str(DataError(f"it is damaged: {words_of(ValueError(said))}"))
    assert "\n" not in line
    assert words_of(ValueError(f"one\n\ttwo {said} \r\nthree")).startswith("one two ")
    assert words_of(ValueError(" \n")) == "ValueError"
    assert len(words_of(ValueError(said + "x" * 10**5))) == LONGEST_WORDS


def test_classes_have_names_that_every_file_can_hold() -> None:
    assert ClassLabel("caf\udce9", "a\x1bb") == ClassLabel("caf\\xe9", "a\\x1bb")
