"""Text, JSON and XML in the encodings that tools write: UTF-8 with or without BOM, UTF-16 with BOM, XML as declared.

What cannot be told is an error that says so; a guess would turn names into other names.
"""

import codecs
import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from mobilevit.datasets.finding import printable
from mobilevit.errors import DataError

MAX_BYTES = 2**30  # of an annotation file; COCO's largest has 470 MB
MAX_BYTES_OF_ONE = 2**26  # of the annotation file of one image, which may hold the image itself in base 64
MARKS = {  # with which a text begins, the longest first; each codec takes its mark away
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
DECLARED = re.compile(rb"""\s*<\?xml\b[^>]*?\bencoding\s*=\s*["']([\w.:-]{1,40})["']""")
UNMARKED = {b"<\0": "utf-16-le", b"\0<": "utf-16-be"}  # how XML in UTF-16 begins
SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030"}  # what tools write that declare these


def read_bytes(path: Path, most_bytes: int = MAX_BYTES) -> bytes:
    """The content of an ordinary file; DataError where there is none, or more than is sensible."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path} is not a regular file: annotations must be regular files")
        if status.st_size > most_bytes:
            raise DataError(f"{path} is refused because it is larger than {most_bytes // 2**20} MB: split it")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def head(path: Path, count: int) -> bytes:
    """The first bytes of an ordinary file, those of UTF-16 without every other one: enough to look for ASCII words in.

    Empty where there is no such file.
    """
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(count).replace(b"\0", b"")
    except OSError:
        return b""


def ends(path: Path, count: int) -> bytes:
    """As `head`, with as many of the last bytes behind them."""
    start = head(path, count)
    if not start:
        return b""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - count))
        return start + b"\n" + file.read(count).replace(b"\0", b"")


def read_text(path: Path, most_bytes: int = MAX_BYTES) -> str:
    """The content as text; DataError where it is neither UTF-8 nor marked as something else."""
    return _decoded(path, read_bytes(path, most_bytes))


def read_json(path: Path, most_bytes: int = MAX_BYTES, hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """The content of a JSON file; `hook` replaces each object while it is read. DataError where it is no JSON."""
    content = read_bytes(path, most_bytes)
    text = content if content.startswith((b"{", b"[")) else _decoded(path, content)  # the former without a copy
    try:
        return json.loads(text, object_hook=hook)
    except RecursionError:
        raise DataError(f"{path} is refused because its lists are nested too deeply") from None
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from error
    except ValueError as error:  # a JSONDecodeError names line and column
        raise DataError(f"{path} is not valid JSON ({quoted(error, 100)}): copy or export it again") from error


def read_xml(path: Path, most_bytes: int = MAX_BYTES_OF_ONE) -> Element:
    """The outermost element; DataError where the file is no XML, or defines entities, which can be bombs."""
    text = _decoded_xml(path, read_bytes(path, most_bytes))
    try:
        parser = ElementTree.XMLParser(target=_NoDoctype(path))
        parser.feed(text)  # as text, whose encoding nobody asks for any more
        tree: Element = parser.close()
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"{path} is not valid XML ({quoted(error, 100)}): copy or export it again") from error
    return tree


class _NoDoctype(ElementTree.TreeBuilder):
    """Builds a tree, and stops where a document type begins, before any entity is defined or expanded."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def doctype(self, name: str, public: str | None, system: str | None) -> None:  # noqa: ARG002 (the parser's names)
        raise DataError(
            f"{self.path} is refused because it defines a document type; annotations have none: remove <!DOCTYPE ...>"
        )


def _decoded_xml(path: Path, content: bytes) -> str:
    if content[:2] in UNMARKED:
        return content.decode(UNMARKED[content[:2]], "replace")  # what is replaced is no XML
    declared = DECLARED.match(content)
    if declared is None or declared[1].lower().startswith((b"utf-16", b"utf-32")):  # those would not match as ASCII
        return _decoded(path, content)
    name = declared[1].decode()
    try:
        return content.decode(SUPERSETS.get(name.casefold(), name))
    except LookupError:
        raise DataError(
            f"{path} declares the unknown encoding '{quoted(name)}': save it as UTF-8, and have it declare that"
        ) from None
    except ValueError:
        return _as_utf8(path, content, name)


def _as_utf8(path: Path, content: bytes, declared: str) -> str:
    """What is not in the encoding that it declares: a file that was saved as UTF-8, its first line left as it was."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} declares the encoding {declared}, but is not in it (byte {error.start}): save it as UTF-8"
        ) from None


def _decoded(path: Path, content: bytes) -> str:
    """The text of what is marked as UTF-8, UTF-16 or UTF-32, or is UTF-8."""
    codec = next((codec for mark, codec in MARKS.items() if content.startswith(mark)), None)
    if codec is None and b"\0" in content:
        raise DataError(f"{path} looks like UTF-16: save it as UTF-8")
    try:
        return content.decode(codec or "utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from error


def _not_utf8(path: Path, error: UnicodeDecodeError) -> DataError:
    return DataError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8")


def quoted(text: object, most: int = 60) -> str:
    """A text for a message: printable, on one line, shortened."""
    text = str(text)
    if not text.isprintable():
        text = "".join(map(_spelt, printable(text[:1000])))
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _spelt(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
