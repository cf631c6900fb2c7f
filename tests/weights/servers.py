"""A web server of one file that can misbehave, on this machine."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What is served, how, and what was asked for."""

    content: bytes
    version: str = '"1"'  # the ETag; empty: none is sent
    ranges: bool = True  # whether a part of the file can be asked for
    break_after: list[int] = field(default_factory=list)  # bytes that each of the first answers sends before it breaks
    announced: int | None = None  # a length that is not the true one
    status: int = 200
    location: str = ""  # of a redirect
    asked: list[str] = field(default_factory=list)  # the method and the Range header of each request
    url: str = ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@contextmanager
def serve(site: Site) -> Iterator[Site]:
    """Serve `site` under every path of `site.url`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, site)

        def do_HEAD(self) -> None:
            _answer(self, site)

        def log_message(self, *_: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of the tests."""


def _answer(handler: BaseHTTPRequestHandler, site: Site) -> None:
    wanted = handler.headers.get("Range", "")
    site.asked.append(f"{handler.command} {wanted}".strip())
    if site.status != 200:
        handler.send_response(site.status)
        if site.location:
            handler.send_header("Location", site.location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    start = 0
    if wanted and site.ranges and handler.headers.get("If-Range") in (None, site.version):
        start = int(wanted.removeprefix("bytes=").partition("-")[0])
        if start >= len(site.content):
            handler.send_error(416)
            return
    body = site.content[start:]
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(site.content) - 1}/{len(site.content)}")
    if site.announced != -1:
        handler.send_header("Content-Length", str(site.announced or len(body)))
    if site.version:
        handler.send_header("ETag", site.version)
    _send_hub_headers(handler, site)
    handler.end_headers()
    if handler.command == "GET":
        handler.wfile.write(body[: site.break_after.pop(0)] if site.break_after else body)


def _send_hub_headers(handler: BaseHTTPRequestHandler, site: Site) -> None:
    """What a hub says of a large file: its commit, its sum and its size."""
    handler.send_header("X-Repo-Commit", "0" * 39 + "1")
    handler.send_header("X-Linked-Etag", f'"{site.sha256}"')
    handler.send_header("X-Linked-Size", str(len(site.content)))
