"""HEIC and AVIF, as phones write them."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilevit.datasets.image_inspection import Examined, examine
from mobilevit.errors import ImageError
from mobilevit.images import folders
from mobilevit.images.decoding import decode, header
from mobilevit.images.heif import is_heif
from mobilevit.images.sources import expand

ORIENTATION = 0x0112


def scene(width: int = 128, height: int = 64) -> Image.Image:
    """Four quadrants of different colors: no flip or turn leaves it as it is."""
    image = Image.new("RGB", (width, height), (200, 30, 30))
    image.paste((30, 200, 30), (width // 2, 0, width, height // 2))
    image.paste((30, 30, 200), (0, height // 2, width // 2, height))
    image.paste((220, 220, 40), (width // 2, height // 2, width, height))
    return image


def heic(image: Image.Image, **options: object) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = BytesIO()
    pillow_heif.from_pillow(image).save(stream, quality=90, **options)
    return stream.getvalue()


def turned(orientation: int) -> bytes:
    """EXIF that says how the image is to be turned."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif.tobytes()


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    """The colors of the quadrants, coarsely: which of red, green and blue are strong."""
    width, height = image.size
    places = [(x, y) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [tuple(int(value > 128) for value in image.getpixel(place)) for place in places]  # type: ignore[union-attr]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_is_turned_once(orientation: int) -> None:
    """libheif turns it as the file's own properties say, and says so in EXIF too; a second turn would be wrong."""
    data = heic(scene(), exif=turned(orientation))
    import pillow_heif

    expected = pillow_heif.open_heif(BytesIO(data)).to_pillow()
    assert (expected.size == (128, 64)) is (orientation < 5)
    decoded = decode(data)
    assert header(data).size == decoded.size == expected.size
    assert corners(decoded) == corners(expected)
    assert corners(decode(decoded)) == corners(decoded)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_avif_is_turned_as_a_jpeg_is(orientation: int) -> None:
    files = []
    for kind in ("JPEG", "AVIF"):
        stream = BytesIO()
        scene().save(stream, kind, exif=turned(orientation), quality=90)
        files.append(stream.getvalue())
    jpeg, avif = map(decode, files)
    assert jpeg.size == avif.size == header(files[1]).size
    assert corners(jpeg) == corners(avif)


def test_kinds_of_heic() -> None:
    gray = heic(scene().convert("L"))
    assert len(set(decode(gray).getpixel((9, 9)))) == 1  # type: ignore[arg-type]
    alpha = scene().convert("RGBA")
    alpha.putalpha(0)
    assert min(decode(heic(alpha)).getpixel((9, 9))) > 250  # type: ignore[arg-type, type-var]
    deep = np.full((64, 64, 3), 65535, np.uint16)
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = BytesIO()
    pillow_heif.from_bytes("RGB;16", (64, 64), deep.tobytes()).save(stream)
    assert min(decode(stream.getvalue()).getpixel((9, 9))) > 250  # type: ignore[arg-type, type-var]


def test_a_broken_heic_is_an_error_of_ours(tmp_path: Path) -> None:
    data = heic(scene())
    for cut in (40, 100, len(data) // 2, len(data) - 20):
        (tmp_path / "cut.heic").write_bytes(data[:cut])
        with pytest.raises(ImageError, match=r"cut\.heic is (broken|not in a supported)"):
            decode(tmp_path / "cut.heic")


def test_every_suffix_of_a_phone_is_found(tmp_path: Path) -> None:
    for name in ("a.heic", "b.HEIC", "c.heif", "d.hif"):
        (tmp_path / name).write_bytes(heic(scene()))
    scene().save(tmp_path / "e.avif")
    assert len(folders.images_below(tmp_path)) == 5
    assert [source.image().size for source in expand(tmp_path)] == [(128, 64)] * 5
    kinds = [
        examined.header.format
        for examined in map(examine, sorted(tmp_path.iterdir()))
        if isinstance(examined, Examined)
    ]
    assert kinds == ["HEIF"] * 4 + ["AVIF"]


WITHOUT = """
import sys
sys.modules["pillow_heif"] = None  # as if it were not installed
from mobilevit.datasets.image_inspection import examine
from pathlib import Path
print(examine(Path(sys.argv[1])).reason)
"""


def test_without_the_extra_its_name_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(heic(scene()))
    command = [sys.executable, "-c", WITHOUT, str(tmp_path / "a.heic")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'is HEIC: pip install "mobilevit[heic]", or convert it to JPEG'
    assert not done.stderr


def test_which_files_are_heic() -> None:
    assert is_heif(b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic" + bytes(40))
    assert is_heif(b"\x00\x00\x00\x14ftypheix\x00\x00\x00\x00heix")
    assert not is_heif(b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf" + bytes(40))
    assert not is_heif(b"\x00\x00\x00\x14ftypavif\x00\x00\x00\x00avif\x00\x00\x00\x00heic"), "beyond the list"
    assert not is_heif(b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp42")
    assert not is_heif(b"")
