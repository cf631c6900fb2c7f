"""Tiny files that would take minutes or gigabytes are refused before they are decoded, and others are not."""

import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilevit.errors import ImageError
from mobilevit.images import effort
from mobilevit.images.decoding import decode, header, opened
from mobilevit.images.memory import MAX_DECODING_BYTES, MEMORY, SharedMemory, decoding_bytes
from mobilevit.images.metering import MAX_READS


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise(width: int = 48, height: int = 32) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def scans_of(jpeg: bytes, count: int) -> bytes:
    """`jpeg` with its last scan that often."""
    last = jpeg[jpeg.rindex(b"\xff\xda\x00") : -2]
    return jpeg[:-2] + last * (count - jpeg.count(b"\xff\xda\x00")) + jpeg[-2:]


def of_size(jpeg: bytes, width: int, height: int) -> bytes:
    place = jpeg.index(b"\xff\xc2" if b"\xff\xc2" in jpeg else b"\xff\xc0")
    return jpeg[: place + 5] + struct.pack(">HH", height, width) + jpeg[place + 9 :]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_of_endless_scans(progressive: bool) -> None:
    jpeg = encoded(noise(), "JPEG", progressive=progressive)
    assert decode(jpeg).size == (48, 32)
    for read in (decode, values):
        with pytest.raises(ImageError, match="scans would take too long"):
            read(scans_of(jpeg, effort.MAX_SCANS + 1))
    with pytest.raises(ImageError, match="20 scans would take too long"):
        decode(of_size(scans_of(jpeg, 20), 16_000, 8_000), draft_px=64)


def values(data: bytes) -> object:
    with opened(data) as image:
        return image.values()


def test_a_tiff_of_jpegs_of_endless_scans() -> None:
    tiff = encoded(noise(), "TIFF", compression="jpeg")
    assert decode(tiff).size == (48, 32)
    with pytest.raises(ImageError, match="scans would take too long"):
        decode(tiff + b"\xff\xda\x00" * effort.MAX_SCANS * 2)


def test_a_tiff_whose_strips_are_the_same_bytes_again_and_again() -> None:
    tiff = bytearray(encoded(noise(64, 4096), "TIFF", compression="tiff_lzw"))
    (entries,) = struct.unpack_from("<I", tiff, 4)
    for entry in range(entries + 2, entries + 2 + 12 * struct.unpack_from("<H", tiff, entries)[0], 12):
        tag, kind, count, place = struct.unpack_from("<HHII", tiff, entry)
        if tag == 279:  # how many bytes each strip has
            assert count > 8 and kind in (3, 4)
            tiff[place : place + count * (2 * kind - 4)] = (
                min(len(tiff), 256 ** (2 * kind - 4) - 1).to_bytes(2 * kind - 4, "little") * count
            )
    with pytest.raises(ImageError, match="strips overlap"):
        decode(bytes(tiff))


def bmp(width: int, height: int, runs: bytes) -> bytes:
    """Run-length encoded in 8 bits, two colors."""
    palette = bytes(4) + b"\xff\xff\xff\x00"
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 0, 0, 2, 2)
    offset = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(runs), 0, 0, offset) + head + palette + runs


def test_a_run_length_encoded_bmp_of_many_pixels() -> None:
    assert decode(bmp(2, 2, b"\x02\x01\x00\x00\x02\x01\x00\x01")).getcolors() == [(4, (255, 255, 255))]
    for size in ((effort.MAX_RUN_LENGTH_PIXELS + 1, 1), (1, effort.MAX_RUN_LENGTH_PIXELS + 1), (8192, 4096)):
        with pytest.raises(ImageError, match="in run lengths would take too long"):
            decode(bmp(*size, b"\x00\x00" * 20))


def test_a_file_in_crumbs() -> None:
    """Steps of a parser that lead nowhere: each of them takes a read."""
    delta = bmp(2, 2, b"\x00\x02\x00\x00" * (MAX_READS // 3) + b"\x00\x01")
    with pytest.raises(ImageError, match="too many pieces"):
        decode(delta)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + segment(0xE1, b"Exif\x00\x00" + bytes(65_000)) * 520 + encoded(noise(), "JPEG")[2:],
        b"GIF89a\x01\x00\x01\x00\x00\x00\x00!\xfe" + (b"\xff" + bytes(255)) * 9000 + b"\x00" + b",",
    ],
    ids=["exif", "comment"],
)
@pytest.mark.parametrize("read", [header, pytest.param(decode, marks=pytest.mark.system)])  # Pillow copies them often
def test_megabytes_before_the_pixels(data: bytes, read: Callable[[Path], object], tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(data)
    with pytest.raises(ImageError, match=r"long is refused because more than \d+ MB precede its pixels"):
        read(tmp_path / "long")


def test_exif_of_the_longest_that_is_usual_is_read() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x927C] = 6, bytes(60_000)
    for kind in ("JPEG", "PNG", "WEBP", "AVIF"):
        assert header(encoded(noise(), kind, exif=exif)).size == (32, 48), kind


