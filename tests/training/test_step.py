"""Any split of a batch, over micro-batches or processes, gives the loss and the gradient of the whole."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from steps import TARGETS, Outcome, one_step

from mobilevit.errors import TrainingError
from mobilevit.training.distributed import Group

WHOLE = [list(range(8))]


def assert_equal(found: Outcome, expected: Outcome) -> None:
    assert found[0] == pytest.approx(expected[0], abs=1e-6)
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
    assert list(found) == list(TARGETS)
    for task, outcome in found.items():
        assert_equal(outcome, one_step(task, WHOLE, Group()))


def test_a_loss_that_is_not_finite_leaves_the_network_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    from mobilevit.models import mobilevit

    forward = mobilevit.MobileViT.forward
    monkeypatch.setattr(mobilevit.MobileViT, "forward", lambda self, x: forward(self, x) / 0.0)
    with pytest.raises(TrainingError, match="not finite"):
        one_step("classification", WHOLE, Group())
