"""Models in 8 bits: what is tried, what is kept, what is said of it, and what is refused."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobilevit.cli import main
from mobilevit.errors import DataError, MissingExtraError, UsageError
from mobilevit.evaluation import evaluate
from mobilevit.formats.manifest import manifest_path, read_manifest
from mobilevit.inference import Predictor
from mobilevit.quantization import quantize as module
from mobilevit.quantization import table
from mobilevit.quantization.quantize import LossError, QuantizeConfig, Quantized, _kept, quantize
from mobilevit.quantization.table import Source, choices_of
from mobilevit.quantization.variants import Variant

pytest.importorskip("onnxruntime", reason='needs the extra "export"')
pytest.importorskip("onnxscript", reason='needs the extra "export"')

IMAGES = {"train": 48, "val": 24}  # of conftest
CONFIG = QuantizeConfig(max_loss=15, runs=5)  # one image of 36 is almost three points


@pytest.fixture(scope="session")
def quantized(model: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Quantized]:
    """The model in 8 bits by every choice of a format."""
    folder = tmp_path_factory.mktemp("quantized")

    @cache
    def made(name: str) -> Quantized:
        return quantize(model, name, calibrate=images, evaluate=images, output=folder, config=CONFIG)

    return made


def test_every_choice_is_measured(quantized: Callable[[str], Quantized]) -> None:
    found = quantized("onnx")
    base, *tried = found.variants
    assert base.choice == "fp32"
    assert base.loss == pytest.approx(0)
    assert [variant.choice for variant in tried] == [*choices_of("onnx")]
    for variant in tried:
        assert variant.latency_ms is not None
        assert variant.size_bytes < 0.4 * base.size_bytes
        assert variant.loss <= CONFIG.max_loss
    assert found.kept == min(tried, key=lambda variant: variant.latency_ms or 0)


def test_what_is_kept_is_what_was_judged(quantized: Callable[[str], Quantized], model: Path, images: Path) -> None:
    found = quantized("onnx")
    assert found.path.name == "small.int8.onnx"
    assert found.path.stat().st_size == found.kept.size_bytes
    scores = [evaluate(file, images, device="cpu", num_workers=0).scores for file in (found.path, model)]
    judged = found.judgment
    assert (judged.metric, judged.int8) == scores[0].primary
    assert judged.model == scores[1].primary[1]
    assert judged.difference == pytest.approx(100 * (judged.int8 - judged.model))
    assert judged.low <= judged.difference <= judged.high
    assert judged.images == IMAGES["val"]


def test_the_manifest_tells_what_was_tried(quantized: Callable[[str], Quantized]) -> None:
    found = quantized("onnx")
    manifest = read_manifest(found.path)
    assert manifest == found.manifest
    assert (manifest.precision, manifest.file) == ("int8", "small.int8.onnx")
    proof: Any = manifest.parity
    assert proof["limits"] == {"loss": CONFIG.max_loss}
    assert proof["choice"] == found.kept.choice
    assert proof["held_out"]["low"] == found.judgment.low
    assert (proof["calibration_images"], proof["choosing_images"]) == (12, 36)
    assert len(proof["tried"]) == len(found.variants)


def test_the_predictor_runs_it(quantized: Callable[[str], Quantized], model: Path, images: Path) -> None:
    names = [
        [prediction.best.class_name for prediction in Predictor(file)(images / "val")]
        for file in (quantized("onnx").path, model)
    ]
    assert np.mean([mine == theirs for mine, theirs in zip(*names, strict=True)]) > 0.8


def test_a_scale_that_is_wrong_is_found_out(
    model: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One scale of all: nothing is within the loss, nothing is written, and what was tried is told. What the tools
    refuse is left out."""
    import onnx

    def destroyed(source: Source, path: Path) -> None:
        choices_of("onnx")["weights"](source, path)
        made = onnx.load(path)
        scales = next(tensor for tensor in made.graph.initializer if tensor.name.endswith("_scales"))
        scales.CopyFrom(onnx.numpy_helper.from_array(8 * onnx.numpy_helper.to_array(scales), scales.name))
        onnx.save(made, path)

    def refused(_source: Source, _path: Path) -> None:
        raise ValueError("no such operation")

    monkeypatch.setattr(module, "choices_of", lambda _: {"refused": refused, "destroyed": destroyed})
    said = r"no choice of ONNX loses 15 points at most; the nearest is 'destroyed'"
    with pytest.raises(LossError, match=said) as found:
        quantize(model, "onnx", calibrate=images, evaluate=images, output=tmp_path, config=CONFIG)
    assert [variant.choice for variant in found.value.variants] == ["fp32", "destroyed"]
    assert list(tmp_path.iterdir()) == []
    assert "'refused' is left out: ONNX refused the model: ValueError: no such operation" in caplog.text


