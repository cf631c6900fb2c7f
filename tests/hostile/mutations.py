"""Ways to damage a file, each a function of (random numbers, content)."""

from collections.abc import Callable

import numpy as np

Rng = np.random.Generator
NUMBERS = (0, 1, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**32 - 1)
WORDS = (
    b"null", b"NaN", b"-1", b"1e999", b"9" * 40, b"{}", b"[]", b"true", b'""', b"\x00", b"\xff\xfe", b"\xe9",
    b"\x1b[31m", b"\r\n", b"../../x", b"/etc/passwd", b"[" * 3000, b"<!DOCTYPE a>", b"&a;", b"*a",
    b"!!python/object:os.system",
)  # fmt: skip


def mutated(rng: Rng, content: bytes) -> bytes:
    """`content` with one to four faults, never itself."""
    while True:
        changed = content
        for _ in range(int(rng.integers(1, 5))):
            changed = MUTATIONS[int(rng.integers(len(MUTATIONS)))](rng, changed)
        if changed != content:
            return changed


def flip_bits(rng: Rng, content: bytes) -> bytes:
    damaged = bytearray(content)
    for place in rng.integers(0, max(len(damaged), 1), int(rng.integers(1, 9))):
        if damaged:
            damaged[place] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def cut(rng: Rng, content: bytes) -> bytes:
    return content[: int(rng.integers(0, len(content) + 1))]


def leave_out(rng: Rng, content: bytes) -> bytes:
    start, end = _piece(rng, content)
    return content[:start] + content[end:]


def repeat(rng: Rng, content: bytes) -> bytes:
    start, end = _piece(rng, content)
    return content[:end] + content[start:end] * int(rng.integers(1, 200)) + content[end:]


def zero(rng: Rng, content: bytes) -> bytes:
    start, end = _piece(rng, content)
    return content[:start] + bytes(end - start) + content[end:]


def put_number(rng: Rng, content: bytes) -> bytes:
    """Where a size or an offset may stand."""
    width, order = int(rng.choice([1, 2, 4])), str(rng.choice(["little", "big"]))
    number = NUMBERS[int(rng.integers(len(NUMBERS)))] % 256**width
    place = int(rng.integers(0, max(len(content) - width, 0) + 1))
    return content[:place] + number.to_bytes(width, order) + content[place + width :]  # type: ignore[arg-type]


def put_word(rng: Rng, content: bytes) -> bytes:
    """In place of a word of a text."""
    start, end = _piece(rng, content, longest=12)
    return content[:start] + WORDS[int(rng.integers(len(WORDS)))] + content[end:]


def add_noise(rng: Rng, content: bytes) -> bytes:
    place = int(rng.integers(0, len(content) + 1))
    return content[:place] + rng.bytes(int(rng.integers(1, 200))) + content[place:]


MUTATIONS: tuple[Callable[[Rng, bytes], bytes], ...] = (
    flip_bits, cut, leave_out, repeat, zero, put_number, put_word, add_noise,
)  # fmt: skip


def _piece(rng: Rng, content: bytes, longest: int = 400) -> tuple[int, int]:
    start = int(rng.integers(0, len(content) + 1))
    return start, min(len(content), start + int(rng.integers(1, longest)))
