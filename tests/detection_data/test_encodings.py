"""Annotation files in any encoding that they declare, and in some that they do not."""

from pathlib import Path

import pytest
from made_boxes import image, names, read, voc

from mobilevit.errors import DataError

SIZE = (64, 48)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb2312", "gbk", "utf-16-le"])
def test_xml_in_the_encoding_that_it_declares(encoding: str, tmp_path: Path) -> None:
    declared = {"utf-8-sig": "utf8", "utf-16-le": "utf-16"}.get(encoding, encoding)
    for name, label in (("a", "猫"), ("b", "狗")):
        path = voc(tmp_path / "Annotations" / f"{name}.xml", [(label, (1, 1, 9, 9))])
        text = f'<?xml version="1.0" encoding="{declared}"?>{path.read_text("utf-8")}'
        path.write_bytes(text.encode(encoding))
        image(tmp_path / "JPEGImages" / f"{name}.jpg")
    assert names(read(tmp_path)) == ["狗", "猫"]


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"", "a.xml is not UTF-8 text (byte 96): save it as UTF-8"),
        (b'<?xml version="1.0" encoding="utf8"?>', "a.xml declares the encoding utf8, but is not in it"),
        (b'<?xml version="1.0" encoding="ansi"?>', "unknown encoding 'ansi': save it as UTF-8, and have it declare"),
    ],
)
def test_xml_in_an_encoding_that_nobody_knows(start: bytes, said: str, tmp_path: Path) -> None:
    path = voc(tmp_path / "Annotations" / "a.xml", [("狗", (1, 1, 9, 9))])
    path.write_bytes(start + path.read_text("utf-8").encode("gbk"))
    image(tmp_path / "JPEGImages" / "a.jpg")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert said in str(caught.value)


@pytest.mark.parametrize("declared", ["gbk", "ascii"])
def test_xml_that_was_saved_as_utf_8_with_its_first_line_as_it_was(declared: str, tmp_path: Path) -> None:
    for name in "ab":
        path = voc(tmp_path / "Annotations" / f"{name}.xml", [("猫", (1, 1, 9, 9))])
        path.write_text(f'<?xml version="1.0" encoding="{declared}"?>{path.read_text("utf-8")}', "utf-8")
        image(tmp_path / "JPEGImages" / f"{name}.jpg")
    assert names(read(tmp_path)) == ["猫"]
