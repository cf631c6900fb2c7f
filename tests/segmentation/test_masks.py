"""Masks: what is stored, in every way that people store it, is what is learned."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mobilevit.datasets.mask_target import IGNORED, Coding, Mask, decoded
from mobilevit.datasets.palette import PALETTE
from mobilevit.errors import ImageError

THREE = Coding((0, 1, 2))
COLORED = Coding((0, 1, 2), ((0, 0, 0), (255, 0, 0), (0, 0, 255)), ignored=(255, 255, 255))
BLACK = Coding((0,), ((0, 0, 0),))
BLACK_AND_WHITE = Coding((0, 1), ((0, 0, 0), (255, 255, 255)))
BLACK_AND_GRAY = Coding((0, 1), ((0, 0, 0), (128, 128, 128)))
VALUES = np.array([[0, 1, 2, 1], [2, 2, 255, 0], [1, 0, 0, 255]], np.uint8)


def mask(path: Path, coding: Coding = THREE) -> Mask:
    return Mask(path, path.with_suffix(".jpg"), coding)


def png(path: Path, values: np.ndarray, bits: int, kind: int, palette: bytes = b"") -> Path:
    """A PNG written by hand: `kind` 0 is gray, 3 palette; `bits` a pixel."""
    height, width = values.shape
    rows = []
    for row in values:
        digits = "".join(f"{value:0{bits}b}" for value in row)
        digits += "0" * (-len(digits) % 8)
        rows.append(b"\0" + int(digits, 2).to_bytes(len(digits) // 8, "big"))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))]
    chunks += [(b"PLTE", palette)] if palette else []
    chunks += [(b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in chunks:
        content += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_gray_values_are_read_as_stored(tmp_path: Path, bits: int) -> None:
    """Pillow spreads 2 and 4 bits over 0 to 255."""
    values = np.where(VALUES == 255, 0, VALUES)
    np.testing.assert_array_equal(mask(png(tmp_path / "m.png", values, bits, 0)).read(), values)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_palette_indices_are_read_as_stored(tmp_path: Path, bits: int) -> None:
    values = np.where(VALUES == 255, 0, VALUES)
    path = png(tmp_path / "m.png", values, bits, 3, palette=bytes([200, 0, 0, 200, 0, 0, 9, 9, 9, 1, 2, 3]))
    np.testing.assert_array_equal(mask(path).read(), values)


@pytest.mark.parametrize("kind", [0, 3])
def test_one_bit(tmp_path: Path, kind: int) -> None:
    values = VALUES % 2
    path = png(tmp_path / "m.png", values, 1, kind, palette=bytes(6) if kind else b"")
    np.testing.assert_array_equal(mask(path).read(), values)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [(mode, suffix) for mode in ("L", "P", "LA", "RGB", "RGBA", "I;16") for suffix in (".png", ".tif")]
    + [("I", ".tif"), ("L", ".bmp")],
)
def test_modes(tmp_path: Path, mode: str, suffix: str) -> None:
    """Three equal channels are what some programs make of indices."""
    image = Image.fromarray(VALUES)
    if mode == "P":
        image.putpalette([part for color in PALETTE for part in color])
    elif mode.startswith("I"):
        image = Image.fromarray(VALUES.astype(np.uint16 if mode == "I;16" else np.int32))
    else:
        image = image.convert(mode)
    path = tmp_path / f"m{suffix}"
    image.save(path)
    np.testing.assert_array_equal(mask(path).read(), VALUES)


def test_transparency_does_not_change_indices(tmp_path: Path) -> None:
    image = Image.fromarray(VALUES).convert("L")
    image.putpalette([part for color in PALETTE for part in color])
    image.save(tmp_path / "m.png", transparency=1)
    np.testing.assert_array_equal(mask(tmp_path / "m.png").read(), VALUES)


def test_colors(tmp_path: Path) -> None:
    table = np.array([*COLORED.colors, *[(255, 255, 255)] * 253], np.uint8)
    Image.fromarray(table[VALUES]).save(tmp_path / "m.png")
    np.testing.assert_array_equal(mask(tmp_path / "m.png", COLORED).read(), VALUES)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**31), classes=st.integers(2, 40))
def test_a_color_table_undoes_itself(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    numbers = rng.choice(2**24, classes, replace=False)
    colors = tuple((int(n) >> 16, int(n) >> 8 & 255, int(n) & 255) for n in numbers)
    values = rng.integers(0, classes, (5, 7)).astype(np.uint8)
    stored = np.array(colors, np.uint8)[values]
    np.testing.assert_array_equal(decoded(stored, Coding(tuple(range(classes)), colors)), values)


def test_gray_colors_are_values_of_gray_masks() -> None:
    """Black and white masks: white is a class there, and not what is left out."""
    stored = np.array([[0, 255], [255, 0]], np.uint8)
    np.testing.assert_array_equal(decoded(stored, BLACK_AND_WHITE), stored // 255)


def test_one_bit_is_black_and_white_where_these_are_the_colors(tmp_path: Path) -> None:
    path = png(tmp_path / "m.png", VALUES % 2, 1, 0)
    np.testing.assert_array_equal(mask(path, BLACK_AND_WHITE).read(), VALUES % 2)
    one_is_a_color = Coding((0, 1), ((0, 0, 0), (1, 1, 1)), ignored=(255, 255, 255))
    np.testing.assert_array_equal(mask(path, one_is_a_color).read(), VALUES % 2)


NO_ADVICE = r"no class has this color$"
NUMBERS = "its values are class indices, but classes.txt has colors: remove the colors$"


def test_indices_stay_indices_beside_a_color_table() -> None:
    np.testing.assert_array_equal(decoded(VALUES, COLORED), VALUES)


@pytest.mark.parametrize(
    ("stored", "coding", "words"),
    [
        ([[0, 7, 9]], THREE, "has the values 7, 9: classes are 0 to 2, and 255 is ignored"),
        ([[0, 300]], THREE, "has the value 300"),
        ([[0, -1]], THREE, "has the value -1"),
        ([[[0, 0, 0], [1, 2, 3]]], COLORED, "has the color #010203: no class has this color"),
        ([[[0, 0, 0], [255] * 3]], BLACK, "has the color #ffffff: .* add 'ignore 255 255 255' to classes.txt"),
        ([[0, 1, 255]], BLACK, "has the colors #010101, #ffffff: .* add 'ignore 255 255 255' to classes.txt"),
        ([[0, 1]], BLACK_AND_WHITE, f"has the color #010101: {NUMBERS}"),
        ([[0, 1, 255]], BLACK_AND_WHITE, f"has the color #010101: {NUMBERS}"),
        ([[[0, 0, 0], [1, 1, 1]]], BLACK_AND_WHITE, f"has the color #010101: {NUMBERS}"),
        ([[0, 1, 128]], BLACK_AND_GRAY, f"has the color #010101: {NO_ADVICE}"),
        ([[0, 255]], BLACK_AND_GRAY, "has the color #ffffff: .* add 'ignore 255 255 255' to classes.txt"),
        (
            [[[0, 0, 0], [1, 1, 1]]],
            COLORED,
            "has the color #010101: its values are class indices, .* save it as gray",
        ),
        ([[[0, 0, 0], [1, 2, 3]]], THREE, "uses colors, but the classes have none"),
    ],
)
def test_other_values(tmp_path: Path, stored: list[object], coding: Coding, words: str) -> None:
    values = np.array(stored, np.int32)
    path = tmp_path / "m.tif"
    Image.fromarray(values.astype(np.uint8) if values.ndim == 3 else values).save(path)
    with pytest.raises(ImageError, match=f"m.tif {words}"):
        mask(path, coding).read()


def test_a_jpeg_of_other_values_says_why(tmp_path: Path) -> None:
    Image.fromarray(np.kron(VALUES % 2, np.full((5, 5), 255, np.uint8))).save(tmp_path / "m.jpg")
    for coding in (THREE, BLACK_AND_WHITE):
        with pytest.raises(ImageError, match=r"m\.jpg is a JPEG, whose compression changes values: save masks as PNG"):
            mask(tmp_path / "m.jpg", coding).read()


def test_another_size_is_an_error_that_names_both(tmp_path: Path) -> None:
    Image.fromarray(VALUES).save(tmp_path / "m.png")
    assert mask(tmp_path / "m.png").read_for((4, 3)).shape == (3, 4)
    with pytest.raises(ImageError, match=r"m\.png is 4 x 3, but its image is 8 x 6: export it again"):
        mask(tmp_path / "m.png").read_for((8, 6))
    with pytest.raises(ImageError, match=r"m\.png is 4 x 3, but its image is 3 x 4: rotate the mask; .* EXIF"):
        mask(tmp_path / "m.png").read_for((3, 4))


def test_a_mask_is_turned_as_its_own_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(VALUES).save(tmp_path / "m.png", exif=exif)
    np.testing.assert_array_equal(mask(tmp_path / "m.png").read(), np.rot90(VALUES, -1))


def test_broken_and_hostile_masks(tmp_path: Path) -> None:
    good = tmp_path / "good.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 3, (64, 64), dtype=np.uint8)).save(good)
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:300])
    (tmp_path / "empty.png").touch()
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]:
        content += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    (tmp_path / "bomb.png").write_bytes(content)
    for name, words in [
        ("cut", "is broken"),
        ("empty", "is empty"),
        ("bomb", "is refused"),
        ("none", "cannot be opened"),
    ]:
        with pytest.raises(ImageError, match=rf"{name}\.png {words}"):
            mask(tmp_path / f"{name}.png").counts()


def test_relabeling_composes(tmp_path: Path) -> None:
    Image.fromarray(VALUES).save(tmp_path / "m.png")
    once = mask(tmp_path / "m.png").relabeled((2, 0, 1))
    twice = once.relabeled((10, 11, 12))
    np.testing.assert_array_equal(once.read(), np.where(VALUES == 255, 255, (VALUES + 2) % 3))
    assert set(np.unique(twice.read())) == {10, 11, 12, IGNORED}
    assert twice.counts() == {12: 4, 10: 3, 11: 3}


def test_masks_compare_and_hash_by_what_they_say(tmp_path: Path) -> None:
    one, same = mask(tmp_path / "m.png"), mask(tmp_path / "m.png")
    assert one == same
    assert len({one, same, one.relabeled((1, 0, 2))}) == 2


def test_counts_follow_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    Image.fromarray(VALUES).save(path)
    assert mask(path).counts() == {0: 4, 1: 3, 2: 3}
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(path)
    assert mask(path).counts() == {0: 81}
