"""Each command doing its work: what it prints for people and for machines, and what it writes."""

import csv
import dataclasses
import inspect
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image

import mobilevit
from mobilevit.cli import console, main
from mobilevit.cli.check import CheckOptions
from mobilevit.cli.convert import ConvertOptions
from mobilevit.cli.evaluate import EvaluateOptions
from mobilevit.cli.explain import ExplainOptions
from mobilevit.cli.predict import PredictOptions

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("options", "verb"),
    [
        (CheckOptions, mobilevit.check),
        (ConvertOptions, mobilevit.convert),
        (EvaluateOptions, mobilevit.evaluate),
        (ExplainOptions, mobilevit.explain),
        (PredictOptions, mobilevit.predict),
    ],
)
def test_a_flag_and_its_python_parameter_have_one_default(options: Any, verb: Callable[..., Any]) -> None:
    parameters = inspect.signature(verb).parameters
    shared = [field for field in dataclasses.fields(options) if field.name in parameters]
    assert shared
    for field in shared:
        if parameters[field.name].default is not inspect.Parameter.empty:
            assert field.default == parameters[field.name].default, field.name


def test_check(data: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["check", str(data), "--output", str(tmp_path / "grid.png")]) == 0
    assert "[bold]cat" in capsys.readouterr().out
    assert Image.open(tmp_path / "grid.png").width > 100