def webp(width: int, height: int) -> bytes:
    """One color, without loss: the decoder makes all of the canvas of it."""
    small = bytearray(encoded(Image.new("RGB", (8, 8), "red"), "WEBP", lossless=True))
    place = small.index(b"VP8L") + 9
    small[place : place + 4] = struct.pack("<I", (width - 1) | (height - 1) << 14)
    return bytes(small)


def test_what_takes_too_much_memory() -> None:
    assert decode(webp(2000, 1000)).size == (2000, 1000)
    with pytest.raises(ImageError, match=r"16383 x 8191 pixels of WEBP take [\d,]+ MB of memory"):
        decode(webp(16383, 8191))
    assert header(webp(16383, 8191)).size == (16383, 8191)


PEAK = """
import re, sys
from pathlib import Path
import mobilevit.images.decoding as decoding
from mobilevit.images.memory import MEMORY

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

decoding.decode(sys.argv[1])  # modules, and what libraries keep
before = peak()
with decoding.opened(sys.argv[2]) as image:
    image.decode()
    print(peak() - before, MEMORY.used_bytes)
"""


def rotated() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak of a process by itself")
@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGB", "JPEG", {"exif": rotated()}),
        ("CMYK", "JPEG", {"progressive": True, "exif": rotated()}),
        ("RGBA", "PNG", {"exif": rotated(), "compress_level": 1}),
        ("I;16", "PNG", {"compress_level": 1}),
        ("RGBA", "WEBP", {"lossless": True, "quality": 0, "method": 0}),
        ("RGBA", "AVIF", {"speed": 10}),
        ("RGBA", "TIFF", {"compression": "tiff_adobe_deflate"}),
        ("F", "TIFF", {"compression": "tiff_adobe_deflate"}),
        ("P", "GIF", {}),
    ],
)
def test_the_memory_that_is_reserved_is_enough(
    mode: str, kind: str, options: dict[str, object], tmp_path: Path
) -> None:
    """Measured in a process of its own, on 4 million pixels."""
    for name, size in (("small", (64, 64)), ("large", (2048, 2048))):
        (tmp_path / name).write_bytes(encoded(Image.new(mode, size), kind, **options))
    command = [sys.executable, "-c", PEAK, str(tmp_path / "small"), str(tmp_path / "large")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    used, reserved = map(int, done.stdout.split())
    slack = 2**23  # of the allocator, and of the bands
    assert 2**22 <= used <= reserved + slack


def test_threads_wait_for_memory_and_none_for_ever() -> None:
    shared = SharedMemory(100)
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def work(size_bytes: int) -> None:
        with shared.reserved(size_bytes):
            with lock:
                running.append(size_bytes)
                most.append(sum(running))
            with shared.reserved(1):  # more of the same thread never waits
                pass
            with lock:
                running.remove(size_bytes)

    threads = [threading.Thread(target=work, args=(size,)) for size in (60, 40, 100, 30, 70, 100, 1, 99) * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert len(most) == len(threads) and max(most) <= 100
    assert shared.used_bytes == 0


def test_memory_is_given_back_also_after_errors() -> None:
    before = MEMORY.used_bytes
    with pytest.raises(ImageError):
        decode(encoded(noise(64, 64), "JPEG")[:900])
    assert MEMORY.used_bytes == before


def test_the_largest_images_of_phones_fit() -> None:
    image = Image.new("RGB", (1, 1))
    for kind, width, height in (("JPEG", 12_000, 9_000), ("HEIF", 12_000, 9_000), ("WEBP", 8_000, 6_000)):
        image.format = kind  # type: ignore[misc]
        assert decoding_bytes(image) * width * height <= MAX_DECODING_BYTES, kind


def exif_bomb() -> bytes:
    """Ten thousand entries, each of them claiming the same 200 KB."""
    count, size = 10_000, 200_000
    entries = b"".join(struct.pack("<HHII", 40_000 + number, 7, size, 8) for number in range(count))
    block = b"II*\x00" + struct.pack("<IH", 8, count) + entries + bytes(4)
    return block + bytes(size + 8 - len(block))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak of a process by itself")
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_exif_that_claims_the_same_bytes_over_and_over(kind: str, tmp_path: Path) -> None:
    """Two gigabytes with Pillow before 13."""
    for name, options in (("small", {}), ("large", {"exif": exif_bomb()})):
        (tmp_path / name).write_bytes(encoded(noise(), kind, **options))
    command = [sys.executable, "-c", PEAK, str(tmp_path / "small"), str(tmp_path / "large")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[0]) < 2**25
    assert not done.stderr
