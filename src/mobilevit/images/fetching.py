"""Downloads an image from an untrusted URL, within limits."""

from mobilevit.errors import ImageError
from mobilevit.text import words_of

SECONDS = 60.0  # from the first word to the last byte
SILENCE_SECONDS = 15.0  # without an answer, or between two pieces of it
MAX_BYTES = 64 * 2**20


def fetch(
    url: str,
    *,
    seconds: float = SECONDS,
    silence_seconds: float = SILENCE_SECONDS,
    max_bytes: int = MAX_BYTES,
) -> bytes:
    """The content of an http or https URL; ImageError if it cannot be downloaded within the limits."""
    from mobilevit.images.http import HttpError, HttpLimits, answer_of  # here, for it takes a tenth of a second

    try:
        with answer_of(url, HttpLimits(seconds, silence_seconds, max_bytes), {"Accept": "image/*"}) as answer:
            return b"".join(answer.chunks)
    except HttpError as error:
        raise ImageError(f"{url}: {words_of(error)}: check the URL and the connection") from error