@pytest.mark.parametrize(
    "verb", ["evaluate", *(pytest.param(verb, marks=pytest.mark.system) for verb in ("check", "predict", "explain"))]
)
def test_the_backend_of_a_notebook_stops_no_command(verb: str, model: Path, data: Path, tmp_path: Path) -> None:
    images = str(data / "val" / "dog" / "0.png")
    arguments = {
        "check": [data, "--output", tmp_path / "grid.png"],
        "evaluate": [model, data, "--num-workers", "0", "--output", tmp_path],
        "predict": [model, images, "--output", tmp_path],
        "explain": [model, images, "--output", tmp_path / "why.png"],
    }
    command = [sys.executable, "-m", "mobilevit", verb, *map(str, arguments[verb])]
    environment = {**os.environ, "MPLBACKEND": "module://backend_of_a_notebook"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert list(tmp_path.iterdir())


def test_check_for_machines(data: Path, capsys: Capture) -> None:
    assert main(["check", str(data), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == {"train": 8, "val": 8}


def test_a_check_that_finds_errors_fails(data: Path, tmp_path: Path, capsys: Capture) -> None:
    for image in (data / "train").rglob("*.png"):
        copy = tmp_path / image.relative_to(data)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(image.read_bytes())
    (tmp_path / "train" / "dog" / "0.png").write_text("no image")
    assert main(["check", str(tmp_path)]) == 1
    assert "error:" in capsys.readouterr().out


def test_evaluate(model: Path, data: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["evaluate", str(model), str(data), "--num-workers", "0", "--output", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "[bold]cat" in shown and "top1" in shown and "a second" in shown
    assert {"evaluation.json", "confusion.csv", "confusion.png", "reliability.png"} <= {
        p.name for p in tmp_path.iterdir()
    }


def test_evaluate_says_which_images_it_took_and_leaves_out_broken_ones(
    model: Path, data: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = shutil.copytree(data / "train", tmp_path / "pets")
    assert main(["evaluate", str(model), str(folder), "--num-workers", "0"]) == 0
    assert "held out by name and seed; --split all takes every image" in capsys.readouterr().err
    (folder / "dog" / "0.png").write_text("no image")
    whole = ["evaluate", str(model), str(folder), "--num-workers", "0", "--split", "all"]
    assert main(whole) == 1
    assert "0.png" in capsys.readouterr().err
    assert main([*whole, "--skip-broken"]) == 0
    shown = capsys.readouterr()
    assert "7 images" in shown.out and "skipped 1 image" in shown.err


def test_evaluate_for_machines(model: Path, data: Path, capsys: Capture) -> None:
    assert main(["evaluate", str(model), str(data), "--num-workers", "0", "--json", "--split", "all"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["images"] == 16
    assert {"top1", "ece"} <= said["scores"].keys()


def test_predict_is_a_table_without_colors_or_cuts(model: Path, images: list[str], capsys: Capture) -> None:
    assert main(["predict", str(model), *images]) == 0
    shown = capsys.readouterr()
    assert all(image in shown.out for image in images)
    assert "[bold]cat" in shown.out
    assert "\x1b" not in shown.out + shown.err
    assert shown.err == ""


def test_predict_goes_on_after_a_broken_image(model: Path, images: list[str], broken: str, capsys: Capture) -> None:
    assert main(["predict", str(model), images[0], broken, images[1]]) == 1
    shown = capsys.readouterr()
    assert images[0] in shown.out and images[1] in shown.out
    assert f"error: {broken}" in shown.err
    assert "1 of 3 images could not be read" in shown.err


def test_predict_goes_on_after_names_that_no_file_can_have(model: Path, tmp_path: Path, capsys: Capture) -> None:
    """The longest names that a file may have are written to as well."""
    longest = [tmp_path / f"{'x' * 251}.png", tmp_path / f"{'猫' * 83}.png"]
    for path in longest:
        Image.new("RGB", (40, 40)).save(path)
    (tmp_path / "ring.png").symlink_to("ring.png")
    names = [str(tmp_path / "ring.png"), "y" * 300, "~nobody-of-this-name.png", *map(str, longest)]
    assert main(["predict", str(model), *names, "--output", str(tmp_path / "drawn"), "--json"]) == 1
    said = capsys.readouterr()
    assert [("error" in entry) for entry in json.loads(said.out)] == [True] * 3 + [False] * 2
    assert said.err.count("error: ") == 3
    assert len(list((tmp_path / "drawn").iterdir())) == 2


def test_predict_json(model: Path, images: list[str], broken: str, capsys: Capture) -> None:
    assert main(["predict", str(model), *images, broken, "--json", "--top-k", "2"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert [entry["source"] for entry in said] == [*images, broken]
    assert sum(guess["score"] for guess in said[0]["top"]) == pytest.approx(1, abs=1e-5)
    assert "error" in said[-1]


def test_predict_json_of_nothing_but_broken_images(model: Path, broken: str, capsys: Capture) -> None:
    assert main(["predict", str(model), broken, "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)) == 1


def test_predict_csv(model: Path, images: list[str], capsys: Capture) -> None:
    assert main(["predict", str(model), *images, "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["source"] for row in rows] == images
    assert {row["class_name"] for row in rows} <= {"[bold]cat", "dog"}


@pytest.mark.parametrize(
    ("model", "heading"),
    [
        ("mobilevit_xxs", "source,width,height,class_name,class_id,score,class_name_2,class_id_2,score_2"),
        ("ssdlite_mobilevit_xxs", "source,width,height,class_name,class_id,score,x_min,y_min,x_max,y_max"),
        ("deeplabv3_mobilevit_xxs", "source,width,height,class_name,class_id,pixels,fraction"),
    ],
)
def test_predict_csv_has_its_heading_whatever_is_found(
    model: str, heading: str, made: Callable[[str], Path], images: list[str], broken: str, capsys: Capture
) -> None:
    """Of a broken image there is no line; nor of one without objects, since no score is above 1."""
    path = made(model)
    assert main(["predict", str(path), broken, "--csv"]) == 1
    assert capsys.readouterr().out == f"{heading}\n"
    least = [] if model.startswith("deeplab") else ["--score-threshold", "1"]
    assert main(["predict", str(path), images[0], "--csv", *least]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == heading and bool(lines) == (not model.startswith("ssdlite"))
    assert {len(line.split(",")) for line in lines} <= {len(heading.split(","))}


def test_predict_saves_drawn_images_under_names_of_their_own(model: Path, images: list[str], tmp_path: Path) -> None:
    target = tmp_path / "drawn"
    assert main(["predict", str(model), *images, "--output", str(target)]) == 0
    names = sorted(path.name for path in target.iterdir())
    assert names == sorted([*(f"{n}.jpg" for n in range(4)), *(f"{n}-2.jpg" for n in range(4))])
    assert all(Image.open(path).format == "JPEG" for path in target.iterdir())


def test_predict_writes_over_nobodys_images(model: Path, images: list[str], tmp_path: Path) -> None:
    photo = tmp_path / "0.jpg"
    Image.open(images[0]).save(photo)
    before = photo.read_bytes()
    for _ in range(2):
        assert main(["predict", str(model), str(photo), "--output", str(tmp_path)]) == 0
    assert photo.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"0.jpg", "0-2.jpg", "0-3.jpg"}


def test_explain_writes_over_nobodys_images(
    model: Path, images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    photo = tmp_path / "0.png"
    photo.write_bytes(Path(images[0]).read_bytes())
    assert main(["explain", str(model), str(photo), "--output", str(photo)]) == 2
    assert "is the input image" in capsys.readouterr().err
    assert photo.read_bytes() == Path(images[0]).read_bytes()
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["explain", str(model), str(photo)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"0.png", "0-explained.png", "0-explained-2.png"}


def test_options_may_stand_before_the_images(model: Path, images: list[str], capsys: Capture) -> None:
    said = []
    for arguments in (
        [str(model), *images, "--json", "--top-k", "1"],
        [str(model), "--json", "--top-k", "1", *images],
        ["--top-k=1", str(model), images[0], "--json", *images[1:]],
        ["--top-k=1", "--json", str(model), "--", *images],
    ):
        assert main(["predict", *arguments]) == 0
        said.append(capsys.readouterr().out)
    assert len(set(said)) == 1


def test_the_table_has_as_many_classes_as_were_asked_for(model: Path, images: list[str], capsys: Capture) -> None:
    assert main(["predict", str(model), images[0], "--top-k", "1"]) == 0
    assert "then" not in capsys.readouterr().out
    assert main(["predict", str(model), images[0], "--top-k", "2"]) == 0
    shown = capsys.readouterr().out
    assert "[bold]cat" in shown and "dog" in shown


def test_predict_takes_folders_patterns_and_standard_input(
    model: Path, data: Path, images: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(Path(images[0]).read_bytes())))
    arguments = ["predict", str(model), str(data / "val"), str(data / "**/0.png"), "-", "--json"]
    assert main(arguments) == 0
    assert len(json.loads(capsys.readouterr().out)) == 8 + 4 + 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain", "imagenette", "PHOTO"],  # which needs all that predict does
        pytest.param(["check", "DATA", "--output", "sheet.png"], marks=pytest.mark.system),
        pytest.param(["predict", "imagenette", "PHOTO"], marks=pytest.mark.system),
    ],
)
def test_folders_for_caches_that_cannot_be_made(
    arguments: list[str], data: Path, images: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()  # a folder in a file can be made by nobody, not even by root
    names = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MOBILEVIT_CACHE", "HF_HOME", "MPLCONFIGDIR", "TORCH_HOME")
    environment = {**os.environ, **{name: str(tmp_path / "file" / name.lower()) for name in names}}
    given = [{"PHOTO": images[0], "DATA": str(data)}.get(argument, argument) for argument in arguments]
    command = [sys.executable, "-m", "mobilevit", *given]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert [line for line in done.stderr.splitlines() if not line.startswith("wrote ")] == []
    assert not (tmp_path / "file").read_bytes()


def test_explain(model: Path, images: list[str], tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "why.png"
    assert main(["explain", str(model), images[0], "--output", str(target), "--class-name", "dog"]) == 0
    shown = capsys.readouterr().out
    assert images[0] in shown and "speaks for dog" in shown
    assert "Predicted: " in shown
    assert Image.open(target).width > 100


def test_a_name_that_no_image_can_have_costs_no_time(capsys: Capture) -> None:
    assert main(["explain", "no-model", "no-image", "--output", "why.txt"]) == 1
    assert "end in .png" in capsys.readouterr().err


def test_info_lists_the_models(capsys: Capture) -> None:
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in mobilevit.list_models())


def test_info_of_a_file(model: Path, capsys: Capture) -> None:
    assert main(["info", str(model), "--image-size", "64"]) == 0
    assert "mobilevit_xxs" in capsys.readouterr().out


def test_convert(model: Path, images: list[str], tmp_path: Path, capsys: Capture) -> None:
    main(["predict", str(model), images[0], "--json"])
    before = json.loads(capsys.readouterr().out)
    target = tmp_path / "timm.safetensors"
    assert main(["convert", str(model), str(target), "--layout", "timm"]) == 0
    assert f"wrote {target}" in capsys.readouterr().err
    main(["predict", str(target), images[0], "--json"])
    after = json.loads(capsys.readouterr().out)
    assert [guess["class_id"] for guess in after[0]["top"]] == [guess["class_id"] for guess in before[0]["top"]]


def test_letters_that_the_font_lacks_are_no_news_for_the_terminal() -> None:
    with warnings.catch_warnings(record=True) as caught:
        console.show_log()
        figure = Figure()
        figure.text(0.5, 0.5, "鹿")
        figure.savefig(io.BytesIO(), format="png")
    assert caught == []
