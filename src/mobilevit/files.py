"""Atomic writing of files, and removal of what killed processes left behind."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mobilevit.errors import OutputError
from mobilevit.text import utf8

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, and so nothing is taken for abandoned
    fcntl = None  # type: ignore[assignment]


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8, whatever names are in it) to `path`.

    Whoever reads it sees the old file or the new one, never a part.
    OutputError where the folder does not exist, is not writable, or the disk is full; the old file stays.
    """
    data = utf8(content) if isinstance(content, str) else content
    try:
        descriptor, temporary = _locked_file(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}. Choose another folder.") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if fcntl is None:
                file.close()  # Windows moves no open file; elsewhere the lock is kept until it has its name
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class PartialFile:
    """A file written as `temporary` beside `path`, and renamed to `path` once complete.

    For a writer that takes a path, or that writes for long. If this process is killed before, `abandoned` finds it.
    """

    def __init__(self, path: Path) -> None:
        """An empty file. OutputError if the folder does not exist or is not writable."""
        self.path = path
        try:
            descriptor, self.temporary = _locked_file(path)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}. Choose another folder.") from error
        self._lock = os.fdopen(descriptor, "rb")
        self.temporary.chmod(0o666 & ~_umask())
        if fcntl is None:
            self._lock.close()  # Windows moves no open file

    def finish(self) -> None:
        """Rename it to `path`, replacing an older file; the writer must have closed it. OSError."""
        self.temporary.replace(self.path)
        self._lock.close()

    def discard(self) -> None:
        """Remove it."""
        self.temporary.unlink(missing_ok=True)
        self._lock.close()


def expanded(path: Path) -> Path:
    """`path` with a leading ~ expanded, unless a file has exactly this name; unchanged if the user is unknown."""
    return path if os.path.lexists(path) else Path(os.path.expanduser(path))  # noqa: PTH111 (Path's raises)


@contextmanager
def temporary_folder(parent: Path, kind: str) -> Iterator[Path]:
    """A folder in `parent` that is removed at the end; OutputError if it cannot be created.

    If this process is killed before, `abandoned` finds it. `kind` is one of KINDS.
    """
    try:
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=f".{kind}-"))
    except OSError as error:
        raise OutputError(f"cannot write to {parent}: {error.strerror}. Choose another folder.") from error
    with _lock(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def abandoned(parent: Path, pattern: str = ".*") -> Iterator[Path]:
    """Temporary files and folders in `parent` whose process has ended; each is removed after its turn."""
    for path in sorted(parent.glob(pattern)):
        if is_temporary(path):
            with _lock(path) as is_ours:
                if is_ours:
                    yield path
                    _remove(path)


def is_temporary(path: Path) -> bool:
    """Whether `path` has the name of a temporary file or folder of this module."""
    return LEFTOVER.fullmatch(path.name) is not None and not path.is_symlink()


def clear_abandoned(parent: Path) -> None:
    """Remove the files that killed processes left in `parent`; those of living ones stay, and folders, which an export
    may have to finish."""
    for _ in abandoned(parent, ".*.tmp"):
        pass


def image_format(path: Path) -> str:
    """The image format of a file name to be written.

    OutputError for another suffix, or an unwritable folder: call it before the work.
    """
    if path.suffix.lower() not in IMAGE_FORMATS:
        raise OutputError(f"cannot write {path}: the file name must end in {', '.join(IMAGE_FORMATS)}")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"cannot write {path}: {path.parent} is not a writable folder: choose another folder")
    return IMAGE_FORMATS[path.suffix.lower()]


IMAGE_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def make_folder(path: Path) -> Path:
    """`path` as an existing folder; OutputError if it cannot be created."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot create the folder {path}: {error.strerror}. Choose another folder.") from error
    return path


def unused(path: Path) -> Path:
    """`path`, or if it exists the first free name: dog.jpg, dog-2.jpg, dog-3.jpg, ..."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


KINDS = ("export", "quantize")  # of temporary folders
LEFTOVER = re.compile(
    rf"\.(?:{'|'.join(KINDS)})-[a-z0-9_]{{8}}|\..+\.[a-z0-9_]{{8}}\.tmp"
)  # as tempfile completes their names


def _locked_file(path: Path) -> tuple[int, Path]:
    """A new file beside `path`, open and locked."""
    while True:  # the name itself may be as long as a name can be
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".tmp")
        if _take(descriptor) is not False and os.fstat(descriptor).st_nlink > 0:
            return descriptor, Path(name)
        os.close(descriptor)  # `abandoned` saw it before it was locked


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Whether this process now holds the lock of `path`, which the system takes from a dead one."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # gone meanwhile, not ours to open, or a folder on Windows
        yield False
        return
    try:
        yield bool(_take(descriptor)) and path.exists()
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool | None:
    """Whether the lock could be had; None where there are none, as on some network drives."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
