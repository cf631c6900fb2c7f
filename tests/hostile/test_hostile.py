"""Mutated inputs of every kind end well: they open, or one error of ours says why not.

Three hundred in `make test`; `python tests/hostile/trial.py --count 10000` tries more.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mutations import mutated
from seeds import seeds

PROGRAM = Path(__file__).with_name("trial.py")
COUNT = 300

pytest.importorskip("av", reason='needs the extra "video"')


def test_mutated_inputs_end_well() -> None:
    """In a process with one thread: it forks, and a fork has no pool of threads."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--count", str(COUNT)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-2000:]}"
    ok, error = (int(number) for number in done.stdout.splitlines()[-1].split()[1:3])
    assert ok + error == COUNT
    assert ok > 0 and error > 0


@pytest.mark.parametrize("seed", seeds(), ids=lambda seed: seed.name)
def test_what_is_mutated_opens_when_it_is_whole(seed, tmp_path: Path) -> None:
    for path, content in seed.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    seed.open(tmp_path)


def test_a_mutation_is_the_same_again_and_changes_something() -> None:
    content = bytes(range(256))
    for number in range(200):
        changed = mutated(np.random.default_rng(number), content)
        assert changed == mutated(np.random.default_rng(number), content) != content
