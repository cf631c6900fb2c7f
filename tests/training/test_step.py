"""Any split of a batch, over micro-batches or processes, gives the loss and the gradient of the whole."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from steps import TARGETS, Outcome, a_batch, a_step, one_step
from torch import nn

from mobilevit.errors import TrainingError
from mobilevit.training.distributed import Group, backend

WHOLE = [list(range(8))]


def assert_equal(found: Outcome, expected: Outcome) -> None:
    assert found[0] == pytest.approx(expected[0], rel=1e-6)  # losses are added up in float32
    for name, gradient in expected[1].items():
        torch.testing.assert_close(
            found[1][name], gradient, atol=1e-6, rtol=0, msg=lambda text, name=name: f"{name}: {text}"
        )
    assert max(float(gradient.abs().max()) for gradient in expected[1].values()) > 1e-3


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("shares", [[[0, 1, 2, 3], [4, 5, 6, 7]], [[0], [1, 2, 3, 4, 5], [6, 7]]])
def test_micro_batches_equal_one_batch(task: str, shares: list[list[int]]) -> None:
    assert_equal(one_step(task, shares, Group()), one_step(task, WHOLE, Group()))


def test_two_processes_equal_one(tmp_path: Path) -> None:
    result, script = tmp_path / "result.pt", Path(__file__).with_name("steps.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*command, str(script), str(result)], check=True, timeout=300, capture_output=True)
    found = torch.load(result, weights_only=True)
    assert list(found) == [f"{task} in {batches}" for task in TARGETS for batches in (1, 2)]
    for name, outcome in found.items():
        assert_equal(outcome, one_step(name.split()[0], WHOLE, Group()))


@pytest.mark.parametrize(
    ("local_size", "gpus", "expected"),
    [(1, 0, "gloo"), (2, 0, "gloo"), (1, 1, "nccl"), (2, 1, "gloo"), (2, 2, "nccl"), (3, 2, "gloo"), (4, 8, "nccl")],
)
def test_processes_that_share_a_gpu_do_not_speak_by_nccl(local_size: int, gpus: int, expected: str) -> None:
    assert backend(local_size, gpus) == expected


def test_clipping_keeps_the_direction_and_bounds_the_norm() -> None:
    whole = one_step("classification", WHOLE, Group())[1]
    norm = float(nn.utils.get_total_norm(list(whole.values())))
    for grad_clip_norm in (norm / 10, norm * 10):
        clipped = one_step("classification", WHOLE, Group(), grad_clip_norm=grad_clip_norm)[1]
        factor = min(1.0, grad_clip_norm / norm)
        for name, gradient in whole.items():
            torch.testing.assert_close(clipped[name], gradient * factor, atol=1e-6, rtol=0)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_what_is_not_finite_changes_no_parameter(what: str) -> None:
    """In turns with a good step, which goes on as if nothing had been between."""
    step, batch = a_step("classification", Group()), a_batch("classification", WHOLE[0])
    before = {name: value.clone() for name, value in step.model.named_parameters()}
    hooks = {
        "loss": lambda: step.model.register_forward_hook(lambda *seen: seen[-1] / 0.0),
        "gradient": lambda: next(step.model.parameters()).register_hook(lambda gradient: gradient / 0.0),
    }
    handle = hooks[what]()
    with pytest.raises(TrainingError, match=f"the {what} is not finite"):
        step([batch], lr=1.0, seed=0)
    handle.remove()
    for name, value in step.model.named_parameters():
        assert torch.equal(value, before[name])
        assert value.grad is None
