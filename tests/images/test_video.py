"""Videos, read and written by the real FFmpeg; a test pattern of its own stands in for a camera."""

import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilevit.cli import main
from mobilevit.errors import ImageError, MissingExtraError, OutputError, UsageError
from mobilevit.images.decoding import decode
from mobilevit.images.video import Frame, Location, Video, is_video, locate, pyav
from mobilevit.images.video_writer import TICKS, VideoWriter
from mobilevit.inference import Predictor

pytest.importorskip("av", reason='needs the extra "video"')

RATE = Fraction(10)
PATTERN = Location("pattern", "testsrc2=size=96x64:rate=10:duration=2", "lavfi")  # opened as a camera is


def written(path: Path, times: list[float], size: tuple[int, int] = (96, 64)) -> Path:
    """A video of squares that grow brighter, shown at these seconds."""
    writer = VideoWriter(path)
    for index, seconds in enumerate(times):
        image = Image.new("RGB", size, (10 * index % 256, 40, 200 - 10 * index % 200))
        writer.add(image, Frame(index, seconds, RATE, image))
    writer.close()
    return path


def test_a_camera_and_a_file_are_read_by_the_same_function() -> None:
    frames = list(Video(PATTERN))
    assert [frame.index for frame in frames] == list(range(20))
    assert [frame.seconds for frame in frames] == pytest.approx([index / 10 for index in range(20)])
    assert {frame.image.size for frame in frames} == {(96, 64)}
    assert len({frame.image.tobytes() for frame in frames}) == 20


def test_every_third_frame_is_the_third_of_all() -> None:
    some, whole = list(Video(PATTERN, every=3)), list(Video(PATTERN))
    assert [frame.index for frame in some] == [0, 3, 6, 9, 12, 15, 18]
    for frame in some:
        assert frame.image.tobytes() == whole[frame.index].image.tobytes()
        assert frame.seconds == whole[frame.index].seconds
    with pytest.raises(UsageError, match="`every` is 0"):
        Video(PATTERN, every=0)


def test_a_varying_rate_comes_back(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.5, 2.0, 2.001, 7.25]
    video = Video(locate(str(written(tmp_path / "a.mp4", times))))
    assert video.count == len(times)
    assert [frame.seconds for frame in video] == pytest.approx(times, abs=1 / TICKS)


def test_odd_sides_are_filled_up_and_the_image_stays(tmp_path: Path) -> None:
    (frame,) = Video(locate(str(written(tmp_path / "a.mp4", [0.0], (97, 63)))))
    assert frame.image.size == (98, 64)
    pixels = np.asarray(frame.image).astype(int)
    assert np.abs(pixels - pixels[0, 0]).max() < 8  # the last row and column too


def test_a_video_of_a_phone_is_turned(tmp_path: Path) -> None:
    """The display matrix of the track says how; here it is written into the file by hand."""
    path = written(tmp_path / "a.mp4", [0.0, 0.1])
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44
    quarter = [0, 1, 0, -1, 0, 0]  # a clockwise quarter turn, 16.16 fixed point, with the third column 2.30
    rows = [quarter[0] << 16, quarter[1] << 16, 0, quarter[3] << 16, quarter[4] << 16, 0, 64 << 16, 0, 1 << 30]
    content[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in rows)
    path.write_bytes(content)
    assert [frame.image.size for frame in Video(locate(str(path)))] == [(64, 96)] * 2


def test_what_is_damaged_is_said_after_what_is_not(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp4", [index / 10 for index in range(40)])
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat")
    middle = (start + content.index(b"moov")) // 2
    content[middle : middle + 300] = os.urandom(300)
    path.write_bytes(content)
    found: list[int] = []
    with pytest.raises(ImageError, match=r"a\.mp4 has \d+ damaged packets; \d+ frames could be decoded"):
        found.extend(frame.index for frame in Video(locate(str(path))))
    seen = []
    with pytest.raises(ImageError, match="damaged"):
        for said in Predictor("imagenette").frames(path):
            seen.append(said.frame.index)
    assert seen == list(range(len(seen))) != []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.mp4", None, "does not exist: check the path"),
        ("empty.mp4", b"", "cannot be read as a video"),
        ("text.mov", b"Dear Sir or Madam", "cannot be read as a video"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n", "cannot be read as a video"),
        ("concat.mp4", b"ffconcat version 1.0\nfile other.mp4\n", "cannot be read as a video"),
        ("camera:999", None, "camera:999 is not available"),
    ],
)
def test_what_is_no_video(name: str, content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    written(tmp_path / "other.mp4", [0.0])
    with pytest.raises(ImageError, match=said):
        Video(locate(name if name.startswith("camera") else str(path)))


def test_what_is_called_a_video() -> None:
    names = ("a.mp4", "B.MOV", "c.wmv", "camera:0", "a.jpg", "camera:x", "https://a/b.mp4", "mp4")
    assert [name for name in names if is_video(name)] == ["a.mp4", "B.MOV", "c.wmv", "camera:0"]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "avi", "flv", "asf", "mpg"])
