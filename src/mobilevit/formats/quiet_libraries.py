"""Converters and runtimes talk on the terminal; this is where that is caught."""

import errno
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mobilevit.errors import MobileViTError, OutputError
from mobilevit.text import words_of

log = logging.getLogger("mobilevit")


@contextmanager
def silent(title: str) -> Iterator[None]:
    """Nothing that this process or its libraries print inside reaches the terminal; exceptions go on their way.

    Where a library ends the process, its last words are shown, with `title` for its name.
    """
    with _caught(title), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def refusal_of(title: str, written: Path | None = None) -> Iterator[None]:
    """Keeps what a converter prints from the terminal. Where it fails that goes to the log, and its error becomes ours.

    MobileViTError, with `title` for the name of the converter; OutputError where nothing more can be written to where
    it was to write, `written`; our own errors go on their way. Where it ends the process, its last words are shown.
    """
    with _caught(title) as said:
        try:
            yield
        except (MobileViTError, KeyboardInterrupt):
            raise
        except Exception as error:  # each converter has its own kinds
            said.seek(0)
            log.debug("%s said: %s", title, said.read())
            if (reason := _unwritable(written, error)) is not None:
                raise OutputError(f"{title} cannot write {reason}. Make room, or choose another folder.") from error
            raise MobileViTError(f"{title} refused the model: {type(error).__name__}: {words_of(error)}") from error


@contextmanager
def _caught(title: str) -> Iterator[IO[str]]:
    """The file that everything goes to, in memory where the system can: the disk may be full."""
    with _scratch() as said, _watched(said, title), _redirected(said):
        yield said


def _scratch() -> IO[str]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("said"), "w+", errors="replace")
    return tempfile.TemporaryFile("w+", errors="replace")


@contextmanager
def _watched(said: IO[str], title: str) -> Iterator[None]:
    """Another process watches this one, and shows the end of `said` where it is gone before its time.

    A native library may call `exit` or `abort`, and no code of this process runs any more.
    """
    if os.name != "posix":  # a process cannot hand over its files
        yield
        return
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", LAST_WORDS, str(said.fileno()), title],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=(said.fileno(),),
        start_new_session=True,  # an interrupt of the terminal is for this process
    )
    try:
        yield
    finally:
        watcher.communicate(b"over")


LAST_WORDS = """
import os, sys
if not sys.stdin.buffer.read():  # the other side is closed, by nobody but the system
    said, title = int(sys.argv[1]), sys.argv[2]
    words = os.pread(said, 4000, max(0, os.fstat(said).st_size - 4000)).decode(errors="replace").strip()
    words = "".join(letter for letter in words if letter.isprintable() or letter == "\\n")
    print(f"error: the process ended while {title} was at work. " + (f"Its last words:\\n{words}" if words else
        "It said nothing: is the disk full, or the memory?"), file=sys.stderr)
"""


@contextmanager
def _redirected(file: IO[str]) -> Iterator[None]:
    """Standard output and error of this process and of its libraries, into `file`."""
    streams = (sys.stdout, sys.stderr)
    for stream in streams:
        stream.flush()
    kept = [os.dup(number) for number in (1, 2)]
    try:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        yield
    finally:
        for stream in streams:
            stream.flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)


def _unwritable(written: Path | None, error: Exception) -> str | None:
    """What cannot be written, and why, where that is what `error` comes from: each library says it in its own way."""
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        return f"{_named(written)}: {error.strerror}"
    for number in UNWRITABLE:
        if os.strerror(number) in str(error):
            return f"{_named(written)}: {os.strerror(number)}"
    if written is None:
        return None
    begun_bytes = max((path.stat().st_size for path in written.parent.rglob("*") if path.is_file()), default=0)
    if (reason := _no_room(written.parent, begun_bytes + PROBE_BYTES)) is not None:
        return f"{_named(written)}: {reason}"
    scratch = Path(tempfile.gettempdir())
    reason = _no_room(scratch, PROBE_BYTES)
    return None if reason is None else f"{scratch}: {reason}"


def _named(written: Path | None) -> str:
    return "its file" if written is None else written.name  # its folder is a temporary one


UNWRITABLE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS)
PROBE_BYTES = 2**20  # beyond the largest file that was begun


def _no_room(folder: Path, size_bytes: int) -> str | None:
    """Why no file of that size can be written in `folder`; None where one can."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(size_bytes))
            file.flush()
    except OSError as error:
        return error.strerror
    return None
