"""Getting a picture from the web, within limits: an address may come from anywhere and answer with anything."""

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from mobilevit.errors import PictureError

SCHEMES = ("http", "https")


@dataclass(frozen=True)
class Limits:
    """What one picture may take."""

    seconds: float = 60.0  # from the first word to the last byte
    silence_seconds: float = 15.0  # without an answer, or between two pieces of it
    size_bytes: int = 64 * 2**20


LIMITS = Limits()


def fetch(address: str, limits: Limits = LIMITS) -> bytes:
    """What lies at an http or https address; PictureError where it cannot be had within `limits`."""
    deadline = time.monotonic() + limits.seconds
    try:
        _require_web(address, address)
        request = urllib.request.Request(address, headers={"User-Agent": "mobilevit", "Accept": "image/*"})
        with _opener().open(request, timeout=limits.silence_seconds) as answer:
            return _read(answer, address, limits, deadline)
    except urllib.error.HTTPError as error:
        raise PictureError(f"{address}: the server answers {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise PictureError(f"{address}: cannot be fetched ({reason}): check the address and the connection") from None


def _require_web(address: str, shown: str) -> None:
    scheme = urllib.parse.urlsplit(address).scheme
    if scheme not in SCHEMES:
        raise PictureError(f"{shown}: '{scheme}' addresses are not fetched, only http and https; or save it as a file")


def _opener() -> urllib.request.OpenerDirector:
    """Speaks http and https alone: the usual one would open files and ftp too, and follow a redirection there."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirections(),
    ):
        opener.add_handler(handler)
    return opener


class _Redirections(urllib.request.HTTPRedirectHandler):
    """Follows a few, to the web only."""

    max_redirections = 5

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _require_web(newurl, f"{req.full_url} (which leads to {newurl})")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _read(answer: http.client.HTTPResponse, address: str, limits: Limits, deadline: float) -> bytes:
    content = bytearray()
    while piece := answer.read1(2**16):
        content += piece
        if len(content) > limits.size_bytes:
            raise PictureError(f"{address}: refused, because it has more than {limits.size_bytes // 2**20} MB")
        if time.monotonic() > deadline:
            raise PictureError(f"{address}: not complete after {limits.seconds:.0f} s")
    if answer.length:
        raise PictureError(f"{address}: the connection broke off after {len(content):,} bytes")
    return bytes(content)
