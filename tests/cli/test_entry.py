"""What every command has in common: the table, exit codes, errors without tracebacks."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from mobilevit.cli import main
from mobilevit.cli.entry import COMMANDS


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "mobilevit", *arguments]


def test_the_table_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for verb, (_, line) in COMMANDS.items():
        assert any(shown.split() == [verb, *line.split()] for shown in lines)
    assert max(map(len, lines)) <= 100


def test_the_table_needs_no_heavy_import() -> None:
    heavy = {"torch", "numpy", "PIL", "tyro", "matplotlib", "huggingface_hub"}
    program = f"import sys; from mobilevit.cli import main; main(['--help']); print({heavy} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "set()"


def test_a_name_that_the_terminal_cannot_show(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    told = subprocess.run(
        [sys.executable, "-m", "mobilevit", "check", str(tmp_path / "猫")],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("error: ") and "\\u732b" in told.stderr


def test_no_command_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: mobilevit" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("mobilevit ")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["trian"], 2, "did you mean train?"),
        (["evaluate", "--splt", "val"], 2, "--split"),
        (["train"], 2, "DATA"),
        (["train", "{tmp}/nowhere"], 1, "nowhere"),
        (["train", "{tmp}", "--epochs", "many"], 2, "--epochs"),
        (["train", "{tmp}", "--epochs", "0"], 2, "epochs"),
        (["train", "{tmp}", "--device", "tpu"], 2, "invalid choice"),
        (["train", "{tmp}", "--recipe", "papre"], 2, "paper"),
        (["train", "{tmp}", "--recipe"], 2, "--recipe"),
        (["train", "--resume", "{tmp}"], 1, "not a run folder"),
        (["train", "--resume", "{tmp}", "--epochs", "3"], 1, "not a run folder"),
        (["train", "--resume", "{tmp}", "--lr", "1e-4"], 2, "remove --lr 1e-4"),
        (["train", "{tmp}", "--name", "../elsewhere"], 2, "name without folders"),
        (["train", "{tmp}", "--image-size", "10000"], 2, "between 32 and 4096"),
        (["train", "{data}", "--sync-norm", "--weights", "none", "--device", "cpu"], 2, "on cpu"),
        (["check", "{tmp}/nowhere"], 1, "nowhere"),
        (["check", "{tmp}"], 1, "{tmp}"),
        (["check", "{data}", "--output", "{tmp}/no/such/folder.png"], 1, "folder.png"),
        (["check", "{data}", "--output", "{tmp}/sheet.txt"], 1, "sheet.txt: the file name must end in .png"),
        (["check", "{data}", "--val-fraction", "1"], 2, "between 0 and 1"),
        (["find-lr", "{data}", "--output", "{tmp}/rate.txt"], 1, "end in .png"),
        (["evaluate", "{tmp}/none.safetensors", "{data}"], 1, "none.safetensors"),
        (["evaluate", "{model}", "{data}", "--split", "tests"], 1, "train, val"),
        (["evaluate", "{model}", "{data}", "--output", "{model}/file"], 1, "cannot create the folder"),
        (["predict", "{model}"], 2, "no images"),
        (["predict", "{model}", "{tmp}"], 1, "{tmp}"),
        (["predict", "{model}", "x.png", "--json", "--csv"], 2, "cannot be combined"),
        (["predict", "{model}", "x.png", "--format", "mask"], 2, "give it as --output"),
        (["predict", "{model}", "x.png", "--output", "{tmp}/out", "--format", "jsnol"], 2, "did you mean jsonl"),
        (["predict", "{model}", "x.mp4", "--every", "0"], 2, "--every is 0"),
        (["predict", "{model}", "x.jpg", "--every", "-2"], 2, "--every is -2"),
        (["predict", "{model}", "x.png", "--top-k", "0"], 2, "top-k"),
        (["explain", "{model}", "{tmp}/none.png"], 1, "none.png"),
        (["explain", "{model}", "{image}", "--class-name", "dgo"], 2, "dog"),
        (["explain", "{model}", "{image}", "--pixel", "2", "0"], 2, "pixel"),
        (["info", "mobilevit_xxl"], 2, "mobilevit_xs"),
        (["convert", "{tmp}/none.pt", "{tmp}/out.safetensors"], 1, "none.pt"),
        (["convert", "{model}", "{tmp}/out.pt", "--layout", "timn"], 2, "invalid choice"),
        (["find-lr", "{tmp}/nowhere"], 1, "nowhere"),
        (["demo", "--output", "{model}/file"], 1, "cannot create the folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_are_one_line_and_a_code(
    arguments: list[str],
    code: int,
    said: str,
    model: Path,
    data: Path,
    images: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"model": model, "data": data, "tmp": tmp_path, "image": images[0]}
    assert main([argument.format(**places) for argument in arguments]) == code
    shown = capsys.readouterr()
    assert said.format(**places) in shown.out + shown.err
    assert "Traceback" not in shown.err
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def greedy(_: list[str]) -> int:
        import torch

        return torch.empty(2**60).ndim

    monkeypatch.setattr("mobilevit.cli.info.run", greedy)
    assert main(["info"]) == 1
    assert "out of memory" in capsys.readouterr().err


def test_debug_shows_where_it_came_from(tmp_path: Path) -> None:
    from mobilevit.errors import DataError

    with pytest.raises(DataError):
        main(["check", str(tmp_path), "--debug"])


def test_a_reader_that_has_enough_is_no_error(data: Path) -> None:
    check = subprocess.Popen(command("check", str(data), "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert check.stdout is not None and check.stderr is not None
    check.stdout.close()
    assert check.stderr.read() == b""
    check.stderr.close()
    assert check.wait() == 0


def test_an_interruption_is_no_traceback(model: Path) -> None:
    waiting = subprocess.Popen(
        command("predict", str(model), "-"),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # shells let what runs behind them ignore it
    )
    assert waiting.stdin is not None
    waiting.stdin.write(bytes(1 << 17))  # more than a pipe holds: comes back when the other side has begun to read
    waiting.stdin.flush()
    waiting.send_signal(signal.SIGINT)
    _, said = waiting.communicate(timeout=30)
    assert b"Traceback" not in said
    assert waiting.returncode == 130


CLOSED = ("<&-", ">&-", "2>&-")


@pytest.mark.skipif(os.name == "nt", reason="a shell closes streams")
@pytest.mark.parametrize("closed", [*(pytest.param(one, marks=pytest.mark.system) for one in CLOSED), " ".join(CLOSED)])
def test_closed_streams_stop_nothing_and_nothing_is_written_into_files(closed: str, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(3):
            Image.effect_noise((40, 40), 50).save(tmp_path / "pets" / name / f"{number}.png")
    script = f'"{sys.executable}" -m mobilevit check pets --json --output sheet.png {closed}'
    told = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert "Traceback" not in told.stderr
    assert told.returncode == 0, told.stderr
    assert bool(told.stdout) is (">&-" not in closed.replace("2>&-", ""))
    assert Image.open(tmp_path / "sheet.png").size[0] > 0


def test_a_user_without_a_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(Path, "home", nobody)  # a user whom no list of users has cannot be made here
    monkeypatch.chdir(tmp_path)
    assert main(["info", "mobilevit_xxs"]) == 0
    assert "HOME" not in os.environ
    assert not list(tmp_path.iterdir())
