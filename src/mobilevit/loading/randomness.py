"""Random numbers as a pure function of their purpose, never of a worker, the time or global state."""

from typing import Literal

import numpy as np

Purpose = Literal["order", "schedule", "sample"]


def generator(purpose: Purpose, seed: int, epoch: int, index: int = 0) -> np.random.Generator:
    """The generator of one choice. Different purposes, seeds, epochs and indices give independent streams."""
    key = (PURPOSES[purpose], epoch, index)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed & ENTROPY_BITS, spawn_key=key)))


PURPOSES: dict[Purpose, int] = {"order": 1, "schedule": 2, "sample": 3}
ENTROPY_BITS = 2**64 - 1  # a seed sequence takes no negative numbers
