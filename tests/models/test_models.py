"""What every model of the table promises, whatever its task."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from mobilevit.errors import UsageError
from mobilevit.models.fuse import fuse
from mobilevit.models.layers import BatchNorm
from mobilevit.models.table import MODELS, build, for_task, list_models

KINDS = ["mobilevit_xxs", "ssdlite_mobilevit_xxs", "deeplabv3_mobilevit_xxs", "deeplabv3_mobilevit_s_os8"]


def outputs(model: nn.Module, images: Tensor) -> list[Tensor]:
    """All that a model says of each image."""
    output = model(images)
    said = [output] if isinstance(output, Tensor) else list(output[:2])  # the anchors are of no image
    return [tensor for tensor in said if tensor is not None]


@pytest.mark.parametrize("name", MODELS)
def test_batch_height_and_width_are_free(name: str) -> None:
    model = build(name, 7).eval()
    for batch, height, width in ((1, 32, 32), (2, 65, 97), (3, 64, 160)):
        with torch.inference_mode():
            for output in outputs(model, torch.rand(batch, 3, height, width)):
                assert output.shape[0] == batch and output.numel() >= 7 and output.isfinite().all()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 70)])
def test_one_small_image_is_enough_to_train_on(name: str, height: int, width: int) -> None:
    """Maps shrink to a pixel, whose deviation BatchNorm cannot know: it takes the running one."""
    model = build(name, 3).train()
    sum(output.square().sum() for output in outputs(model, torch.rand(1, 3, height, width))).backward()  # type: ignore
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_batchnorm_is_torchs_own_wherever_that_works() -> None:
    ours, theirs = BatchNorm(4), nn.BatchNorm2d(4)
    for batch, training in ((2, True), (3, True), (1, False), (2, False)):
        x = torch.rand(batch, 4, 1, 1)
        torch.testing.assert_close(ours.train(training)(x), theirs.train(training)(x), rtol=0, atol=0)
    assert all(torch.equal(value, theirs.state_dict()[key]) for key, value in ours.state_dict().items())
    x = torch.rand(1, 4, 1, 1)
    assert torch.equal(ours.train()(x), theirs.eval()(x))


@pytest.mark.parametrize("name", KINDS)
def test_images_of_a_batch_do_not_meet(name: str) -> None:
    model, images = build(name, 5).double().eval(), torch.rand(3, 3, 64, 96, dtype=torch.float64)
    with torch.inference_mode():
        apart = [outputs(model, image[None]) for image in images]
        for together, *one_by_one in zip(outputs(model, images), *apart, strict=True):
            torch.testing.assert_close(together, torch.cat(one_by_one), atol=1e-10, rtol=0)


class LargestRank(TorchDispatchMode):
    """Watches every tensor that an operation makes."""

    rank = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, list | tuple) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.rank = max(self.rank, tensor.dim())
        return result


@pytest.mark.parametrize("name", KINDS)
def test_no_tensor_has_more_than_five_axes(name: str) -> None:
    model, ranks = build(name, 5).eval(), LargestRank()
    with torch.inference_mode(), ranks:
        model(torch.rand(2, 3, 96, 96))
        fuse(model)(torch.rand(2, 3, 96, 96))
    assert ranks.rank == 5


@pytest.mark.parametrize("name", [KINDS[0], *(pytest.param(name, marks=pytest.mark.system) for name in KINDS[1:3])])
def test_can_be_captured_with_a_free_batch(name: str) -> None:
    model, batch = build(name, 5).eval(), torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model, (torch.rand(2, 3, 64, 64),), dynamic_shapes=({0: batch},)).module()
    images = torch.rand(5, 3, 64, 64)
    with torch.no_grad():
        for captured, expected in zip(outputs(program, images), outputs(model, images), strict=True):
            torch.testing.assert_close(captured, expected)


@pytest.mark.parametrize("name", MODELS)
def test_fused_is_equal_and_leaves_the_original_alone(name: str) -> None:
    torch.manual_seed(0)
    model = build(name, 9).double().train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fused = fuse(model)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    assert not any(isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1) for m in fused.modules())
    images = torch.rand(2, 3, 65, 96, dtype=torch.float64)
    with torch.inference_mode():
        for ours, expected in zip(outputs(fused, images), outputs(model.eval(), images), strict=True):
            torch.testing.assert_close(ours, expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", KINDS)
def test_nothing_in_place_harms_what_is_kept(name: str) -> None:
    """Activations overwrite their input where no gradient is kept: not the image, and no other part's map."""
    model, images = build(name, 5).double().eval(), torch.rand(2, 3, 64, 64, dtype=torch.float64)
    before = images.clone()
    expected = [output.detach() for output in outputs(model, images)]
    with torch.no_grad():
        for found, wanted in zip(outputs(model, images), expected, strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0)
    assert torch.equal(images, before)


@pytest.mark.parametrize(
    ("name", "task", "expected"),
    [
        ("mobilevit_xs", "detection", "ssdlite_mobilevit_xs"),
        ("xx_small", "segmentation", "deeplabv3_mobilevit_xxs"),
        ("deeplabv3_mobilevit_s_os8", "segmentation", "deeplabv3_mobilevit_s_os8"),
        ("deeplabv3_mobilevit_s_os8", "classification", "mobilevit_s"),
        ("ssdlite_mobilevit_s", "segmentation", "deeplabv3_mobilevit_s"),
    ],
)
def test_the_model_of_the_same_size_for_another_task(name: str, task: str, expected: str) -> None:
    assert for_task(name, task) == expected


def test_every_model_has_one_of_its_size_for_every_task() -> None:
    for name in list_models():
        for task in {row.task for row in MODELS.values()}:
            assert MODELS[for_task(name, task)].task == task
    with pytest.raises(UsageError, match="unknown task 'detektion': did you mean detection"):
        for_task("mobilevit_xs", "detektion")
