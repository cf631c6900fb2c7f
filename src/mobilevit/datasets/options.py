"""Options for reading a dataset, the same for every task."""

from dataclasses import dataclass

from mobilevit.errors import UsageError


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading a dataset."""

    val_fraction: float = 0.2  # fraction of the images held out for validation if the data has no val split
    split_seed: int = 0  # seed of that split
    data_format: str | None = None  # annotation format, such as coco, voc or yolo; None: recognized from the data

    def __post_init__(self) -> None:
        """UsageError for a fraction that leaves no images for training or for validation."""
        if not 0 < self.val_fraction < 1:
            raise UsageError(f"`val_fraction` is {self.val_fraction}: it must be between 0 and 1, exclusive")
