"""What lies in a folder of pictures, by name alone: nothing is opened.

Hidden entries and what operating systems leave behind are passed over everywhere. Links are followed; rings of links
are not, and neither are links that lead from a linked folder to where one has been already. One `scandir` a folder:
100,000 files take about a second.
"""

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

from mobilevit.errors import DataError

PICTURE_SUFFIXES = frozenset(  # of decoding.FORMATS
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".mpo"}
)
LEFT_BEHIND = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"})  # by operating systems
ARCHIVE_SUFFIXES = frozenset({".zip", ".tar", ".tgz", ".gz", ".xz", ".bz2", ".7z", ".rar"})


def is_picture(path: Path | str) -> bool:
    """Whether the name ends like a picture's; the content is the doctor's to judge."""
    return os.path.splitext(path)[1].lower() in PICTURE_SUFFIXES  # noqa: PTH122 (three times as fast as Path)


def require_folder(path: Path | str) -> Path:
    """`path` as a folder that can be listed and is not empty; DataError says what it is instead."""
    folder = Path(path).expanduser()
    if folder.is_dir():
        if not list_folder(folder):
            raise DataError(f"{folder} is empty: give a folder of pictures")
        return folder
    if folder.suffix.lower() in ARCHIVE_SUFFIXES and folder.is_file():
        raise DataError(f"{folder} is an archive: unpack it and give the folder")
    if folder.exists():
        raise DataError(f"{folder} is a file: give the folder that holds the pictures")
    raise DataError(f"there is no folder {folder}{_nearest(folder)}")


def list_folder(folder: Path | str) -> list[os.DirEntry[str]]:
    """The entries of one folder by name, without hidden ones; DataError where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not _is_hidden(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"the folder {folder} cannot be listed: {error.strerror or error}") from error


def sub_folders(folder: Path | str) -> list[Path]:
    """The folders directly inside, by name."""
    return [Path(entry.path) for entry in list_folder(folder) if _is_folder(entry)]


def files_in(folder: Path | str) -> list[Path]:
    """The files directly inside, by name."""
    return [Path(entry.path) for entry in list_folder(folder) if not _is_folder(entry)]


def files_below(folder: Path | str) -> Iterator[Path]:
    """Every file of a folder and of the folders inside it, in an order that names alone decide."""
    return map(Path, _Walk().below(os.fspath(folder)))


def pictures_below(folder: Path | str) -> list[Path]:
    """The files of `files_below` whose names end like a picture's."""
    return [Path(path) for path in _Walk().below(os.fspath(folder)) if is_picture(path)]


class _Walk:
    """One walk, and where it has been: folders that link to each other have more paths than anybody can follow."""

    def __init__(self) -> None:
        self._seen: set[str] = set()  # real paths

    def below(self, folder: str, above: frozenset[str] = frozenset(), links: int = 0) -> Iterator[str]:
        """Paths below `folder`; `above` are the real paths that lead here, by so many links."""
        real = os.path.realpath(folder)
        if real in above or (links > 1 and real in self._seen):
            return
        self._seen.add(real)
        for entry in list_folder(folder):
            if _is_folder(entry):
                yield from self.below(entry.path, above | {real}, links + entry.is_symlink())
            else:  # a dangling link counts as a file: it is reported as unreadable instead of being lost
                yield entry.path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or leads to one; a link to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in LEFT_BEHIND


def _nearest(missing: Path) -> str:
    """The part of a path that does exist, and what there looks like the missing part."""
    parent = next((above for above in missing.parents if above.is_dir()), None)
    if parent is None:
        return ""
    wanted = missing.relative_to(parent).parts[0]
    near = difflib.get_close_matches(wanted, [folder.name for folder in sub_folders(parent)], n=1, cutoff=0.5)
    return f": did you mean {parent / near[0]}?" if near else f": {parent} exists and has no '{wanted}' in it"
