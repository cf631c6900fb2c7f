"""Tensor files, safetensors and torch, opened without trusting them.

What the tensors mean is not known here. Every failure is a WeightsError that begins with the path. What this package
writes carries a checksum: a single changed bit in a weight else gives another class, and nobody notices.
"""

import argparse
import difflib
import json
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mobilevit.checksums import blake2b
from mobilevit.errors import WeightsError
from mobilevit.text import words_of
from mobilevit.weights import pickles

MAX_FILE_BYTES = 2**31  # a training checkpoint with optimizer and EMA of the largest model is below 2**27
MAX_HEADER_BYTES = 2**24  # of a safetensors file; ours with 1000 classes has 2**17


def kind(path: Path) -> Literal["safetensors", "torch"]:
    """The container of `path`, by its first bytes; WeightsError, naming what it is, if it is neither."""
    start = _start(path)
    pickled = start[:1] == b"\x80"
    if start[8:9] == b"{" and not (pickled and int.from_bytes(start[:8], "little") > MAX_HEADER_BYTES):
        return "safetensors"  # also where the length of its header happens to begin as a pickle does
    if start[:4] == b"PK\x03\x04" or pickled:
        return "torch"
    what = "neither a safetensors file nor a torch file"
    if all(byte >= 32 or byte in b"\t\r\n" for byte in start):
        what = "a text file" if start else "empty"
    raise WeightsError(f"{path} is {what}. Expected the weights of a model, such as best.safetensors of a run folder.")


def read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header's texts, and the tensors as they are stored; where there is a checksum, it is theirs."""
    _check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            texts = file.metadata() or {}
            # copies: what is mapped would change, or crash the process, when the file does
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise WeightsError(f"{path} is damaged or cut short ({words_of(error)}). Download or copy it again.") from error
    if CHECKSUM_KEY in texts and texts[CHECKSUM_KEY] != checksum(texts, tensors):
        raise WeightsError(f"{path} is damaged: its checksum does not match. Download or copy it again.")
    return texts, tensors


def safetensors_bytes(texts: Mapping[str, str], tensors: Mapping[str, Tensor]) -> bytes:
    """The content of a safetensors file with these texts in its header, and the checksum beside them."""
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(stored, {**texts, CHECKSUM_KEY: checksum(texts, stored)})


CHECKSUM_KEY = "mobilevit_checksum"  # of the header's texts


def checksum(texts: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """Of all that a file says: its texts, then its tensors, each by name, in the order of the names.

    A tensor counts with its name, type and shape, not with its place in the file, which writers choose.
    """
    return blake2b(_content(texts, tensors))


def _content(texts: Mapping[str, str], tensors: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    for key, text in sorted(texts.items()):
        if key != CHECKSUM_KEY:
            yield json.dumps([key, text]).encode()
    for name, tensor in sorted(tensors.items()):
        yield json.dumps([name, str(tensor.dtype).removeprefix("torch."), list(tensor.shape)]).encode()
        yield tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data


def read_torch(path: Path) -> Any:
    """The content that `torch.save` wrote, with `weights_only=True`; a file that would run code is refused.

    So is one that would take more memory than the file has bytes.
    """
    try:
        pickles.check(path)
        # timm keeps its command line in the checkpoint: a namespace holds values and runs nothing
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch has to say about old files is not for the user
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickles.RefusedError as error:
        raise WeightsError(_refusal(path, str(error))) from error
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"asks for {found[1]}" if found else "torch did not write, or a damaged one"
        raise WeightsError(_refusal(path, reason)) from error
    # a damaged pickle fails in any way: a thousand damaged at random gave torch's assertions and system errors too
    except Exception as error:
        raise WeightsError(f"{path} is damaged or cut short ({_first_line(error)}). Download it again.") from error


def _start(path: Path) -> bytes:
    """The first bytes of a file that is there and not too large."""
    if path.suffix in EXPORTED and path.exists():
        raise WeightsError(_exported(path))
    try:
        if path.is_dir():
            models = sorted(path.glob("*.safetensors"))
            raise WeightsError(f"{path} is a folder, not a model file{_did_you_mean(models)}")
        if path.exists() and not path.is_file():
            raise WeightsError(f"{path} is not a regular file: give the path of a model file")
        if not path.is_file():
            near = difflib.get_close_matches(path.name, _siblings(path), n=2)
            raise WeightsError(f"model file not found: {path}{_did_you_mean([path.with_name(name) for name in near])}")
        with path.open("rb") as file:
            start = file.read(64)
        size_bytes = path.stat().st_size
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    if size_bytes > MAX_FILE_BYTES:
        raise WeightsError(
            f"{path} has {size_bytes:,} bytes, and is refused: a MobileViT needs at most {MAX_FILE_BYTES:,}"
        )
    return start


EXPORTED = {  # what ends so was written for another runtime, by us or by others; a test compares it with formats.table
    ".onnx": "ONNX",
    ".openvino": "OpenVINO",
    ".pte": "ExecuTorch",
    ".mlpackage": "Core ML",
    ".tflite": "LiteRT",
}


def _exported(path: Path) -> str:
    """What to do with a file that holds no weights which could be read back."""
    made_of = path.with_suffix(".safetensors")
    instead = f"{made_of}, which lies beside it" if made_of.is_file() else "such as best.safetensors of its run folder"
    return (
        f"{path} is an exported model ({EXPORTED[path.suffix]}), which predict, evaluate and benchmark take. Here give "
        f"the model file that it was exported from, {instead}."
    )


def _siblings(path: Path) -> list[str]:
    return [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []


def _did_you_mean(paths: list[Path]) -> str:
    return f": did you mean {' or '.join(map(str, paths[:3]))}?" if paths else ""


def _check_header(path: Path) -> None:
    """The header's length is the file's own claim: bound it, and its nesting, before anything is allocated for it."""
    with path.open("rb") as file:
        claimed_bytes = int.from_bytes(file.read(8), "little")
        if claimed_bytes > min(MAX_HEADER_BYTES, path.stat().st_size - 8):
            raise WeightsError(f"{path} claims a header of {claimed_bytes:,} bytes: it is cut short or damaged")
        header = file.read(claimed_bytes)
    try:
        json.loads(header)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} has a header that is not JSON: it is damaged ({words_of(error)})") from error


def _refusal(path: Path, reason: str) -> str:
    return (
        f"{path} is refused: it is a pickle that {reason}, and loading it could run any code or take any memory. "
        "Ask its publisher for a safetensors file, or, if you trust it, save only its tensors with the program that "
        'wrote it: torch.save(model.state_dict(), "weights.pt")'
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
