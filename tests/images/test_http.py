"""Servers that defeat limits: whatever they do, the client gives up while they are still at it."""

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2
import pytest

from mobilevit.images import http
from mobilevit.images.http import BrokenOffError, HttpError, HttpLimits, answer_of, is_public

PATIENT = HttpLimits(seconds=60, silence_seconds=60, size_bytes=2**20)  # for servers that send fast, or in time
HURRIED = HttpLimits(seconds=1, silence_seconds=60, size_bytes=2**20)  # for those that send slowly
OK = b"HTTP/1.1 200 OK\r\n"
SLOW = 0.05  # seconds between pieces
MANY = 1000  # pieces: 50 seconds, or 64 MB


@dataclass
class Script:
    """What a server sends in answer to each connection, piece by piece; the last script goes for all others."""

    pieces: list[tuple[bytes, ...]]
    pause: float = 0.0
    port: int = 0
    asked: list[bytes] = field(default_factory=list)
    finished: list[bool] = field(default_factory=list)  # whether all pieces could be sent

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/a.jpg"


@contextmanager
def playing(script: Script) -> Iterator[Script]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        script.port = server.getsockname()[1]
        thread = threading.Thread(target=play, args=(server, script), daemon=True)
        thread.start()
        yield script
        server.shutdown(socket.SHUT_RDWR)
        thread.join(60)


def play(server: socket.socket, script: Script) -> None:
    for number in itertools.count():
        try:
            connection, _ = server.accept()
        except OSError:  # the test is over
            return
        with connection:
            script.asked.append(connection.recv(2**16))
            try:
                for piece in script.pieces[min(number, len(script.pieces) - 1)]:
                    connection.sendall(piece)
                    time.sleep(script.pause)
                script.finished.append(True)
            except OSError:
                script.finished.append(False)


def body(url: str, limits: HttpLimits = PATIENT) -> bytes:
    with answer_of(url, limits) as answer:
        return b"".join(answer.chunks)


def drip(start: bytes, piece: bytes = b"x") -> tuple[bytes, ...]:
    return start, *[piece] * MANY


FLOOD = b"x" * 2**16


@pytest.mark.parametrize(
    ("pieces", "pause"),
    [
        (drip(b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n", FLOOD), 0.0),
        (drip(b"HTTP/1.1 404 Not Found\r\n\r\n", FLOOD), 0.0),
        (drip(b"HTTP/1.1 200 OK\r\nX-Slow: "), SLOW),
        (drip(OK + b"X-Long: ", FLOOD), 0.0),
        (drip(OK, b"X-Many: 1\r\n"), SLOW),
        (drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), SLOW),
        (drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2500), 0.0),
        (drip(OK + b"\r\n"), SLOW),
        (drip(OK + b"Content-Length: 1000\r\n\r\n"), SLOW),
        (drip(OK + b"\r\n", FLOOD), 0.0),
        (drip(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), SLOW),
        (drip(OK + b"Transfer-Encoding: chunked\r\n\r\n1;x="), SLOW),
        (drip(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"X-Trailer: 1\r\n"), SLOW),
        (drip(b"HTTP/1.1 302 Found\r\nLocation: "), SLOW),
    ],
    ids=[
        "body of a redirect",
        "body of an error",
        "slow header",
        "long header",
        "many headers",
        "slow 100-continue",
        "fast 100-continue",
        "slow body",
        "slow body of a length",
        "long body",
        "slow chunks",
        "slow chunk header",
        "slow trailers",
        "slow redirect",
    ],
)
def test_the_client_gives_up_before_the_server_does(pieces: tuple[bytes, ...], pause: float) -> None:
    with playing(Script([pieces], pause)) as script, pytest.raises(HttpError):
        body(script.url, HURRIED if pause else PATIENT)
    assert script.finished.count(True) == 0


def test_the_limits_are_named() -> None:
    with playing(Script([drip(OK + b"\r\n")], SLOW)) as script, pytest.raises(HttpError, match="after 1 s"):
        body(script.url, HURRIED)
    with playing(Script([drip(OK + b"\r\n", FLOOD)])) as script, pytest.raises(HttpError, match="more than 1 MB"):
        body(script.url)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(HttpError, match="timed out"):
        body(f"http://127.0.0.1:{silent.getsockname()[1]}/", HttpLimits(60, 0.2, 2**20))


def test_what_comes_whole_is_given_whole() -> None:
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\nX-Trailer: 1\r\n\r\n"
    for pieces in ((OK + b"Content-Length: 5\r\n\r\nwhole",), (chunked,), (OK + b"\r\nwhole",)):
        with playing(Script([(b"HTTP/1.1 302 F\r\nLocation: /b\r\n\r\n",), pieces])) as script:
            assert body(script.url) == b"whole"
            assert script.asked[1].startswith(b"GET /b ")


def test_a_connection_that_breaks_off_can_be_told_from_other_troubles() -> None:
    short = Script([(OK + b"Content-Length: 9\r\n\r\nwhole",)])
    with playing(short), pytest.raises(BrokenOffError, match="was lost after 5 bytes"):
        body(short.url)
    with playing(Script([(b"HTTP/1.1 416 x\r\n\r\n",)])) as script, pytest.raises(HttpError) as caught:
        body(script.url)
    assert caught.value.status == 416


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 404 \x1b[31mred\x07\r\n",
        b"HTTP/1.1 404 \xff\xfe\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://\x1b[31m/\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: \x1b]0;x\x07://\r\n",
        b"\x1b[31m\r\n",
    ],
)
def test_no_word_of_the_server_is_shown_as_it_is(head: bytes) -> None:
    with playing(Script([(head + b"Content-Length: 0\r\n\r\n",)])) as script, pytest.raises(HttpError) as caught:
        body(script.url)
    assert str(caught.value).isprintable()
    assert "red" not in str(caught.value)


def test_a_body_in_another_coding_is_not_taken_for_the_file() -> None:
    script = Script([(OK + b"Content-Encoding: gzip\r\n\r\nx",)])
    with playing(script), pytest.raises(HttpError, match="compressed"):
        body(script.url)


@pytest.mark.parametrize(
    ("ip", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("192.168.0.1", False),
        ("172.16.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
    ],
)
def test_public_addresses(ip: str, public: bool) -> None:
    assert is_public(ip) is public


def test_no_redirect_from_a_public_address_to_a_private_one(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([True, False])  # there is no public address on this machine: the first counts as one
    monkeypatch.setattr(http, "is_public", lambda _: next(answers))
    moved = b"HTTP/1.1 302 Found\r\nLocation: /secret\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with playing(Script([(moved,), (OK + b"\r\nsecret",)])) as script:
        with pytest.raises(HttpError, match="a public URL leads to a private IP address"):
            body(script.url)
        assert len(script.asked) == 1


def test_no_redirect_out_of_encryption_or_of_the_web() -> None:
    secure = httpx2.URL("https://example.org/a")
    assert str(http._redirected(secure, "/b")) == "https://example.org/b"
    for location, message in (
        ("http://example.org/a", "unencrypted"),
        ("file:///etc/passwd", "only http and https"),
        ("ftp://example.org/a", "only http and https"),
    ):
        with pytest.raises(HttpError, match=message):
            http._redirected(secure, location)