def made(choice: str, loss: float, size_bytes: int, latency_ms: float | None) -> Variant:
    return Variant(choice, 0.9 - loss / 100, loss, size_bytes, latency_ms)


VARIANTS = [made("fp32", 0, 400, 9), made("a", 0.4, 110, 7), made("b", 0.5, 100, 8), made("c", 0.6, 90, 5)]


@pytest.mark.parametrize(
    ("prefer", "limit", "timed", "expected"),
    [
        ("speed", 0.5, True, "a"),
        ("size", 0.5, True, "b"),
        ("speed", 0.5, False, "b"),
        ("speed", 1, True, "c"),
        ("size", 0.45, True, "a"),
    ],
)
def test_which_is_kept(prefer: Any, limit: float, timed: bool, expected: str) -> None:
    variants = VARIANTS if timed else [replace(variant, latency_ms=None) for variant in VARIANTS]
    assert _kept(variants, QuantizeConfig(max_loss=limit, prefer=prefer), "ONNX").choice == expected


def test_what_is_slower_is_said(caplog: pytest.LogCaptureFixture) -> None:
    slow = made("slow", 0.1, 100, 12)
    judgment = module.Judgment("top1", 100, 0.9, 0.88, -2.0, -4.0, 0.0)
    module._warn([VARIANTS[0], slow], slow, judgment, QuantizeConfig())
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "slower than fp32 on this machine: 'slow', 12.00 ms against 9.00"
    assert said[1] == "the file that is kept saves space here and no time"
    assert said[2].startswith("on the held-out images the loss is 2.00 points, more than --max-loss 0.5")


def test_images_are_used_once(model: Path, images: Path, tmp_path: Path) -> None:
    division = replace(CONFIG.division, split="train")
    with pytest.raises(DataError, match="48 of the images to evaluate on are training images"):
        quantize(
            model,
            calibrate=images,
            evaluate=images,
            output=tmp_path,
            config=replace(CONFIG, division=division),
        )


@pytest.mark.parametrize(
    ("format", "options", "message"),
    [
        ("onxx", {}, "did you mean onnx"),
        ("onnx", {"choices": ("linaer",)}, "unknown choice of onnx 'linaer': did you mean linear"),
        ("onnx", {"max_loss": -1}, "`max_loss` is -1"),
        ("onnx", {"runs": 0}, "`runs` is 0"),
    ],
)
def test_what_cannot_be_meant(
    format: str, options: dict[str, Any], message: str, model: Path, images: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        quantize(
            model,
            format,
            calibrate=images,
            evaluate=images,
            output=tmp_path,
            config=QuantizeConfig(**options),
        )


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.PACKAGES, "onnx", ("not_there",))  # type: ignore[misc]
    with pytest.raises(MissingExtraError, match=r'needs not_there: pip install "mobilevit\[quantize\]"'):
        choices_of("onnx")


def test_the_command(model: Path, images: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.safetensors"
    shutil.copy(model, mine)
    arguments = ["--calibrate", str(images), "--evaluate", str(images), "--choices", "weights", "--runs", "5"]
    assert main(["quantize", str(mine), *arguments, "--max-loss", "15"]) == 0
    said = capfd.readouterr()
    assert "times as fast" in said.out
    assert "Kept 'weights'. On 24 held-out images: top1" in said.out
    made = tmp_path / "mine.int8.onnx"
    assert f"wrote {made}" in said.err
    assert json.loads(manifest_path(made).read_text())["precision"] == "int8"
