"""Every kind of image file has defined behavior: the right pixels, or an ImageError that names it."""

import os
import struct
import threading
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from mobilevit.errors import ImageError
from mobilevit.images.decoding import UPRIGHT, decode, header, opened
from mobilevit.images.opening import FORMATS

ORIENTATION = 0x0112
WHITE, GRAY = (255, 255, 255), (128, 128, 128)


def scene(width: int = 48, height: int = 32) -> Image.Image:
    """Four quadrants of different colors: no flip or turn leaves it as it is."""
    image = Image.new("RGB", (width, height), (200, 30, 30))
    image.paste((30, 200, 30), (width // 2, 0, width, height // 2))
    image.paste((30, 30, 200), (0, height // 2, width // 2, height))
    image.paste((220, 220, 40), (width // 2, height // 2, width, height))
    return image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def difference(first: Image.Image, second: Image.Image) -> int:
    """The largest difference of any pixel, edges of the quadrants left out (JPEG smears them)."""
    assert first.size == second.size
    distance = np.abs(np.asarray(first, dtype=int) - np.asarray(second, dtype=int))
    rows, columns = distance.shape[0], distance.shape[1]
    inner = [
        distance[r : r + rows // 4, c : c + columns // 4] for r in (2, rows // 2 + 4) for c in (2, columns // 2 + 4)
    ]
    return int(max(part.max() for part in inner))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind: str, orientation: int, tmp_path: Path) -> None:
    undo = {None: None, **{turn: turn for turn in UPRIGHT.values()}}
    undo[Image.Transpose.ROTATE_90], undo[Image.Transpose.ROTATE_270] = (
        Image.Transpose.ROTATE_270,
        Image.Transpose.ROTATE_90,
    )
    turn = undo[UPRIGHT.get(orientation)]
    stored = scene() if turn is None else scene().transpose(turn)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / "image"
    path.write_bytes(encoded(stored, kind, exif=exif))
    assert header(path).size == scene().size
    decoded = decode(path)
    assert difference(decoded, scene()) < 12
    assert difference(decode(decoded), scene()) < 12, "decoding twice turns once"


@pytest.mark.parametrize("kind", [b"eXIf", b"iTXt"])
@pytest.mark.parametrize("is_behind", [False, True])
@pytest.mark.parametrize("orientation", [1, 6])
def test_an_orientation_before_or_behind_the_pixels_of_a_png(kind: bytes, orientation: int, *, is_behind: bool) -> None:
    """They are decoded for it only where something stands behind them."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="{orientation}"/></x:xmpmeta>'
    content = exif.tobytes()[6:] if kind == b"eXIf" else b"XML:com.adobe.xmp\0\0\0\0\0" + xmp.encode()
    plain = encoded(scene(), "PNG")
    place = plain.index(b"IEND" if is_behind else b"IDAT") - 4
    data = plain[:place] + chunk(kind, content) + plain[place:]
    with opened(data) as image:
        size = image.header.size
        assert bool(image.image.tile) is not is_behind
        assert image.decode().size == size
    assert size == (scene().size if orientation == 1 else scene().size[::-1])


@pytest.mark.parametrize("exif", [b"Exif\x00\x00nonsense", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b"Exif\x00\x00"])
def test_broken_exif_leaves_the_image_as_stored(exif: bytes) -> None:
    assert difference(decode(encoded(scene(), "JPEG", exif=exif)), scene()) < 12


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientation_that_does_not_exist_is_none(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert difference(decode(encoded(scene(), "JPEG", exif=exif)), scene()) < 12


def half_transparent(mode: str) -> Image.Image:
    """Black, its right half transparent."""
    image = Image.new(mode, (8, 4), (0, 255) if mode == "LA" else (0, 0, 0, 255))
    image.paste((0, 0) if mode == "LA" else (0, 0, 0, 0), (4, 0, 8, 4))
    return image


@pytest.mark.parametrize(
    "data",
    [
        encoded(half_transparent("RGBA"), "PNG"),
        encoded(half_transparent("LA"), "PNG"),
        encoded(half_transparent("RGBA"), "WEBP", lossless=True),
        encoded(half_transparent("RGBA"), "TIFF"),
        encoded(half_transparent("RGBA").quantize(), "PNG"),
        encoded(half_transparent("RGBA"), "GIF"),
    ],
    ids=["RGBA", "LA", "webp", "tiff", "palette", "gif"],
)
def test_transparent_parts_are_white(data: bytes) -> None:
    pixels = np.asarray(decode(data))
    assert (pixels[:, :4] == 0).all()
    assert (pixels[:, 4:] == 255).all()


@pytest.mark.parametrize(("mode", "color"), [("L", 128), ("RGB", GRAY)])
def test_a_transparent_color_is_white(mode: str, color: object) -> None:
    image = Image.new(mode, (4, 4), color)
    assert decode(encoded(image, "PNG", transparency=color)).getpixel((0, 0)) == WHITE


def test_half_transparency_is_blended_with_white() -> None:
    assert decode(encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 127)), "PNG")).getpixel((0, 0)) == GRAY


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "YCbCr", "HSV", "LA", "RGBA", "CMYK"])
def test_pillow_images_of_any_mode(mode: str) -> None:
    image = scene().convert(mode)
    before = image.tobytes()
    decoded = decode(image)
    assert (decoded.mode, decoded.size) == ("RGB", image.size)
    decoded.paste("black", (0, 0, 48, 32))
    assert (image.mode, image.tobytes()) == (mode, before), "the caller's image stays as it was"


def test_grayscale_and_one_bit() -> None:
    assert decode(encoded(Image.new("L", (3, 2), 77), "JPEG")).getpixel((1, 1)) == (77, 77, 77)
    assert decode(encoded(Image.new("1", (3, 2), 1), "PNG")).getpixel((1, 1)) == WHITE


def test_cmyk_jpegs_are_read_as_adobe_writes_them() -> None:
    """Inverted, with Adobe's marker and, as browsers do, without it."""
    data = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")
    marker = data.index(b"\xff\xee\x00\x0eAdobe")
    for jpeg in (data, data[:marker] + data[marker + 16 :]):
        assert header(jpeg).mode == "CMYK"
        red, green, blue = decode(jpeg).getpixel((8, 8))
        assert red > 240 and green < 15 and blue < 15


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    values = np.array([[0, 257, 25700, 32896, 65535]], dtype=np.uint16)
    for kind in ("PNG", "TIFF"):
        assert np.asarray(decode(encoded(Image.fromarray(values), kind)))[0, :, 0].tolist() == [0, 1, 100, 128, 255]


def test_sixteen_bit_color_png() -> None:
    data = png(
        chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)), b"\x00" + struct.pack(">HHH", 65535, 0, 32896)
    )
    assert decode(data).getpixel((0, 0)) == (255, 0, 128)


def test_float_images_go_from_0_to_1() -> None:
    values = np.array([[0.0, 0.5, 1.0]], dtype=np.float32)
    assert np.asarray(decode(encoded(Image.fromarray(values), "TIFF")))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("value", [1.5, -0.1, 255.0, float("nan"), float("inf")])
def test_floats_outside_are_refused(value: float) -> None:
    with pytest.raises(ImageError, match="0 to 1"):
        decode(encoded(Image.fromarray(np.full((2, 2), value, dtype=np.float32)), "TIFF"))


def test_integers_of_32_bits_hold_16() -> None:
    assert decode(Image.fromarray(np.full((2, 2), 65535, dtype=np.int32))).getpixel((0, 0)) == WHITE
    with pytest.raises(ImageError, match="0 to 65535"):
        decode(Image.fromarray(np.full((2, 2), 70000, dtype=np.int32)))


@pytest.mark.parametrize(("kind", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})])
def test_the_first_frame_of_several(kind: str, options: dict[str, object]) -> None:
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    data = encoded(red, kind, save_all=True, append_images=[blue, blue], **options)
    assert decode(data).getpixel((4, 4)) == (255, 0, 0)


def test_the_first_image_of_an_mpo() -> None:
    data = encoded(scene(), "MPO", save_all=True, append_images=[Image.new("RGB", (48, 32), "blue")])
    assert header(data).format == "MPO"
    assert difference(decode(data), scene()) < 12


@pytest.mark.parametrize("kind", FORMATS)
def test_truncated_at_any_place(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encoded(noise, kind)
    for share in (0.02, 0.3, 0.7, 0.95):
        with pytest.raises(ImageError):
            decode(data[: int(len(data) * share)])


def test_truncated_file_is_named_even_with_pillows_switch_untouched(tmp_path: Path) -> None:
    path = tmp_path / "half.jpg"
    data = encoded(scene(400, 300), "JPEG")
    path.write_bytes(data[: len(data) // 2])
    limits = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    with pytest.raises(ImageError, match=r"half\.jpg is broken .*truncated"):
        decode(path)
    with pytest.raises(ImageError):
        decode(path, draft_px=32)
    assert limits == (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_what_is_no_image(tmp_path: Path) -> None:
    text = written(tmp_path / "text.jpg", b"this is no image, whatever its name says\n" * 10)
    for source, words in (
        (written(tmp_path / "empty.jpg", b""), "empty.jpg is empty (0 bytes)"),
        (text, "text.jpg is not in a supported image format"),
        (
            written(tmp_path / "a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
            "a.eps is not in a supported",
        ),
        (written(tmp_path / "a.pdf", b"%PDF-1.7\n"), "a.pdf is not in a supported"),
        (
            written(tmp_path / "a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
            "a.svg is not in a supported",
        ),
        (tmp_path / "missing.png", "missing.png does not exist"),
        (str(tmp_path / "missing.png"), "missing.png does not exist"),
        (tmp_path, "is a folder"),
        (text / "below.jpg", "cannot be opened"),
        (tmp_path / ("x" * 300), "cannot be opened"),
        ("null\0byte.jpg", "cannot be opened"),
        ("http://example.org/a.jpg", "does not exist"),
        (b"", "the image of 0 bytes is empty"),
        (b"\xff\xd8\xff", "the image of 3 bytes"),
    ):
        for read in (decode, header):
            with pytest.raises(ImageError) as caught:
                read(source)
            assert words in str(caught.value)


@pytest.mark.parametrize("given", [None, 42, [1, 2], {"a": 1}, torch.zeros(4, 4, 3, dtype=torch.uint8)])
def test_other_objects_are_no_images(given: object) -> None:
    with pytest.raises(ImageError, match=f"{type(given).__name__} is not an image: give a path"):
        decode(given)  # type: ignore[arg-type]


class Named:
    """A path of another library."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def test_whatever_holds_the_bytes_of_an_image(tmp_path: Path) -> None:
    data = encoded(scene(), "PNG")
    path = written(tmp_path / "a.png", data)
    at_its_end = BytesIO(data)
    at_its_end.seek(0, os.SEEK_END)  # where Pillow leaves what it has just saved
    with path.open("rb") as file, path.open("rb", buffering=0) as raw:
        for source in (bytearray(data), memoryview(data), BytesIO(data), at_its_end, file, file, raw, Named(path)):
            assert np.array_equal(decode(source), scene()), type(source)


def test_open_files_that_give_no_image(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", encoded(scene(), "PNG"))
    with path.open(encoding="latin-1") as text, pytest.raises(ImageError, match=r'a\.png is .*mode "rb"'):
        decode(text)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match=r"a\.png cannot be read \(.*closed"):
        decode(text)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="0 bytes"):
        decode(BytesIO())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a thing of Unix")
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match="not a regular file"):
        decode(tmp_path / "pipe.jpg")


def test_unreadable_file(tmp_path: Path) -> None:
    path = written(tmp_path / "locked.png", encoded(scene(), "PNG"))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")
    with pytest.raises(ImageError, match="permissions"):
        decode(path)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*head: bytes) -> bytes:
    """A PNG of whole chunks, and as the last argument the raw rows."""
    *chunks, rows = head
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [12_000, 30_000, 2**31 - 1])
def test_decompression_bombs_are_refused_before_decoding(side: int) -> None:
    bomb = png(chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)), b"\x00" * 1000)
    for read in (decode, header):
        with pytest.raises(ImageError, match="refused"):
            read(bomb)


def test_huge_text_in_a_png_is_refused() -> None:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    text = chunk(b"zTXt", b"Comment\x00\x00" + zlib.compress(b"a" * 20_000_000))
    with pytest.raises(ImageError, match="MAX_TEXT_CHUNK"):
        decode(png(head, text, b"\x00\x00"))


def test_draft_never_falls_below_the_wanted_side(tmp_path: Path) -> None:
    path = written(tmp_path / "large.jpg", encoded(scene(1600, 1200), "JPEG"))
    assert decode(path).size == (1600, 1200)
    for wanted in (1200, 601, 600, 300, 150, 20):
        size = decode(path, draft_px=wanted).size
        assert wanted <= min(size) and abs(size[0] * 1200 - size[1] * 1600) <= 1600 * 8
    assert min(decode(path, draft_px=150).size) == 150


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_arrays(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    expected = pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
    assert (np.asarray(decode(pixels)) == expected).all()


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((3, 4, 4), np.uint8),
        np.zeros((4,), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), bool),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
    ],
)
def test_arrays_that_are_no_images(pixels: np.ndarray) -> None:
    with pytest.raises(ImageError, match="uint8 of shape"):
        decode(pixels)


FILES = {kind: encoded(scene(), kind) for kind in FORMATS}


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from(FORMATS), data=st.data())
def test_damaged_files_decode_or_raise_and_nothing_else(kind: str, data: st.DataObject) -> None:
    content = bytearray(FILES[kind])
    places = data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=20))
    for place, value in places:
        content[place] = value
    try:
        assert decode(bytes(content)).mode == "RGB"
    except ImageError as error:
        assert str(error)


def test_many_threads_at_once() -> None:
    sources = [encoded(scene(64 + 8 * i, 64), kind) for i in range(4) for kind in FORMATS]
    expected = [decode(source).tobytes() for source in sources]
    wrong: list[int] = []

    def work() -> None:
        wrong.extend(i for i, source in enumerate(sources) if decode(source).tobytes() != expected[i])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_real_photos() -> None:
    photos = sorted((Path(__file__).parents[3] / "shared/data/photos").glob("*.jpg"))
    if not photos:
        pytest.skip("../shared/data/photos is not here")
    for photo in photos:
        assert decode(photo).size == header(photo).size
        small = decode(photo, draft_px=64)
        assert min(small.size) >= 64
