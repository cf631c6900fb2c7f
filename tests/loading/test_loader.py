"""Batches: the same images whoever decodes them, every sample in its place, broken files by their name."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mobilevit.datasets.sample import Sample
from mobilevit.errors import ImageError
from mobilevit.images.decoding import decode
from mobilevit.images.transforms import AugmentConfig, eval_geometry, pixels_of
from mobilevit.loading.batch import Batch, Item, Key
from mobilevit.loading.loader import ImageDataset, eval_loader, train_loader
from mobilevit.loading.multiscale import MultiScaleConfig, MultiScaleSampler
from mobilevit.loading.workers import auto_workers
from mobilevit.spec import Preprocessing
from mobilevit.tasks.classification.task import ClassificationTask

EVALUATION = Preprocessing(image_size=32, resize_px=36)
TASK = ClassificationTask()
SCALE = MultiScaleConfig(image_size=32, batch_size=4)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sample, ...]:
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    found = []
    for index in range(23):
        path = folder / f"{index:02}.{'jpg' if index % 2 else 'png'}"
        Image.fromarray(rng.integers(0, 256, (40 + index, 50, 3), dtype=np.uint8)).save(path)
        found.append(Sample(path, index % 3))
    return tuple(found)


def training(samples: tuple[Sample, ...], seed: int = 0) -> ImageDataset:
    return ImageDataset(samples, TASK, seed=seed, augment=AugmentConfig(), preprocessing=EVALUATION)


def same(first: list[Batch], second: list[Batch]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a.images, b.images) and torch.equal(a.targets, b.targets) and torch.equal(a.indices, b.indices)
        for a, b in zip(first, second, strict=True)
    )


def epoch_of(samples: tuple[Sample, ...], num_workers: int, epoch: int = 0, start_step: int = 0) -> list[Batch]:
    sampler = MultiScaleSampler(len(samples), SCALE, seed=0, epoch=epoch, start_step=start_step)
    loader = train_loader(training(samples), sampler, num_workers)
    assert len(loader) == len(sampler)
    return list(loader)


def test_workers_change_nothing(samples: tuple[Sample, ...]) -> None:
    alone = epoch_of(samples, 0)
    assert same(alone, epoch_of(samples, 1))
    assert same(alone, epoch_of(samples, 2))
    assert not same(alone, epoch_of(samples, 0, epoch=1))


def test_persistent_workers_follow_the_sampler(samples: tuple[Sample, ...]) -> None:
    sampler = MultiScaleSampler(len(samples), SCALE, seed=0)
    loader = train_loader(training(samples), sampler, 2)
    for epoch, start_step in ((0, 0), (1, 0), (1, 2), (0, 0)):
        sampler.set_epoch(epoch, start_step)
        assert same(list(loader), epoch_of(samples, 0, epoch, start_step))


def test_an_epoch_that_was_left_early_disturbs_no_later_one(samples: tuple[Sample, ...]) -> None:
    sampler = MultiScaleSampler(len(samples), SCALE, seed=0)
    loader = train_loader(training(samples), sampler, 2)
    next(iter(loader))
    sampler.set_epoch(1)
    assert same(list(loader), epoch_of(samples, 0, epoch=1))


def test_resumed_inside_an_epoch_equals_never_stopped(samples: tuple[Sample, ...]) -> None:
    assert same(epoch_of(samples, 1, start_step=2), epoch_of(samples, 0)[2:])


def test_batches_are_what_the_schedule_says(samples: tuple[Sample, ...]) -> None:
    schedule = MultiScaleSampler(len(samples), SCALE, seed=0).schedule
    batches = epoch_of(samples, 0)
    assert len(batches) == schedule.steps(0)
    for step, batch in enumerate(batches):
        image_size, count = schedule.step(0, step)
        assert (batch.images.shape, batch.images.dtype) == ((count, 3, image_size, image_size), torch.uint8)
        assert batch.targets.tolist() == [samples[index].target for index in batch.indices]
    assert len({batch.images.shape[-1] for batch in batches}) > 1


def item(dataset: ImageDataset, key: Key) -> Item:
    found = dataset[key]
    assert isinstance(found, Item)
    return found


def test_a_sample_is_a_function_of_seed_epoch_and_index(samples: tuple[Sample, ...]) -> None:
    image = item(training(samples), Key(3, 0, 32)).image
    assert np.array_equal(item(training(samples), Key(3, 0, 32)).image, image)
    for other in (item(training(samples), Key(3, 1, 32)), item(training(samples, seed=1), Key(3, 0, 32))):
        assert not np.array_equal(other.image, image)


def test_evaluation_is_decoding_and_its_geometry_and_nothing_else(samples: tuple[Sample, ...]) -> None:
    dataset = ImageDataset(samples, TASK, seed=0, augment=None, preprocessing=EVALUATION)
    for index, sample in enumerate(samples):
        image = decode(sample.path)
        expected = pixels_of(eval_geometry(image.size, EVALUATION).image(image))
        assert np.array_equal(item(dataset, Key(index, 7, 64)).image, expected)


@pytest.mark.parametrize("world_size", [1, 2, 3, 30])
def test_evaluation_takes_every_sample_once(samples: tuple[Sample, ...], world_size: int) -> None:
    dataset = ImageDataset(samples, TASK, seed=0, augment=None, preprocessing=EVALUATION)
    seen = []
    for rank in range(world_size):
        loader = eval_loader(dataset, 4, 0, rank, world_size)
        batches = list(loader)
        assert len(loader) == len(batches)
        seen += [index for batch in batches for index in batch.indices.tolist()]
    assert sorted(seen) == list(range(len(samples)))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_broken_image_is_named_without_a_workers_traceback(
    samples: tuple[Sample, ...], num_workers: int, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(samples[1].path.read_bytes()[:600])
    with pytest.raises(ImageError) as direct:
        decode(broken)
    dataset = ImageDataset((*samples, Sample(broken, 0)), TASK, seed=0, augment=None, preprocessing=EVALUATION)
    loader, before = eval_loader(dataset, 4, num_workers), set(multiprocessing.active_children())
    with pytest.raises(ImageError) as caught:
        list(loader)
    assert str(caught.value) == str(direct.value)
    assert "broken.jpg" in str(caught.value) and "Traceback" not in str(caught.value)
    assert set(multiprocessing.active_children()) <= before, "no worker outlives the failure"


def test_workers_can_be_spawned(samples: tuple[Sample, ...]) -> None:
    sampler = MultiScaleSampler(len(samples), SCALE, seed=0)
    loader = train_loader(training(samples), sampler, 1)
    assert pickle.loads(pickle.dumps(training(samples)))[Key(0, 0, 32)].index == 0
    loader.multiprocessing_context = multiprocessing.get_context("spawn")
    assert same(list(loader), epoch_of(samples, 0))


def listening() -> None:
    """In a new process: to Ctrl-C, which a shell tells what it starts in the background to ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(os.name != "posix", reason="signals to a process group are a thing of Unix")
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.system)])
def test_a_signal_is_the_main_processs_alone(samples: tuple[Sample, ...], number: signal.Signals) -> None:
    script = f"""
    import signal
    import time
    from pathlib import Path
    from mobilevit.loading.loader import ImageDataset, train_loader
    from mobilevit.loading.multiscale import MultiScaleConfig, MultiScaleSampler
    from mobilevit.datasets.sample import Sample
    from mobilevit.images.transforms import AugmentConfig
    from mobilevit.spec import Preprocessing
    from mobilevit.tasks.classification.task import ClassificationTask

    images = [Sample(path, 0) for path in sorted(Path({str(samples[0].path.parent)!r}).iterdir())]
    dataset = ImageDataset(
        images, ClassificationTask(), seed=0, augment=AugmentConfig(), preprocessing=Preprocessing()
    )
    sampler = MultiScaleSampler(len(images), MultiScaleConfig(image_size=64, batch_size=4), seed=0)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for batch in train_loader(dataset, sampler, 2):
            print("going", flush=True)
            time.sleep(60)
    except KeyboardInterrupt:
        print("stopped", flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=listening,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "going\n"
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=50)
    assert out.endswith("stopped\n") and process.returncode == 0
    assert "Traceback" not in err, err


def test_automatic_workers_are_shared_by_the_processes() -> None:
    assert 0 <= auto_workers(1) <= 8
    assert auto_workers(1) >= auto_workers(2) >= auto_workers(1000) == 0


def test_imagenette() -> None:
    root = Path(__file__).parents[3] / "shared/data/imagenette/val"
    paths = sorted(root.glob("*/*.jpg"))[::50]
    if not paths:
        pytest.skip("../shared/data/imagenette is not here")
    dataset = ImageDataset(
        [Sample(path, 0) for path in paths], TASK, seed=0, augment=None, preprocessing=Preprocessing(128, 144)
    )
    batches = list(eval_loader(dataset, 8, 1))
    assert sum(len(batch.indices) for batch in batches) == len(paths)
    assert all(batch.images.shape[1:] == (3, 128, 128) for batch in batches)
