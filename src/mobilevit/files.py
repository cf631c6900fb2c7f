"""Writing a file whole or not at all."""

import os
import tempfile
from pathlib import Path

from mobilevit.errors import OutputError


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path`; whoever reads it sees the old file or the new one, never a part.

    OutputError where the folder does not exist, is not writable, or the disk is full; the old file stays.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = temporary_beside(path)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def temporary_beside(path: Path) -> Path:
    """An empty file of no known name in the folder of `path`, to be renamed to it once it is whole.

    OutputError where the folder does not exist, or takes no file.
    """
    try:
        prefix = f".{path.name[:40]}."  # the name itself may be as long as a name can be
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=prefix)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}. Choose another folder.") from error
    os.close(descriptor)
    Path(temporary).chmod(0o666 & ~_umask())
    return Path(temporary)


def expanded(path: Path) -> Path:
    """`path`, a leading ~ in it the home folder's, unless something has just this name; unchanged where no user has."""
    return path if os.path.lexists(path) else Path(os.path.expanduser(path))  # noqa: PTH111 (Path's raises)


def picture_format(path: Path) -> str:
    """The format that the name of a picture to be written asks for.

    OutputError for another name, or where nothing can be written: to be asked before the work whose outcome it shows.
    """
    if path.suffix.lower() not in PICTURE_FORMATS:
        raise OutputError(f"cannot write {path}: give it a name that ends in {', '.join(PICTURE_FORMATS)}")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"cannot write {path}: {path.parent} is no folder that can be written to")
    return PICTURE_FORMATS[path.suffix.lower()]


PICTURE_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def make_folder(path: Path) -> Path:
    """`path` as a folder that exists; OutputError where it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {path}: {error.strerror}. Choose another place.") from error
    return path


def unused(path: Path) -> Path:
    """`path`, or where something has that name already the first that is free: dog.jpg, dog-2.jpg, dog-3.jpg, ..."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
