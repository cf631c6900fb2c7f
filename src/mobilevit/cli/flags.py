"""Fields that a message of the library names, as the flags of the command line.

The library knows no flags: a message of its own has fields in backquotes, as a call in Python would give them, such as
`image_size`, `flip=False` or `split="all"`.
"""

import re

FIELD = re.compile(r"`([a-z][a-z0-9_]*)(?:=([^`\s]+))?`")


def with_flags(message: str) -> str:
    """The message with --image-size, --no-flip or --split all in the place of such fields."""
    return FIELD.sub(_flag, message)


def _flag(found: re.Match[str]) -> str:
    name, value = found[1].replace("_", "-"), found[2]
    if value in ("True", None):
        return f"--{name}"
    return f"--no-{name}" if value == "False" else f"--{name} {value.strip(QUOTES)}"


QUOTES = "'\""
