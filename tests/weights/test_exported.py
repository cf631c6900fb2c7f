"""An exported model where a model file is wanted: every command says what it is, and what to give in its place."""

from pathlib import Path

import pytest

from mobilevit.cli import main
from mobilevit.errors import UsageError, WeightsError
from mobilevit.formats.table import FORMATS
from mobilevit.runtimes import chosen
from mobilevit.weights.containers import EXPORTED, kind

COMMANDS = {
    "info": ["info", "MODEL"],
    "explain": ["explain", "MODEL", "IMAGE"],
    "export": ["export", "MODEL"],
    "quantize": ["quantize", "MODEL", "--calibrate", "DATA", "--evaluate", "DATA"],
    "convert": ["convert", "MODEL", "OUT.safetensors"],
    "train": ["train", "DATA", "--weights", "MODEL", "--output", "RUNS"],
    "find-lr": ["find-lr", "DATA", "--weights", "MODEL"],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of two images each, in train and val."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("data")
    for split in ("train", "val"):
        for index, name in enumerate(("cat", "dog")):
            (folder / split / name).mkdir(parents=True)
            for number in range(2):
                color = (90 * index, 60 * number, 100 if split == "val" else 0)
                Image.new("RGB", (64, 64), color).save(folder / split / name / f"{number}.png")
    return folder


def test_the_endings_are_those_of_the_formats() -> None:
    assert {row.suffix: row.title for row in FORMATS.values()} == EXPORTED


@pytest.mark.parametrize("suffix", EXPORTED)
@pytest.mark.parametrize("is_folder", [False, True])
def test_it_is_called_what_it_is(suffix: str, is_folder: bool, tmp_path: Path) -> None:
    path = tmp_path / f"best{suffix}"
    path.mkdir() if is_folder else path.write_bytes(b"\x80whatever")
    with pytest.raises(WeightsError, match=r"is an exported model \(.*such as best\.safetensors of its run folder"):
        kind(path)
    (tmp_path / "best.safetensors").touch()
    with pytest.raises(WeightsError, match=r"/best\.safetensors, which lies beside it\.$"):
        kind(path)


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_command_says_so(verb: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "best.onnx"
    model.write_bytes(b"\x08\x08")
    places = {"MODEL": model, "DATA": data, "IMAGE": data / "val" / "cat" / "0.png", "RUNS": tmp_path / "runs"}
    places["OUT.safetensors"] = tmp_path / "out.safetensors"
    assert main([str(places.get(word, word)) for word in COMMANDS[verb]]) == 1
    said = capsys.readouterr().err
    assert f"error: {model} is an exported model (ONNX), which predict, evaluate and benchmark take." in said
    assert list(tmp_path.iterdir()) == [model], "and leaves nothing"


def test_one_that_is_not_there_is_a_file_and_no_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tmp_path / "best.onnx")]) == 1
    assert "model file not found" in capsys.readouterr().err


def test_it_has_no_other_runtime(tmp_path: Path) -> None:
    model = tmp_path / "best.onnx"
    model.touch()
    with pytest.raises(UsageError, match="is an exported model, and no OpenVINO file lies beside it"):
        chosen(model, "openvino")
    (tmp_path / "best.openvino").mkdir()
    assert chosen(model, "openvino") == tmp_path / "best.openvino"
    assert chosen(tmp_path / "best.openvino", "onnx") == model
