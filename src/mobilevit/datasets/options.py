"""How a dataset on disk is understood, whatever task it serves."""

from dataclasses import dataclass

from mobilevit.errors import UsageError


@dataclass(frozen=True)
class ReadOptions:
    """How a dataset on disk is understood."""

    val_fraction: float = 0.2  # taken from training where the folder has no split of its own
    split_seed: int = 0  # decides which images those are
    data_format: str | None = None  # of the annotations; None: recognized from what is there

    def __post_init__(self) -> None:
        """UsageError for a share that leaves nothing for training or for val."""
        if not 0 < self.val_fraction < 1:
            raise UsageError(f"--val-fraction is {self.val_fraction}: it must lie between 0 and 1, both excluded")
