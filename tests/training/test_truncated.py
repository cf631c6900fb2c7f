"""Training on truncated images, where that is allowed: named, counted, the same however it is done; nowhere else."""

import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mobilevit
from mobilevit.datasets import doctor
from mobilevit.datasets.options import ReadOptions
from mobilevit.errors import DataError, ImageError
from mobilevit.images.sources import expand
from mobilevit.images.transforms import AugmentConfig, Geometry
from mobilevit.loading.batch import Key
from mobilevit.loading.cache import Plan
from mobilevit.loading.loader import ImageDataset, train_loader
from mobilevit.spec import Preprocessing
from mobilevit.tasks import recognize
from mobilevit.training import run
from mobilevit.training.callbacks import Quiet, StepReport
from mobilevit.training.config import TrainConfig
from mobilevit.training.distributed import Group
from mobilevit.training.run import prepare, resume, train
from mobilevit.weights import model_file

pytestmark = pytest.mark.usefixtures("no_figures")

WIDTH, HEIGHT = 48, 200


def write_truncated(path: Path, missing_rows: int) -> Path:
    """A BMP, whatever it is called: its rows have one length, and the last in the file is the top one."""
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, "BMP")
    path.write_bytes(path.read_bytes()[: -3 * WIDTH * missing_rows])
    return path


@pytest.fixture
def data(stripes: Path, tmp_path: Path) -> Path:
    """With two truncated training images."""
    copy = shutil.copytree(stripes, tmp_path / "data")
    write_truncated(copy / "train" / "up" / "0.png", 1)
    write_truncated(copy / "train" / "across" / "0.png", 2)
    return copy


@pytest.fixture
def allowing(config: TrainConfig, data: Path) -> TrainConfig:
    return replace(config, data=data, allow_truncated=True)


class Notices(Quiet):
    """What was said; and a signal to this very process at one step, where there is one."""

    def __init__(self, stop_at: tuple[int, int] | None = None) -> None:
        self.notices: list[str] = []
        self.stop_at = stop_at

    def notice(self, message: str) -> None:
        self.notices.append(message)

    def step(self, report: StepReport) -> None:
        if (report.epoch, report.step) == self.stop_at:
            signal.raise_signal(signal.SIGTERM)

    @property
    def truncated(self) -> list[str]:
        return sorted(notice for notice in self.notices if "truncated" in notice)


def test_named_counted_the_same_after_a_stop_and_never_evaluated(allowing: TrainConfig) -> None:
    config = replace(allowing, epochs=1, cache="memory")
    heard = Notices()
    uninterrupted = train(config, heard)
    assert heard.truncated == [
        "train/across/0.png is truncated, but used for training: 2 of 200 rows are missing",
        "train/up/0.png is truncated, but used for training: 1 of 200 rows are missing",
    ]
    stopped = train(replace(config, name="stopped"), Notices(stop_at=(0, 1)))
    assert not stopped.finished
    resumed = resume(stopped.folder, Quiet())
    for name in ("best.safetensors", "last.safetensors"):
        (found, _), (expected, _) = (model_file.load(result.folder / name) for result in (resumed, uninterrupted))
        assert found.keys() == expected.keys()
        assert [key for key in expected if not torch.equal(found[key], expected[key])] == []
    for result in (resumed, uninterrupted):
        page = (result.folder / "report.html").read_text(encoding="utf-8")
        assert "<dt>truncated training images</dt><dd>2</dd>" in page
    with pytest.raises(ImageError, match=r"0\.png is broken .*truncated"):
        mobilevit.evaluate(resumed.folder / "last.safetensors", config.data, split="train", num_workers=0)


def test_a_worker_and_a_cache_see_the_same(data: Path) -> None:
    task = recognize(data, None, None)
    samples = task.read(data, ReadOptions()).splits["train"]
    indices = [index for index, sample in enumerate(samples) if Image.open(sample.path).format == "BMP"]
    keys = [[Key(index, epoch, 32)] for index in indices for epoch in range(2)]
    augment = AugmentConfig()
    crops = Plan.of(samples, lambda size: Geometry(size, (0, 0, *size), size), allow_truncated=True)
    seen = []
    for num_workers, cache in ((0, None), (1, None), (0, crops.fill(shared=False)), (1, crops.fill(shared=True))):
        images = ImageDataset(
            samples,
            task,
            seed=0,
            augment=augment,
            preprocessing=Preprocessing(32, 36),
            cache=cache,
            allow_truncated=True,
        )
        seen.append(torch.cat([batch.images for batch in train_loader(images, keys, num_workers)]))
    assert seen[0].shape == (4, 3, 32, 32)
    for other in seen[1:]:
        assert torch.equal(seen[0], other)


def test_refused_unless_allowed(allowing: TrainConfig) -> None:
    with pytest.raises(DataError, match=r"2 images cannot be read; .*is truncated"):
        train(replace(allowing, allow_truncated=False), Quiet())
    assert not allowing.output.exists()


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_row_too_many_or_an_image_to_validate_on_is_refused(split: str, allowing: TrainConfig) -> None:
    write_truncated(allowing.data / split / "up" / "1.png", 3 if split == "train" else 1)
    reason = "3 of 200 rows are missing" if split == "train" else "truncated"
    with pytest.raises(DataError, match=rf"1 image cannot be read; .*{split}/up/1\.png .*{reason}"):
        train(allowing, Quiet())


def test_what_is_validated_on_too_is_refused(allowing: TrainConfig) -> None:
    write_truncated(allowing.data / "val" / "up" / "1.png", 1)
    with pytest.raises(DataError, match=r"1 image cannot be read; .*val/up/1\.png"):
        train(replace(allowing, train_on=("train", "val")), Quiet())


def test_left_out_is_only_what_is_not_allowed(allowing: TrainConfig) -> None:
    for split, missing_rows in (("train", 3), ("val", 1)):
        write_truncated(allowing.data / split / "up" / "1.png", missing_rows)
    heard = Notices()
    parts = prepare(replace(allowing, epochs=1, skip_broken=True), heard, Group())
    assert run._begun(parts, heard).truncated == 2
    assert any("skipped 2 images of 32" in notice for notice in heard.notices)
    assert [notice.split(" is ")[0] for notice in heard.truncated if "used for training" in notice] == [
        "train/across/0.png",
        "train/up/0.png",
    ]


def test_never_in_a_prediction(data: Path) -> None:
    (image,) = expand(data / "train" / "up" / "0.png")
    with pytest.raises(ImageError, match=r"0\.png is broken .*truncated"):
        image.image()


def test_a_check_says_how_many_could_be_used_and_finds_fault_all_the_same(data: Path) -> None:
    write_truncated(data / "train" / "up" / "1.png", 3)
    write_truncated(data / "val" / "up" / "1.png", 1)
    report = mobilevit.check(data)
    found = {finding.kind: finding for finding in report.findings}
    assert not report.ok and len(found["unreadable"].paths) == len(report.broken) == 4
    assert {path.parent.name for path in found["truncated"].paths} == {"up", "across"}
    assert "2 training images" in found["truncated"].message


def test_a_truncated_mask_is_broken(masked_squares: Path, tmp_path: Path) -> None:
    data = shutil.copytree(masked_squares, tmp_path / "data")
    image, mask = (write_truncated(data / "train" / name / "0.png", 1) for name in ("images", "masks"))
    task = recognize(data, None, None)
    broken, truncated = doctor.undecodable(task, task.read(data, ReadOptions()), allow_truncated=["train"])
    assert [each.path for each in truncated] == [image]
    assert [each.path for each in broken] == [mask]
