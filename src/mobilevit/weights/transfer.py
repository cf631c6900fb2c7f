"""One file over HTTP: with progress, resumed where it broke off, complete or not there."""

import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from mobilevit.errors import DownloadError

TIMEOUT_SECONDS = 20.0  # without a byte from the server
ATTEMPTS = 4  # at a transfer that breaks off
PAUSE_SECONDS = 0.5  # between them
CHUNK_BYTES = 2**16


def transfer(address: str, target: Path, *, max_bytes: int) -> None:
    """Fetch `address` to `target`, which is there whole or not at all.

    What arrived before an interruption stays in `<target>.part`, and the next attempt, now or in another run, asks
    only for the rest. OSError or DownloadError says what went wrong.
    """
    part = target.with_name(f"{target.name}.part")
    for _ in range(ATTEMPTS):
        if _attempt(address, part, max_bytes):
            part.replace(target)
            _version_file(part).unlink()
            return
        time.sleep(PAUSE_SECONDS)
    raise DownloadError(
        f"the connection broke {ATTEMPTS} times; {part.stat().st_size:,} bytes are kept, the same command goes on there"
    )


def _attempt(address: str, part: Path, max_bytes: int) -> bool:
    """Whether `part` is complete now."""
    with _answer(address, part) as answer:
        resumed = answer.status == http.client.PARTIAL_CONTENT
        have_bytes = part.stat().st_size if resumed else 0
        total_bytes = have_bytes + _length(answer)
        if total_bytes > max_bytes:
            raise DownloadError(f"the server announces {total_bytes:,} bytes, more than the limit of {max_bytes:,}")
        # which version is written, so that the rest of another one is never appended to it
        _version_file(part).write_text(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")
        with part.open("ab" if resumed else "wb") as file, _bar() as bar:
            task = bar.add_task(part.stem, total=total_bytes, completed=have_bytes)
            for chunk in _chunks(answer):
                bar.advance(task, file.write(chunk))
            file.flush()
            os.fsync(file.fileno())
    return part.stat().st_size == total_bytes


def _answer(address: str, part: Path) -> http.client.HTTPResponse:
    """The opened answer: the rest of the file where a part of the same version is there, else all of it."""
    version = _version_file(part).read_text() if _version_file(part).is_file() and part.is_file() else ""
    headers = {"Range": f"bytes={part.stat().st_size}-", "If-Range": version} if version else {}
    try:
        request = urllib.request.Request(address, headers=headers)
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not headers:
            raise
        part.unlink()  # nothing is left to ask for, yet it was not complete: start anew
        return _answer(address, part)
    if address.startswith("https:") and not answer.url.startswith("https:"):
        raise DownloadError(f"the server leads to an address without encryption, {answer.url}: refused")
    return answer


def _length(answer: http.client.HTTPResponse) -> int:
    length = answer.headers.get("Content-Length", "")
    if not length.isdecimal():
        raise DownloadError("the server does not say how long the file is, so its end could not be told from a break")
    return int(length)


def _chunks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """The body as far as it comes; whether it all came is for the caller to see."""
    while True:
        try:
            chunk = answer.read(CHUNK_BYTES)
        except (OSError, http.client.HTTPException):
            return
        if not chunk:
            return
        yield chunk


def _version_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _bar() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)
