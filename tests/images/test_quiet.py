"""What decoders print or warn of does not reach the user; what others do stays."""

import subprocess
import sys
import threading
import warnings
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from mobilevit.images.quiet import quiet

NOISY = """
import sys
from pathlib import Path
from mobilevit.images.decoding import decode
from mobilevit.errors import ImageError

for path in sorted(Path(sys.argv[1]).iterdir()):
    for source in (path, path.read_bytes()):
        try:
            decode(source)
        except ImageError as error:
            print(error)
"""


def test_nothing_of_pillow_or_libtiff_reaches_standard_error(tmp_path: Path) -> None:
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "group4"):
        stream = BytesIO()
        image = Image.effect_noise((64, 64), 60)
        (image.convert("1") if compression == "group4" else image).save(stream, "TIFF", compression=compression)
        data = bytearray(stream.getvalue())
        data[100:160] = b"\xa5" * 60
        (tmp_path / f"{compression}.tif").write_bytes(data)
    broken_exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x00\x01\x02\x00\xff\x00\x00\x00\xff\x00\x00\x00"
    Image.new("RGB", (8, 8)).save(tmp_path / "exif.jpg", exif=broken_exif)
    Image.new("1", (10_000, 10_000)).save(tmp_path / "large.png")  # of a size that Pillow warns of
    command = [sys.executable, "-c", NOISY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.count("is broken") >= 4


def test_warnings_of_others_are_shown_and_filters_stay() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        with quiet(), quiet():
            warnings.warn("of a user", stacklevel=1)
        assert list(warnings.filters) == before
    assert [str(one.message) for one in shown] == ["of a user"]


def test_quiet_lasts_until_the_last_thread_is_out() -> None:
    first_in, first_out = threading.Event(), threading.Event()

    def other() -> None:
        with quiet():
            first_in.set()
            first_out.wait(60)

    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        thread = threading.Thread(target=other)
        thread.start()
        assert first_in.wait(60)
        with quiet():
            pass
        warnings.warn_explicit("of Pillow", UserWarning, "Image.py", 1, module="PIL.Image")
        first_out.set()
        thread.join()
        assert list(warnings.filters) == before
        with pytest.warns(UserWarning, match="of Pillow"):
            warnings.warn_explicit("of Pillow", UserWarning, "Image.py", 2, module="PIL.Image")
    assert shown == []


def test_pillows_log_is_not_printed_where_nobody_listens() -> None:
    program = (
        "import logging; from mobilevit.images.quiet import quiet\nwith quiet(): logging.getLogger('PIL.x').error('no')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
