"""TensorBoard scalars, if its extra is installed; metrics.csv is always written, by the run folder."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class ScalarLog:
    """Scalars by optimizer step. Does nothing without the extra `log`, or in a process that does not lead."""

    def __init__(self, folder: Path, *, leads: bool, updates: int = 0) -> None:
        """`updates` have been made: what an earlier attempt wrote of later ones will be written again."""
        self._writer: Any = None
        if leads and importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=updates + 1 if updates else None)

    def write(self, updates: int, values: Mapping[str, float | None]) -> None:
        if self._writer is not None:
            for name, value in values.items():
                if value is not None:
                    self._writer.add_scalar(name, value, updates)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
