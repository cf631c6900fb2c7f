"""Predictions: in order, whatever the batches, with broken images among them; equal to the model itself."""

import copy
import inspect
from pathlib import Path
from threading import enumerate as threads

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

import mobilevit
from mobilevit.errors import ImageError, OutOfMemoryError, UsageError, WeightsError
from mobilevit.formats.torch import TorchRunner
from mobilevit.images.transforms import eval_geometry, pixels_of
from mobilevit.inference import DRAWN_PX, ImageFailure, Predictor, predict
from mobilevit.loading.batch import prepare
from mobilevit.runners import device_for, runner_for
from mobilevit.spec import at_size, labels
from mobilevit.tasks.classification.result import Classification
from mobilevit.weights.creating import create, spec_of


@pytest.fixture(scope="module")
def predictor(model: nn.Module) -> Predictor:
    return Predictor(model, device="cpu")


def test_too_little_memory_is_said_in_a_line(model: nn.Module, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a runner whose runtime asks for more than any machine has."""
    greedy = Predictor(model, device="cpu", batch_size=7)
    monkeypatch.setattr(TorchRunner, "__call__", lambda *_: torch.empty(2**55))
    with pytest.raises(OutOfMemoryError, match=r"out of memory \(tried to allocate .*batch_size is 7"):
        greedy(photos / "0.png")


def test_answers_as_the_model_does(model: nn.Module, predictor: Predictor, photos: Path) -> None:
    image = Image.open(photos / "0.png")
    preprocessing = spec_of(model).preprocessing
    pixels = torch.from_numpy(pixels_of(eval_geometry(image.size, preprocessing).image(image)))[None]
    with torch.no_grad():
        expected = model(prepare(pixels, preprocessing.channel_order)).softmax(1)[0]
    [result] = predictor(photos / "0.png")
    assert isinstance(result, Classification)
    assert (result.source, result.size) == (str(photos / "0.png"), (80, 64))
    scores = {entry.class_name: entry.score for entry in result.top}
    np.testing.assert_allclose([scores[name] for name in predictor.classes], expected, rtol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_order_and_broken_ones_whatever_the_batches(model: nn.Module, photos: Path, batch_size: int) -> None:
    given = [photos, photos / "missing.png", photos / "0.png"]
    results = list(Predictor(model, device="cpu", batch_size=batch_size).stream(given))
    places = [f"{number}.png" for number in range(5)] + ["more/5.png", "missing.png", "0.png"]
    assert [result.source for result in results] == [str(photos / name) for name in places]
    broken = [result for result in results if isinstance(result, ImageFailure)]
    assert [Path(failure.source).name for failure in broken] == ["3.png", "missing.png"]
    assert "does not exist" in broken[1].to_dict()["error"]
    assert results[0].top[0].score == pytest.approx(results[-1].top[0].score, abs=1e-5)
    assert [result.size[0] for result in results[:3]] == [80, 81, 82]


def test_a_call_raises_at_the_first_broken_image(predictor: Predictor, photos: Path) -> None:
    with pytest.raises(ImageError, match=r"3\.png"):
        predictor(photos)


@pytest.mark.parametrize("name", ["mobilevit_xxs", "ssdlite_mobilevit_xxs", "deeplabv3_mobilevit_xxs"])
def test_a_model_whose_outputs_are_not_finite_has_no_answer(name: str) -> None:
    """Also where the answer is an integer: of logits that are NaN, argmax takes the first."""
    model = create(name, num_classes=3)
    model.backbone.stem.norm.weight.data[:] = float("nan")  # type: ignore[union-attr]
    with pytest.raises(WeightsError, match="not finite"):
        predict(model, np.zeros((64, 64, 3), np.uint8), image_size=64)


def test_nothing_at_all_is_no_result(predictor: Predictor) -> None:
    assert predictor([]) == []


def test_every_kind_of_source_gives_the_same(predictor: Predictor, photos: Path, web: str) -> None:
    image = Image.open(photos / "0.png")
    given = [photos / "0.png", str(photos / "0.png"), image, np.array(image), (photos / "0.png").read_bytes()]
    tops = {result.best for result in predictor(given)}
    assert len({round(best.score, 5) for best in tops}) == 1
    assert predictor(f"{web}/image.png")[0].source == f"{web}/image.png"


def test_drawn_images_come_with_their_results(predictor: Predictor, photos: Path) -> None:
    large = Image.new("RGB", (3000, 200))
    drawn = list(predictor.drawn([photos / "0.png", photos / "3.png", large]))
    assert isinstance(drawn[1], ImageFailure)
    assert not isinstance(drawn[0], ImageFailure)
    assert not isinstance(drawn[2], ImageFailure)
    alone = predictor(photos / "0.png")[0]
    assert drawn[0][0].best.class_name == alone.best.class_name
    assert drawn[0][0].best.score == pytest.approx(alone.best.score, abs=1e-5), "a batch sums in another order"
    assert drawn[2][0].size == (3000, 200)
    assert drawn[2][1].width == DRAWN_PX
    assert large.size == (3000, 200), "the user's image stays as it is"


def test_the_model_stays_as_it_is(model: nn.Module, photos: Path) -> None:
    model = copy.deepcopy(model).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    Predictor(model, device="cpu")(photos / "0.png")
    assert model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_many_images_do_not_pile_up(predictor: Predictor) -> None:
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield np.zeros((8, 8, 3), np.uint8)

    stream = predictor.stream(endless())
    next(stream)
    assert taken <= 4 * predictor.batch_size
    stream.close()
    assert not [thread for thread in threads() if thread.name.startswith("decode")], "threads end with the stream"


def test_top_and_size(model: nn.Module, photos: Path) -> None:
    predictor = Predictor(model, device="cpu", top_k=2, image_size=96)
    assert len(predictor(photos / "0.png")[0].top) == 2
    assert (predictor.spec.preprocessing.image_size, predictor.spec.preprocessing.resize_px) == (96, 108)
    assert predictor.classes == ("cat", "dog", "owl")


def test_the_function_is_the_predictor(model: nn.Module, photos: Path, predictor: Predictor) -> None:
    assert predict(model, photos / "0.png", device="cpu") == predictor(photos / "0.png")
    assert mobilevit.Predictor is Predictor


def test_a_runner_of_any_kind_will_do(model: nn.Module, photos: Path) -> None:
    class Certain:
        spec = spec_of(model)

        def __call__(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
            assert images.dtype == np.uint8
            return {"probabilities": np.array([[0.0, 1.0, 0.0]] * len(images), np.float32)}

    assert Predictor(Certain())(photos / "0.png")[0].best.class_name == "dog"
    with pytest.raises(UsageError, match="where it is made"):
        Predictor(Certain(), image_size=96)


def test_a_model_file(model: nn.Module, photos: Path, predictor: Predictor, tmp_path: Path) -> None:
    from mobilevit.weights import model_file

    model_file.save(tmp_path / "model.safetensors", model.state_dict(), spec_of(model))
    for path in (tmp_path / "model.safetensors", str(tmp_path / "model.safetensors")):
        assert Predictor(path, device="cpu")(photos / "0.png") == predictor(photos / "0.png")


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"top_k": 0}, {"image_size": 8}, {"image_size": 100_000}, {"device": "tpu"}]
)
def test_what_no_prediction_can_mean(model: nn.Module, options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Predictor(model, **options)  # type: ignore[arg-type]


def test_a_model_without_classes_or_spec() -> None:
    with pytest.raises(UsageError, match="gives features"):
        runner_for(create("mobilevit_xxs", num_classes=0))
    with pytest.raises(UsageError, match="has no spec"):
        Predictor(nn.Linear(3, 3))


def test_devices() -> None:
    assert device_for("cpu") == torch.device("cpu")
    assert device_for("auto").type in ("cuda", "mps", "cpu")
    for name, there in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())):
        if not there:
            with pytest.raises(UsageError, match=f"no {name} device here"):
                device_for(name)
    with pytest.raises(UsageError, match="did you mean cuda"):
        device_for("cuda0")


def test_size_keeps_the_ratio_of_the_resize() -> None:
    spec = at_size(spec_of(create("mobilevit_xxs", classes=labels("ab"))), 128)
    assert (spec.preprocessing.image_size, spec.preprocessing.resize_px) == (128, 144)


def test_predict_takes_what_a_predictor_takes() -> None:
    taken, offered = (set(inspect.signature(one).parameters) for one in (predict, Predictor))
    assert taken == offered | {"images"}
