"""The real models of other packages, where they are installed: they load what we write, and agree with us."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from mobilevit.models.table import MODELS, for_task
from mobilevit.spec import ModelSpec, labels
from mobilevit.weights import model_file
from mobilevit.weights.conversion import convert
from mobilevit.weights.creating import load

Filled = Callable[..., dict[str, Tensor]]

TRANSFORMERS = {  # hidden sizes, neck, expansion
    "mobilevit_xxs": ([64, 80, 96], [16, 16, 24, 48, 64, 80, 320], 2.0),
    "mobilevit_xs": ([96, 120, 144], [16, 32, 48, 64, 80, 96, 384], 4.0),
    "mobilevit_s": ([144, 192, 240], [16, 32, 64, 96, 128, 160, 640], 4.0),
}


@pytest.fixture
def image() -> Tensor:
    return torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("architecture", TRANSFORMERS)
def test_transformers_agrees(filled: Filled, tmp_path: Path, image: Tensor, architecture: str) -> None:
    transformers = peer("transformers", "MobileViTConfig", "MobileViTForImageClassification")
    model = transformers.MobileViTForImageClassification(_config(architecture)).eval()
    model.load_state_dict(_converted(filled, tmp_path, architecture, "transformers"), strict=True)
    with torch.inference_mode():
        theirs = model(pixel_values=image.flip(1)).logits
        torch.testing.assert_close(theirs, load(tmp_path / "ours.safetensors")(image), rtol=0, atol=1e-5)


@pytest.mark.parametrize("architecture", TRANSFORMERS)
def test_transformers_segments_the_same(filled: Filled, tmp_path: Path, image: Tensor, architecture: str) -> None:
    """Theirs stops at a 16th of the size."""
    transformers = peer("transformers", "MobileViTConfig", "MobileViTForSemanticSegmentation")
    config = _config(architecture)
    config.output_stride = 16
    model = transformers.MobileViTForSemanticSegmentation(config).eval()
    segmenter = for_task(architecture, "segmentation")
    model.load_state_dict(_converted(filled, tmp_path, segmenter, "transformers"), strict=True)
    with torch.inference_mode():
        theirs = model(pixel_values=image.flip(1)).logits
        theirs = F.interpolate(theirs, size=image.shape[2:], mode="bilinear", align_corners=False)
        torch.testing.assert_close(theirs, load(tmp_path / "ours.safetensors")(image).logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("architecture", TRANSFORMERS)
def test_timm_agrees(filled: Filled, tmp_path: Path, image: Tensor, architecture: str) -> None:
    timm = peer("timm", "create_model")
    model = timm.create_model(architecture, num_classes=10).eval()
    model.load_state_dict(_converted(filled, tmp_path, architecture, "timm"), strict=True)
    with torch.inference_mode():
        theirs = model(image)
        torch.testing.assert_close(theirs, load(tmp_path / "ours.safetensors")(image), rtol=0, atol=1e-5)


def peer(package: str, *names: str) -> Any:
    """The package, where those of its names that the test needs can be imported; skips the test elsewhere.

    A torchvision that was built for another torch raises RuntimeError when it is imported, and both packages import it.
    """
    try:
        module = import_module(package)
        for name in names:
            getattr(module, name)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"{package} cannot be used here: {error}")
    return module


def test_a_peer_that_cannot_be_imported_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_peer.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("broken_peer", "no_such_peer"):
        with pytest.raises(pytest.skip.Exception, match=name):
            peer(name)


def _config(architecture: str) -> Any:
    import transformers

    hidden, neck, expansion = TRANSFORMERS[architecture]
    return transformers.MobileViTConfig(
        hidden_sizes=hidden, neck_hidden_sizes=neck, expand_ratio=expansion, num_labels=10, image_size=256
    )


def _converted(filled: Filled, folder: Path, architecture: str, layout: str) -> dict[str, Tensor]:
    """Our model of ten classes in RGB, written as `ours.safetensors` and converted as the other program wants it."""
    spec = ModelSpec(architecture, MODELS[architecture].task, labels("abcdefghij"))
    model_file.save(folder / "ours.safetensors", filled(architecture, num_classes=10), spec)
    convert(folder / "ours.safetensors", folder / "theirs.safetensors", layout=layout)
    return load_file(folder / "theirs.safetensors")
