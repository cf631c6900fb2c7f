"""Downloads a file over HTTP: with progress, resumable, written whole or not at all."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from mobilevit.errors import DownloadError
from mobilevit.images.http import Answer, BrokenOffError, HttpError, HttpLimits, answer_of

TIMEOUT_SECONDS = 20.0  # without a byte from the server
ATTEMPT_SECONDS = 3600.0  # for the largest file, 120 MB, over a line of 34 KB a second
HEAD_BYTES = 2**20  # that may come with a file
ATTEMPTS = 4  # at a transfer that breaks off
PAUSE_SECONDS = 0.5  # between them


def transfer(url: str, target: Path, *, max_bytes: int) -> None:
    """Download `URL` to `target`, whole or not at all.

    A partial download stays in `<target>.part`, and the next attempt requests only the rest. HttpError, OSError or
    DownloadError if it fails.
    """
    part = target.with_name(f"{target.name}.part")
    for _ in range(ATTEMPTS):
        if _attempt(url, part, max_bytes):
            part.replace(target)
            _version_file(part).unlink()
            return
        time.sleep(PAUSE_SECONDS)
    raise DownloadError(
        f"the connection was lost {ATTEMPTS} times; {part.stat().st_size:,} bytes are kept: run it again to resume"
    )


def _attempt(url: str, part: Path, max_bytes: int) -> bool:
    """Whether `part` is complete now."""
    with _answer(url, part, max_bytes) as answer:
        resumed = answer.status == HTTPStatus.PARTIAL_CONTENT
        have_bytes = part.stat().st_size if resumed else 0
        total_bytes = have_bytes + _length(answer)
        if total_bytes > max_bytes:
            raise DownloadError(f"the server announces {total_bytes:,} bytes, more than the limit of {max_bytes:,}")
        # which version is written, so that the rest of another one is never appended to it
        _version_file(part).write_text(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")
        with part.open("ab" if resumed else "wb") as file, _bar() as bar:
            task = bar.add_task(part.stem, total=total_bytes, completed=have_bytes)
            for chunk in _as_far_as_it_comes(answer):
                bar.advance(task, file.write(chunk))
            file.flush()
            os.fsync(file.fileno())
    return part.stat().st_size == total_bytes


@contextmanager
def _answer(url: str, part: Path, max_bytes: int) -> Iterator[Answer]:
    """The rest of the file where a part of the same version is there, else all of it."""
    version = _version_file(part).read_text() if _version_file(part).is_file() and part.is_file() else ""
    headers = {"Range": f"bytes={part.stat().st_size}-", "If-Range": version} if version else {}
    limits = HttpLimits(ATTEMPT_SECONDS, TIMEOUT_SECONDS, max_bytes + HEAD_BYTES)
    with ExitStack() as opened:
        try:
            answer = opened.enter_context(answer_of(url, limits, headers))
        except HttpError as error:
            if error.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not headers:
                raise
            part.unlink()  # nothing is left to ask for, yet it was not complete: start anew
            answer = opened.enter_context(answer_of(url, limits))
        yield answer


def _length(answer: Answer) -> int:
    length = answer.headers.get("Content-Length", "")
    if not length.isdecimal():
        raise DownloadError("the server does not report the file size, so a broken download could not be detected")
    return int(length)


def _as_far_as_it_comes(answer: Answer) -> Iterator[bytes]:
    """The body; whether it all came is for the caller to see."""
    with suppress(BrokenOffError):
        yield from answer.chunks


def _version_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _bar() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)
