"""A Predictor in a process that was forked: it answers, or says that it cannot; it never waits for ever."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FORK = """
import multiprocessing, sys
import torch
torch.set_num_threads(2)
torch.randn(512, 512) @ torch.randn(512, 512)  # the threads that a fork loses are at work
torch.nn.functional.conv2d(torch.randn(4, 8, 128, 128), torch.randn(8, 8, 3, 3))

from mobilevit.errors import UsageError
from mobilevit.inference import Predictor
from mobilevit.spec import labels
from mobilevit.weights.creating import create

model = create("mobilevit_xxs", classes=labels(["cat", "dog"]))
predictor = Predictor(model, device="cpu")
expected = predictor(sys.argv[1])[0].best.class_name

class Elsewhere:
    "Another runtime, whose threads are its own."
    spec = predictor.spec
    def __call__(self, images): raise AssertionError("it would hang")

elsewhere = Predictor(Elsewhere())

def child():
    assert predictor(sys.argv[1])[0].best.class_name == expected
    assert Predictor(model, device="cpu")(sys.argv[1])[0].best.class_name == expected
    try:
        elsewhere(sys.argv[1])
    except UsageError as error:
        print(error)

process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join(90)
if process.is_alive():
    process.kill()
    sys.exit("the child hangs")
sys.exit(process.exitcode)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_predictor_works_in_a_forked_process(photos: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = [sys.executable, "-c", FORK, str(photos / "0.png")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=180)
    assert done.returncode == 0, done.stderr
    assert "make the Predictor in the new process" in done.stdout