def test_a_video_that_is_called_like_an_image(suffix: str, tmp_path: Path) -> None:
    """Or comes without a name: it is said to be one."""
    path = tmp_path / f"clip.{suffix}"
    with pyav().open(str(path), "w") as container:
        stream = container.add_stream({"mpg": "mpeg2video", "flv": "flv"}.get(suffix, "mpeg4"), rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux([*stream.encode(pyav().VideoFrame.from_image(Image.new("RGB", (64, 48)))), *stream.encode()])
    with pytest.raises(ImageError, match=r"is a video, not an image.*\.mp4"):
        decode(path.rename(tmp_path / "clip.jpg"))
    with pytest.raises(ImageError, match="is a video"):
        decode((tmp_path / "clip.jpg").read_bytes())


def test_an_image_that_is_called_like_a_video(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.mp4"
    Image.new("RGB", (50, 40), "red").save(path, "PNG")
    assert main(["predict", "imagenette", str(path)]) == 1
    said = capfd.readouterr().err
    assert "is an image (PNG), not a video: give it the suffix of an image, such as .png" in said


def test_without_pyav_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r'pip install "mobilevit\[video\]"'):
        Video(locate("clip.mp4"))


def test_nothing_is_left_of_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        VideoWriter(tmp_path / "nowhere" / "a.mp4")
    VideoWriter(tmp_path / "none.mp4").close()
    writer = VideoWriter(tmp_path / "half.mp4")
    writer.add(Image.new("RGB", (64, 64)), Frame(0, 0.0, RATE, Image.new("RGB", (64, 64))))
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_frames_get_the_answers_of_images(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp4", [index / 10 for index in range(11)])
    predictor = Predictor("imagenette")
    images = [frame.image for frame in Video(locate(str(path)))]
    for said, alone in zip(predictor.frames(path), predictor(images), strict=True):
        assert said.result.best.class_name == alone.best.class_name
        assert said.result.best.score == pytest.approx(alone.best.score, abs=1e-5)


def test_the_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    video = written(tmp_path / "clip.mp4", [index / 10 for index in range(9)])
    image = tmp_path / "photo.png"
    Image.new("RGB", (50, 40), "red").save(image)
    arguments = ["predict", "imagenette", str(video), str(image), "--every", "2"]
    assert main([*arguments, "--output", str(tmp_path / "out"), "--format", "image,jsonl,csv"]) == 0
    assert "1 image and 1 video in" in capfd.readouterr().err
    lines = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert [line.get("frame") for line in lines] == [0, 2, 4, 6, 8, None]
    assert [line.get("seconds") for line in lines] == [0.0, 0.2, 0.4, 0.6, 0.8, None]
    rows = (tmp_path / "out" / "results.csv").read_text().splitlines()
    assert rows[0].startswith("frame,seconds,source,")
    assert [row.split(",")[:2] for row in rows[1:]] == [[str(n), str(n / 10)] for n in (0, 2, 4, 6, 8)] + [["", ""]]
    drawn = list(Video(locate(str(tmp_path / "out" / "clip.mp4"))))
    assert [frame.seconds for frame in drawn] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8], abs=1e-3)
    assert (tmp_path / "out" / "photo.jpg").is_file()


def test_a_mask_for_each_frame(tmp_path: Path) -> None:
    from mobilevit.weights.creating import create

    video = written(tmp_path / "clip.mp4", [0.0, 0.1, 0.2])
    model = create("deeplabv3_mobilevit_xxs", num_classes=3)
    for said in Predictor(model, image_size=64).frames(video, every=2):
        mask = said.mask()
        assert mask is not None
        assert mask.size == (96, 64)


def test_what_a_kill_leaves_goes_at_the_next_start(tmp_path: Path) -> None:
    video = written(tmp_path / "clip.mp4", [index / 30 for index in range(3000)], (64, 64))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "mobilevit", "predict", "imagenette", str(video), "--output", str(out)]
    process = subprocess.Popen([*command, "--format", "image,jsonl,csv"], stderr=subprocess.DEVNULL)
    while not list(out.glob(".clip.mp4.*")) and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
    left = [path.name for path in out.iterdir()]
    assert left and not [name for name in left if not name.endswith(".tmp")]
    assert main([*command[3:-2], "--every", "1500", "--output", str(out), "--format", "csv"]) == 0
    assert [path.name for path in out.iterdir()] == ["results.csv"]


@pytest.mark.system
def test_ctrl_c_leaves_whole_files(tmp_path: Path) -> None:
    video = written(tmp_path / "clip.mp4", [index / 30 for index in range(3000)], (64, 64))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "mobilevit", "predict", "imagenette", str(video), "--output", str(out)]
    process = subprocess.Popen([*command, "--format", "image,jsonl"], stderr=subprocess.PIPE, text=True)
    while not list(out.glob(".results.jsonl.*")) and process.poll() is None:
        time.sleep(0.02)
    assert process.poll() is None, "it was interrupted while it ran"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert (process.returncode, said.splitlines()[-1]) == (130, "interrupted")
    assert sorted(path.name for path in out.iterdir()) == ["clip.mp4", "results.jsonl"]
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    frames = list(Video(locate(str(out / "clip.mp4"))))
    assert 0 < len(lines) == len(frames) < 3000
