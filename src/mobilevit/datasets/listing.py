"""All files below a dataset folder, listed once, on first use."""

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from mobilevit.datasets.annotation_records import WHOLE
from mobilevit.datasets.repairs import Repairs
from mobilevit.datasets.splitting import split_named
from mobilevit.images import folders


class Listing:
    """The files below `root`, in the order of their names. Hidden ones are passed over."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def paths(self) -> Sequence[str]:
        """Of every file; as text, since a million Paths take a second."""
        return [os.fspath(path) for path in folders.files_below(self.root)]

    @cached_property
    def images(self) -> Sequence[str]:
        """The files whose names end like an image's."""
        return [path for path in self.paths if folders.is_image(path)]

    def below(self, folder: Path, *suffixes: str) -> list[Path]:
        """The files of these suffixes, in any case (".json"), in a folder and the folders inside it."""
        found = (path for suffix in suffixes for path in self._suffixes.get(suffix, ()))
        if folder == self.root:
            return [Path(path) for path in found]
        start = os.path.join(folder, "")  # noqa: PTH118
        return [Path(path) for path in found if path.startswith(start)]

    @cached_property
    def _suffixes(self) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = {}
        for path in self.paths:
            found.setdefault(os.path.splitext(path)[1].lower(), []).append(path)  # noqa: PTH122 (as in is_image)
        return found

    @cached_property
    def beside(self) -> Mapping[str, Sequence[str]]:
        """The images by their path without the suffix: those that an annotation file of that path belongs to."""
        found: dict[str, list[str]] = {}
        for path in self.images:
            found.setdefault(os.path.splitext(path)[0], []).append(path)  # noqa: PTH122
        return found

    def split_of(self, path: Path | str) -> str | None:
        """The split that a folder on the way to a file stands for, the outermost first; None where there is none."""
        return next(filter(None, map(split_named, self._folders_to(path))), None)

    def _folders_to(self, path: Path | str) -> list[str]:
        inside = os.fspath(path).removeprefix(os.path.join(self.root, ""))  # noqa: PTH118
        return inside.replace(os.sep, "/").split("/")[:-1]

    def of_splits(self, paths: Iterable[Path], notes: Repairs) -> dict[str, list[Path]]:
        """The paths by split; under WHOLE where no folder is one. Those beside the folders of splits are left out."""
        found: dict[str | None, list[Path]] = {}
        for path in paths:
            found.setdefault(self.split_of(path), []).append(path)
        named = {split: some for split, some in found.items() if split is not None}
        for stray in found.get(None, ()) if named else ():
            notes.add("no-split", stray)
        return named or ({WHOLE: found[None]} if found else {})
