import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from official import layouts
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mobilevit.errors import OutputError, UsageError
from mobilevit.models.table import build
from mobilevit.spec import ChannelOrder
from mobilevit.weights.conversion import convert
from mobilevit.weights.creating import load, spec_of
from mobilevit.weights.layouts import Layout

Filled = Callable[..., dict[str, Tensor]]
FOREIGN: tuple[Layout, ...] = ("cvnets", "timm", "transformers")


@pytest.fixture
def official(filled: Filled, tmp_path: Path) -> Path:
    """A file as the official ones: cvnets layout, BGR."""
    path = tmp_path / "mobilevit_xxs.pt"
    torch.save(filled(layout="cvnets"), path)
    return path


@pytest.fixture(scope="module")
def reference(filled: Filled) -> nn.Module:
    """The model in that file."""
    model = build("mobilevit_xxs", 1000).eval()
    model.load_state_dict(filled())
    return model


@pytest.mark.parametrize(("architecture", "layout"), [row for row in layouts() if row[1] != "ours"])
def test_there_and_back_over_files_changes_no_bit(
    filled: Filled, tmp_path: Path, architecture: str, layout: Layout
) -> None:
    first, ours, again = tmp_path / "first.safetensors", tmp_path / "ours.safetensors", tmp_path / "again.safetensors"
    save_file(filled(architecture, layout), first)
    convert(first, ours, layout="ours")
    convert(ours, again, layout=layout)
    before, after = load_file(first), load_file(again)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) and before[key].dtype == after[key].dtype for key in before)


@pytest.mark.parametrize("layout", FOREIGN)
@pytest.mark.parametrize(
    ("suffix", "order"), [(".safetensors", None), (".safetensors", "rgb"), (".safetensors", "bgr"), (".pth", "rgb")]
)
def test_outputs_agree_for_the_same_image_in_every_layout_and_channel_order(
    official: Path, reference: nn.Module, layout: Layout, suffix: str, order: ChannelOrder | None
) -> None:
    target = official.with_name(f"converted{suffix}")
    convert(official, target, layout=layout, channel_order=order)
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = reference(image.flip(1))
    torch.testing.assert_close(_logits(target, image), expected, rtol=0, atol=2e-6)
    natural = "rgb" if layout == "timm" else "bgr"
    assert spec_of(load(target)).preprocessing.channel_order == (order or natural)


def test_half_is_half_as_large_and_nearly_the_same(official: Path, tmp_path: Path) -> None:
    whole, halved = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    convert(official, whole, layout="ours", channel_order="rgb")
    convert(official, halved, layout="ours", channel_order="rgb", half=True)
    assert halved.stat().st_size < 0.51 * whole.stat().st_size
    assert all(value.dtype != torch.float16 for value in load(halved).state_dict().values())
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(load(halved)(image), load(whole)(image), rtol=0, atol=0.05)


def test_a_chain_over_all_layouts_comes_back(filled: Filled, official: Path) -> None:
    files = [official, *(official.with_name(f"{layout}.pt") for layout in FOREIGN)]
    for source, target in itertools.pairwise(files):
        convert(source, target, layout=target.stem)
    convert(files[-1], official.with_name("end.pt"), layout="cvnets")
    end = torch.load(official.with_name("end.pt"), weights_only=True)
    assert all(torch.equal(end[key], tensor) for key, tensor in filled(layout="cvnets").items())


def test_a_converted_torch_file_is_a_plain_state_dict(official: Path) -> None:
    convert(official, official.with_name("timm.pt"), layout="timm")
    content = torch.load(official.with_name("timm.pt"), weights_only=True)
    assert len(content) == 311
    assert all(isinstance(tensor, Tensor) for tensor in content.values())


def test_classes_and_provenance_travel_through_other_layouts(filled: Filled, tmp_path: Path) -> None:
    save_file(filled(layout="timm", num_classes=3), tmp_path / "a.safetensors")
    convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", layout="ours")
    for suffix in (".pt", ".safetensors"):
        convert(tmp_path / "b.safetensors", tmp_path / f"c{suffix}", layout="timm")
        assert spec_of(load(tmp_path / f"c{suffix}")) == spec_of(load(tmp_path / "b.safetensors"))


def test_flipping_is_said_and_only_then(official: Path, caplog: pytest.LogCaptureFixture) -> None:
    convert(official, official.with_name("a.safetensors"), layout="ours")
    assert "stem flipped" not in caplog.text
    convert(official, official.with_name("b.safetensors"), layout="ours", channel_order="rgb")
    assert "stem flipped" in caplog.text and "expects RGB" in caplog.text


@pytest.mark.parametrize(
    ("target", "arguments", "what"),
    [
        ("x.safetensors", {"layout": "tim"}, "unknown layout 'tim': did you mean timm"),
        ("x.safetensors", {"layout": "ours", "channel_order": "gbr"}, "unknown channel order"),
        ("x.onnx", {"layout": "timm"}, r"must end in \.safetensors, \.pt, \.pth"),
        ("x.pt", {"layout": "ours"}, r"name it .*x\.safetensors"),
        ("mobilevit_xxs.pt", {"layout": "timm"}, "is the input file"),
    ],
)
def test_misuse_is_told_before_anything_is_read(
    official: Path, target: str, arguments: dict[str, str], what: str
) -> None:
    before = official.read_bytes()
    with pytest.raises(UsageError, match=what):
        convert(official, official.with_name(target), **arguments)  # type: ignore[arg-type]
    assert [entry.name for entry in official.parent.iterdir()] == [official.name]
    assert official.read_bytes() == before


def test_a_layout_that_the_model_does_not_have_is_misuse(filled: Filled, tmp_path: Path) -> None:
    save_file(filled("ssdlite_mobilevit_xxs", "cvnets"), tmp_path / "ssd.safetensors")
    with pytest.raises(UsageError, match="ssdlite_mobilevit_xxs has no timm layout"):
        convert(tmp_path / "ssd.safetensors", tmp_path / "out.safetensors", layout="timm")
    assert not (tmp_path / "out.safetensors").exists()


def test_an_output_that_cannot_be_written_is_an_error(official: Path) -> None:
    with pytest.raises(OutputError, match="no folder"):
        convert(official, official.parent / "no folder" / "x.pt", layout="timm")


def _logits(path: Path, rgb: Tensor) -> Tensor:
    model = load(path)
    order = spec_of(model).preprocessing.channel_order
    with torch.inference_mode():
        return model(rgb if order == "rgb" else rgb.flip(1))  # type: ignore[no-any-return]
