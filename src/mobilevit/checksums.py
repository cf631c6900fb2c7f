"""The checksum that is written into what this package writes: model files and manifests. It finds changes, not forgers.

It is BLAKE2b of 256 bits; what goes into it, and in which order, is the writer's business.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any


def blake2b(parts: Iterable[bytes | memoryview]) -> str:
    """Of the parts in their order, with the name of the method: "blake2b-256:6b86..."."""
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        digest.update(part)
    return f"blake2b-256:{digest.hexdigest()}"


def json_checksum(value: Any) -> str:
    """Of a parsed JSON value, whatever its layout was: spaces, order of keys, 1.0 or 1, escaped letters or not."""
    return blake2b([json.dumps(_plain(value), sort_keys=True, allow_nan=False).encode()])


def _plain(value: Any) -> Any:
    """With whole numbers as such: some programs write 1.0 as 1."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
