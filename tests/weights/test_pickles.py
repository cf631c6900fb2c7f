"""torch files that claim more than they hold: refused by reading, before anything is allocated."""

import argparse
import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mobilevit.errors import WeightsError
from mobilevit.weights import containers, pickles

HUGE = 3 * 2**30


def archive(path: Path, program: bytes, storages: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """A torch file as a zip, with any pickle in it."""
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("archive/data.pkl", program)
        file.writestr("archive/byteorder", "little")
        for key, content in storages.items():
            file.writestr(f"archive/data/{key}", content)
        file.writestr("archive/version", "3\n")
    return path


def older(path: Path, program: bytes) -> Path:
    """A torch file as before torch 1.6."""
    start = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    path.write_bytes(b"".join([*start, program, pickle.dumps([], 2)]))
    return path


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def storage(count: int, key: str = "0", kind: str = "FloatStorage", more: bytes = b"") -> bytes:
    """The operations that put a storage on the stack."""
    return (
        b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + number(count) + more + b"tQ"
    )


def tensor(inner: bytes, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    numbers = [b"(" + b"".join(map(number, values)) + b"t" for values in (size, stride)]
    empty = b"ccollections\nOrderedDict\n)R"
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n("
    return rebuild + inner + number(0) + b"".join(numbers) + b"\x89" + empty + b"tR"


def program(*values: bytes) -> bytes:
    """A dict with these values."""
    entries = b"".join(text(str(place)) + value for place, value in enumerate(values))
    return b"\x80\x02}(" + entries + b"u."


def twice(path: Path) -> Path:
    """An older file that ends as a zip file: torch goes by the first bytes."""
    ending = archive(path, program(tensor(storage(2), (2,), (1,))), {"0": bytes(8)}).read_bytes()
    bomb = older(path, program(storage(HUGE, more=b"N"))).read_bytes()
    path.write_bytes(bomb + ending)
    return path


BOMBS: dict[str, Callable[[Path], Path]] = {
    "older storage": lambda path: older(path, program(storage(HUGE, more=b"N"))),
    "older tensor": lambda path: older(path, program(tensor(storage(1, more=b"N"), (HUGE,), (1,)))),
    "older storages": lambda path: older(path, program(*(storage(60, str(key), more=b"N") for key in range(900)))),
    "storage": lambda path: archive(path, program(storage(HUGE)), {"0": bytes(8)}),
    "no storage": lambda path: archive(path, program(storage(4, "1")), {"0": bytes(8)}),
    "tensor": lambda path: archive(path, program(tensor(storage(2), (HUGE,), (1,))), {"0": bytes(8)}),
    "class of storage": lambda path: archive(path, program(b"ctorch\nFloatStorage\n" + number(HUGE) + b"\x85R"), {}),
    "class of tensor": lambda path: archive(path, program(b"ctorch\nTensor\n" + number(HUGE) + b"\x85R"), {}),
    "bytes": lambda path: archive(path, program(b"c__builtin__\nbytearray\n" + number(HUGE) + b"\x85R"), {}),
    "two in one": lambda path: twice(path),
    "two cases of a name": lambda path: archive(path, program(), {"0": bytes(8), "0.PKL": b"", "0.pkl": b""}),
    "hidden": lambda path: archive(
        path, program(number(HUGE) + b"q\x010(" + storage(1)[1:-7] + b"h\x01tQ"), {"0": bytes(8)}
    ),
    "compressed": lambda path: archive(path, program(storage(2**20)), {"0": bytes(2**22)}, zipfile.ZIP_DEFLATED),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_what_claims_more_than_it_holds_is_refused_unloaded(
    bomb: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was loaded"))
    path = bomb(tmp_path / "bomb.pt")
    with pytest.raises(WeightsError, match=r"bomb\.pt is refused: it is a pickle that .*safetensors"):
        containers.read_torch(path)


def test_the_made_files_would_load_without_their_claims(tmp_path: Path) -> None:
    honest = program(tensor(storage(2), (2, 1), (1, 1)))
    found = containers.read_torch(archive(tmp_path / "good.pt", honest, {"0": struct.pack("<2f", 3, 4)}))
    assert found["0"].tolist() == [[3], [4]]


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_writes_is_read(tmp_path: Path, zipped: bool) -> None:
    """With all that training programs keep beside the weights."""
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    whole = torch.arange(12.0)
    content: dict[str, Any] = {
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "args": argparse.Namespace(lr=0.1, sizes=(1, 2)),
        "epoch": 3,
        "best": 0.5,
        "parameter": nn.Parameter(torch.ones(2)),
        "views": [whole[2:5], whole.reshape(3, 4).T, torch.ones(1).expand(5), torch.ones(0, 3)],
        "types": [torch.ones(2, dtype=dtype) for dtype in (torch.float16, torch.bfloat16, torch.int64, torch.bool)],
        "names": OrderedDict(a={1, 2}, b=torch.Size([1]), c=torch.device("cpu"), d=torch.float32),
    }
    path = tmp_path / "run.pt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    found = containers.read_torch(path)
    assert found["args"].sizes == (1, 2) and found["names"]["b"] == torch.Size([1])
    assert found["views"][1].equal(whole.reshape(3, 4).T)
    assert found["optimizer"]["state"][0]["exp_avg"].equal(optimizer.state_dict()["state"][0]["exp_avg"])


def test_a_flipped_bit_in_a_tensor_is_damage(tmp_path: Path, filled: Callable[..., dict[str, Tensor]]) -> None:
    buffer = io.BytesIO()
    torch.save(filled(layout="cvnets", num_classes=2), buffer)
    content = bytearray(buffer.getvalue())
    content[len(content) // 2] ^= 1
    path = tmp_path / "flipped.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"flipped\.pt is damaged .*checksum"):
        containers.read_torch(path)


def test_pickles_beyond_torchs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    path.write_bytes(pickle.dumps(bytearray(10**5), 5))
    with pytest.raises(pickles.RefusedError, match="torch did not write"):
        pickles.check(path)
