"""Names of classes and files that are no UTF-8, break lines or move the cursor: through every verb and every output."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilevit.cli import main

Capture = pytest.CaptureFixture[str]
CLASSES = {b"caf\xe9": "caf\\xe9", b"new\nline\x1b[31m": "new\\nline\\x1b[31m", "señal".encode(): "señal"}
FILES = {b"\xfc.png": "\\xfc.png", b"a\nb\x1b[2J.png": "a\\nb\\x1b[2J.png", "ñ.png".encode(): "ñ.png"}
SMALL = (
    "--model mobilevit_xxs --weights none --image-size 32 --sampler single --num-workers 0 --batch-size 4 --device cpu"
)


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("named")
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in CLASSES:
            folder = root / "data" / split / os.fsdecode(name)
            try:
                folder.mkdir(parents=True)
            except OSError:
                pytest.skip("this file system has names of UTF-8 alone")
            for file in FILES:
                Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(folder / os.fsdecode(file))
    return root


@pytest.fixture(scope="module")
def trained(named: Path) -> Path:
    """A run of a process whose locale knows ASCII alone."""
    command = [sys.executable, "-m", "mobilevit", "train", "data", *SMALL.split(), "--epochs", "1", "--name", "run"]
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"}
    done = subprocess.run(command, cwd=named, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
    return named / "runs" / "run"


def classes_of(rows: list[dict[str, str]], key: str) -> set[str]:
    return {row[key] for row in rows}


def test_check(named: Path, capsys: Capture) -> None:
    assert main(["check", str(named / "data"), "--json", "--output", str(named / "grid.png")]) == 0
    assert classes_of(json.loads(capsys.readouterr().out)["classes"], "name") == set(CLASSES.values())
    assert main(["check", str(named / "data")]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and all(name in shown for name in CLASSES.values())


def test_the_run_and_its_page(trained: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained.parents[1])
    page = (trained / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in (*CLASSES.values(), *FILES.values()))
    assert "\x1b" not in page
    rows = list(csv.reader(io.StringIO((trained / "confusion.csv").read_text(encoding="utf-8"))))
    assert {row[0] for row in rows[1:]} <= set(CLASSES.values())
    assert main(["train", "--resume", str(trained)]) == 0
    assert "all 1 epochs are done" in capsys.readouterr().err


def test_evaluate(trained: Path, named: Path, tmp_path: Path, capsys: Capture) -> None:
    """In a locale of UTF-8 the classes are the same as in one of ASCII."""
    arguments = ["evaluate", str(trained / "best.safetensors"), str(named / "data"), "--num-workers", "0"]
    assert main([*arguments, "--json", "--output", str(tmp_path)]) == 0
    assert classes_of(json.loads(capsys.readouterr().out)["scores"]["classes"], "name") <= set(CLASSES.values())
    assert json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))["images"] == 9


@pytest.mark.parametrize("form", ["--json", "--csv", ""])
def test_predict(form: str, trained: Path, named: Path, capsys: Capture) -> None:
    images = named / "data" / "val" / os.fsdecode(b"caf\xe9")
    arguments = ["predict", str(trained / "best.safetensors"), str(images), str(images / "missing\x1b[31m\n.png")]
    assert main([*arguments, *([form] if form else [])]) == 1
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert "missing\\x1b[31m\\n.png: no file matches this pattern" in shown.err.splitlines()[0]
    if form == "--json":
        sources = [entry["source"] for entry in json.loads(shown.out) if "error" not in entry]
        wanted = {"\\xfc.png", "a\nb\x1b[2J.png", "ñ.png"}
        assert {Path(source).name for source in sources} == wanted, "what JSON can hold is said as it is"
    elif form == "--csv":
        sources = [row["source"] for row in csv.DictReader(io.StringIO(shown.out))]
        assert {Path(source).name for source in sources} == set(FILES.values())
    else:
        assert all(name in shown.out for name in FILES.values())


def test_json_is_json_in_a_terminal_of_ascii(trained: Path) -> None:
    command = [sys.executable, "-m", "mobilevit", "info", str(trained / "best.safetensors"), "--json"]
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert "señal" in str(json.loads(done.stdout)), done.stderr


def test_words_between_colons_stay(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are no emoji, neither in a table nor in a message."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 40)).save("a:x:.png")
    assert main(["predict", "imagenette", "a:x:.png", "camera:x:", "--device", "cpu"]) == 1
    shown = capsys.readouterr()
    assert "a:x:.png" in shown.out
    assert "camera:x: does not exist" in shown.err
