"""The fingerprint: copies are found however they were made, and different images are not taken for copies."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_images import smooth_image
from PIL import Image

from mobilevit.datasets.image_inspection import Broken, Examined, decodes, examine, fingerprint
from mobilevit.datasets.similarity import MAX_BITS, MAX_STEP, near_pairs, same_images


def saved(image: Image.Image, path: Path, **options: object) -> Examined:
    image.save(path, **options)
    examined = examine(path)
    assert isinstance(examined, Examined)
    return examined


@given(st.integers(0, 2**32), st.data())
@settings(max_examples=30, deadline=None)
def test_near_pairs_are_those_that_a_look_at_all_pairs_finds(seed, data):
    rng = np.random.default_rng(seed)
    count = data.draw(st.integers(1, 40))
    bases = rng.integers(0, 2**63, 4, dtype=np.uint64)
    noise = [sum(1 << int(bit) for bit in set(rng.integers(0, 64, rng.integers(0, 4)).tolist())) for _ in range(count)]
    fingerprints = bases[rng.integers(0, 4, count)] ^ np.array(noise, dtype=np.uint64)
    thumbnails = (rng.integers(0, 2, (count, 192)) * rng.integers(MAX_STEP - 1, MAX_STEP + 2)).astype(np.uint8)
    expected = {
        (one, other)
        for one in range(count)
        for other in range(one + 1, count)
        if int(fingerprints[one] ^ fingerprints[other]).bit_count() <= MAX_BITS
        and np.abs(thumbnails[one].astype(int) - thumbnails[other].astype(int)).max() <= MAX_STEP
    }
    assert near_pairs(fingerprints, thumbnails) == expected


COPIES = {
    "half the size": lambda image: (image.resize((160, 120), Image.Resampling.LANCZOS), {"quality": 90}),
    "low quality": lambda image: (image, {"quality": 60}),
    "small and low": lambda image: (image.resize((107, 80), Image.Resampling.BICUBIC), {"quality": 75}),
    "progressive": lambda image: (image, {"quality": 92, "progressive": True}),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_finds_copies(tmp_path, copy):
    images = [smooth_image(seed, 320, 240) for seed in range(12)]
    originals = [saved(image, tmp_path / f"{i}.png") for i, image in enumerate(images)]
    copies = []
    for i, image in enumerate(images):
        other, options = copy(image)
        copies.append(saved(other, tmp_path / f"{i}.jpg", **options))
    assert same_images(originals + copies) == [[i, i + 12] for i in range(12)]


def test_tells_different_images_apart(tmp_path):
    assert same_images([saved(smooth_image(seed), tmp_path / f"{seed}.jpg") for seed in range(60)]) == []


def test_tells_images_apart_whose_fingerprints_agree(tmp_path):
    flat = [
        saved(Image.new("RGB", (64, 64), (shade, 40, 200)), tmp_path / f"{shade}.png") for shade in range(0, 250, 30)
    ]
    assert len({image.fingerprint for image in flat}) == 1
    assert same_images(flat) == []


def test_joins_files_of_the_same_bytes(tmp_path):
    first = saved(smooth_image(1), tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes())
    (tmp_path / "c.jpg").write_bytes((tmp_path / "a.jpg").read_bytes())
    others = [examine(tmp_path / name) for name in ("b.jpg", "c.jpg")]
    assert same_images([first, saved(smooth_image(2), tmp_path / "d.jpg"), *others]) == [[0, 2, 3]]


def test_no_images_have_no_copies():
    assert same_images([]) == []


def test_fingerprint_of_a_ramp_and_of_its_mirror():
    ramp = Image.fromarray(np.tile(np.arange(0, 252, 4, dtype=np.uint8)[None, :, None], (64, 1, 3)))
    assert fingerprint(ramp) == 2**64 - 1
    assert fingerprint(ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0


@pytest.mark.parametrize("draft", [examine, decodes])
def test_a_jpeg_that_ends_early_is_broken(tmp_path, draft):
    buffer = BytesIO()
    smooth_image(0, 640, 480).save(buffer, "JPEG")
    path = tmp_path / "cut.jpg"
    for kept in (0, 100, len(buffer.getvalue()) // 2, len(buffer.getvalue()) - 40):
        path.write_bytes(buffer.getvalue()[:kept])
        assert isinstance(draft(path), Broken), f"{kept} bytes"


def test_describes_color_and_blankness(tmp_path):
    gray = saved(smooth_image(3).convert("L").convert("RGB"), tmp_path / "gray.jpg", quality=50)
    blank = saved(Image.new("RGB", (50, 50), "teal"), tmp_path / "blank.jpg")
    color = saved(smooth_image(3), tmp_path / "color.jpg")
    assert [(image.is_gray, image.is_blank) for image in (gray, blank, color)] == [
        (True, False),
        (False, True),
        (False, False),
    ]
