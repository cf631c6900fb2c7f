"""Analyzes the pickle of a torch file without executing it.

`weights_only` keeps a pickle from running code, not from asking for memory: 395 bytes can claim three gigabytes. So the
pickle is walked through first, with a stack that holds names and numbers in place of objects. A call of anything but
what rebuilds tensors, and a tensor that is larger than what the file holds of it, are refused.
"""

import pickletools
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any


class RefusedError(Exception):
    """The reason, as the continuation of "it is a pickle that"."""


def check(path: Path) -> None:
    """RefusedError if loading the file could take more than its own size, or would call what weights do not need.

    Any other exception if it is damaged, including a wrong CRC-32 of its parts, which torch itself does not check.
    """
    with path.open("rb") as file:
        is_archive = file.read(4) == b"PK\x03\x04"  # as torch tells: one that ends as a zip file may begin otherwise
    if is_archive:
        _check_archive(path)
    else:
        _check_older(BytesIO(path.read_bytes()), path.stat().st_size)


def _check_archive(path: Path) -> None:
    """A zip file, since torch 1.6: one pickle, and each storage in a part of its own."""
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            raise RefusedError("is compressed, unlike the files of torch, and could be of any size")
        names = {part.filename.lower() for part in parts}  # torch finds them in any case
        if sum(part.file_size for part in parts) > path.stat().st_size or len(names) < len(parts):
            raise RefusedError("claims more content than the file has")
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"{damaged} does not have the checksum that it was written with")
        (name,) = (part.filename for part in parts if part.filename.endswith("/data.pkl"))
        folder = name.removesuffix("data.pkl")
        sizes = {part.filename.removeprefix(f"{folder}data/"): part.file_size for part in parts}
        _Walk(sizes).through(archive.read(name))


def _check_older(content: BytesIO, size_bytes: int) -> None:
    """Five pickles in a row, the storages behind them."""
    walk = _Walk(None)
    for _ in range(5):
        walk.through(content)
        if walk.claimed_bytes > size_bytes:
            raise RefusedError(f"claims {walk.claimed_bytes:,} bytes of tensors, more than the file has")


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle names."""

    text: str


@dataclass(frozen=True)
class Storage:
    """The values of one or more tensors."""

    count: int


MARK = object()
REBUILDS = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3")
CALLED = {  # of which none takes more than it is given
    *REBUILDS,
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._tensor._rebuild_from_type_v2",
    "torch.serialization._get_layout",
    "torch.Size",
    "torch.device",
    "collections.OrderedDict",
    "collections.Counter",
    "argparse.Namespace",
    "builtins.set",
    "builtins.complex",
    "_codecs.encode",
}
ITEM_BYTES = {  # of the values of a storage, by its class
    **dict.fromkeys(("Byte", "Char", "Bool", "Untyped"), 1),
    **dict.fromkeys(("Short", "Half", "BFloat16"), 2),
    **dict.fromkeys(("Int", "Float"), 4),
    **dict.fromkeys(("Long", "Double", "ComplexFloat"), 8),
    "ComplexDouble": 16,
}
BEYOND = ("PERSID", "INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "BYTEARRAY8", "NEXT_BUFFER")  # torch's pickles


@dataclass
class _Walk:
    """The machine that a pickle is a program for, with all objects but texts, numbers, names and tuples left out."""

    sizes: Mapping[str, int] | None  # bytes of each storage, by its key; None: all of them follow the pickles
    claimed: dict[str, int] = field(default_factory=dict)  # bytes by key
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    @property
    def claimed_bytes(self) -> int:
        return sum(self.claimed.values())

    def through(self, pickle: bytes | BytesIO) -> None:
        self.stack, self.memo = [], {}
        for operation, argument, _ in pickletools.genops(pickle):
            self._step(operation, argument)

    def _step(self, operation: pickletools.OpcodeInfo, argument: Any) -> None:
        name, stack = operation.name, self.stack
        if name in BEYOND:
            raise RefusedError(f"torch did not write ({name})")
        if name == "MARK":
            stack.append(MARK)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            parts = argument.split(" ", 1) if name == "GLOBAL" else [str(part) for part in self._popped(2)]
            stack.append(Name(".".join(parts).replace("__builtin__.", "builtins.")))  # as Python 2 called it
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if argument is None else argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name.startswith("TUPLE"):
            stack.append(tuple(self._popped(int(name[5:])) if name[5:] else self._popped_to_mark()))
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name in ("REDUCE", "NEWOBJ"):
            self._call(*self._popped(2))
            stack.append(None)
        else:
            self._other(operation, argument)

    def _other(self, operation: pickletools.OpcodeInfo, argument: Any) -> None:
        """Any other operation, by what the table of operations says that it takes and leaves."""
        taken, left = operation.stack_before, operation.stack_after
        if operation.name == "DUP":
            self.stack.append(self.stack[-1])
            return
        if pickletools.markobject in taken:
            self._popped_to_mark()
            taken = taken[: taken.index(pickletools.markobject)]
        self._popped(len(taken))
        value = () if operation.name == "EMPTY_TUPLE" else argument if len(taken) == 0 else None
        self.stack.extend([value] * len(left))

    def _popped(self, count: int) -> list[Any]:
        return [self.stack.pop() for _ in range(count)][::-1]

    def _popped_to_mark(self) -> list[Any]:
        found: list[Any] = []
        while (value := self.stack.pop()) is not MARK:
            found.append(value)
        return found[::-1]

    def _storage(self, claim: Any) -> Storage:
        """The storage that a persistent id stands for: ("storage", class, key, device, number of values, ...)."""
        try:
            word, kind, key, _, count = claim[:5]
            size_bytes = count * ITEM_BYTES[kind.text.rpartition(".")[2].removesuffix("Storage")]
        except (TypeError, ValueError, KeyError, AttributeError):
            raise RefusedError("names a storage as torch does not") from None
        held = size_bytes if self.sizes is None else self.sizes.get(str(key), 0)
        if word != "storage" or not 0 <= size_bytes <= held:
            raise RefusedError(f"claims {size_bytes:,} bytes for a storage, more than the file has of it")
        self.claimed[str(key)] = max(size_bytes, self.claimed.get(str(key), 0))
        return Storage(count)

    def _call(self, function: Any, arguments: Any) -> None:
        name = function.text if isinstance(function, Name) else "what it does not name"
        if name == "torch._tensor._rebuild_from_type_v2" and isinstance(arguments, tuple) and len(arguments) > 2:
            self._call(arguments[0], arguments[2])
        elif name not in CALLED:
            raise RefusedError(f"asks for {name}")
        elif name in REBUILDS:
            _check_tensor(arguments)


def _check_tensor(arguments: Any) -> None:
    """RefusedError where a tensor reaches beyond its storage, which torch then may enlarge."""
    storage, offset, size, stride = (
        arguments[:4] if isinstance(arguments, tuple) and len(arguments) > 3 else (None,) * 4
    )
    if not (isinstance(storage, Storage) and _are_whole(size) and _are_whole(stride) and _are_whole((offset,))):
        raise RefusedError("makes a tensor as torch does not")
    last = offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True))
    if 0 not in size and last >= storage.count:
        raise RefusedError(f"claims a tensor of {' x '.join(map(str, size))} values, more than the file has of it")


def _are_whole(values: Any) -> bool:
    return isinstance(values, tuple) and not [value for value in values if not (type(value) is int and value >= 0)]
