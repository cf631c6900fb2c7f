"""The HTTP client: responses within limits of time and size, whatever the server does.

The limits are kept where bytes come in, at the socket. So they hold for the whole of an exchange: redirects, headers,
interim answers, the body, and what comes behind it.
"""

import http.client
import ipaddress
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from mobilevit.text import words_of

SCHEMES = ("http", "https")
MAX_REDIRECTS = 5


@dataclass(frozen=True)
class HttpLimits:
    """Limits for one response, including its redirects."""

    seconds: float  # from the first word to the last byte
    silence_seconds: float  # without an answer, or between two pieces of it
    size_bytes: int  # of everything that the server sends


class HttpError(Exception):
    """The cause of a failed request, for people; it contains no text from the server."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status  # that the server answered; None where it is about something else


class BrokenOffError(HttpError):
    """The connection was lost before the end of the response: requesting the rest may help."""


@dataclass(frozen=True)
class Answer:
    """The head of an answer with status 2xx; its body comes by `chunks`."""

    status: int
    headers: Mapping[str, str]  # whatever the case of a name
    chunks: Iterator[bytes]  # BrokenOffError, HttpError


@contextmanager
def answer_of(url: str, limits: HttpLimits, headers: Mapping[str, str] | None = None) -> Iterator[Answer]:
    """What is at an http or https URL, after at most MAX_REDIRECTS redirects.

    No redirect leads from https to http, nor from a public address to one of a private network, which the server
    could not reach itself. HttpError for these, for a status that is no success, and beyond `limits`.
    """
    # proxies are those of the environment; where there is one, its own address is the one that is visited
    with httpx2.Client(timeout=limits.silence_seconds) as client:
        allowance = _Allowance(limits)
        _count_for(client, allowance)
        with _in_words(allowance):
            response = _followed(client, _parsed(url), {**HEADERS, **(headers or {})})
            _check(response)
        try:
            yield Answer(response.status_code, response.headers, _chunks(response, allowance))
        finally:
            response.close()


HEADERS = {"User-Agent": "mobilevit", "Accept-Encoding": "identity"}  # so that what is counted is what there is


def _followed(client: httpx2.Client, url: httpx2.URL, headers: Mapping[str, str]) -> httpx2.Response:
    """The answer at the end of the redirects, its body not read."""
    for _ in range(MAX_REDIRECTS + 1):
        response = client.send(client.build_request("GET", url, headers=headers), stream=True)
        if not response.has_redirect_location:
            return response
        response.close()  # a redirect's body is nothing to wait for
        url = _redirected(url, response.headers["Location"])
    raise HttpError(f"the server redirects more than {MAX_REDIRECTS} times")


def _redirected(url: httpx2.URL, location: str) -> httpx2.URL:
    target = _parsed(str(url.join(location)))
    if url.scheme == "https" and target.scheme == "http":
        raise HttpError(f"the server redirects to an unencrypted URL, {target}: refused")
    return target


def _parsed(text: str) -> httpx2.URL:
    url = httpx2.URL(text)
    if url.scheme not in SCHEMES:
        raise HttpError(f"'{url.scheme}' URLs are not supported, only http and https: download the file")
    return url


def _check(response: httpx2.Response) -> None:
    if not response.is_success:  # the server's own reason phrase may hold anything, and is never shown
        meaning = http.client.responses.get(response.status_code, "unknown")
        raise HttpError(f"the server answers {response.status_code} ({meaning})", response.status_code)
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise HttpError("the server sends compressed content in spite of the request")


def _chunks(response: httpx2.Response, allowance: "_Allowance") -> Iterator[bytes]:
    count = 0
    try:
        for chunk in response.iter_raw():
            count += len(chunk)
            yield chunk
    except httpx2.TransportError as error:
        allowance.seconds(None)
        raise BrokenOffError(f"the connection was lost after {count:,} bytes") from error


@contextmanager
def _in_words(allowance: "_Allowance") -> Iterator[None]:
    """What goes wrong inside as an HttpError."""
    try:
        yield
    except httpx2.TimeoutException:
        allowance.seconds(None)
        raise HttpError("timed out: no answer from the server") from None
    except (httpx2.TransportError, httpx2.InvalidURL, OSError, ValueError) as error:
        raise HttpError(f"the server cannot be reached ({_one_line(error)})") from error


def _one_line(error: Exception) -> str:
    return ascii(words_of(error))[1:-1]


class _Allowance:
    """What is left of the limits, and where the exchange has been."""

    def __init__(self, limits: HttpLimits) -> None:
        self.limits = limits
        self._deadline = time.monotonic() + limits.seconds
        self._bytes_left = limits.size_bytes
        self._was_public = False

    def seconds(self, wanted: float | None) -> float:
        """How long to wait for the next bytes; `wanted` where that much is left."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise HttpError(f"download not complete after {self.limits.seconds:g} s")
        return left if wanted is None else min(left, wanted)

    def spend(self, size_bytes: int) -> None:
        self._bytes_left -= size_bytes
        if self._bytes_left < 0:
            raise HttpError(f"refused because the server sends more than {self.limits.size_bytes / 2**20:,.0f} MB")

    def visit(self, ip: str) -> None:
        """Note where the exchange goes; HttpError where it may not go there."""
        public = is_public(ip)
        if self._was_public and not public:
            raise HttpError(f"refused because a public URL leads to a private IP address, {ip}")
        self._was_public = self._was_public or public


def is_public(ip: str) -> bool:
    """Whether this IP address is globally reachable, not only from this machine or its network."""
    address = ipaddress.ip_address(ip.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_global)


class _Stream:
    """A connection of httpcore's; what is read and written counts."""

    def __init__(self, stream: Any, allowance: _Allowance) -> None:
        self._stream, self._allowance = stream, allowance

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data: bytes = self._stream.read(max_bytes, self._allowance.seconds(timeout))
        self._allowance.spend(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._allowance.seconds(timeout))

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Stream":
        secured = self._stream.start_tls(ssl_context, server_hostname, self._allowance.seconds(timeout))
        return _Stream(secured, self._allowance)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Network:
    """A network of httpcore's whose connections count; it tries one address of a name after the other."""

    def __init__(self, network: Any, allowance: _Allowance) -> None:
        self._network, self._allowance = network, allowance

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> _Stream:
        problem: Exception = OSError("the host name has no IP address")
        for *_, (ip, *_rest) in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            self._allowance.visit(str(ip))
            try:
                stream = self._network.connect_tcp(ip, port, timeout=self._allowance.seconds(timeout), **options)
                return _Stream(stream, self._allowance)
            except HttpError:
                raise
            except Exception as error:  # httpcore's kinds
                problem = error
        raise problem

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


def _count_for(client: httpx2.Client, allowance: _Allowance) -> None:
    """Whatever `client` sends and receives counts."""
    for transport in (client._transport, *client._mounts.values()):
        if isinstance(transport, httpx2.HTTPTransport):  # a pool would take a network, a client takes no pool
            pool: Any = transport._pool
            pool._network_backend = _Network(pool._network_backend, allowance)
