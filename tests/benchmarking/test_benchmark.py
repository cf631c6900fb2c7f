"""Timing every runtime in turns, and choosing the fastest by what was found."""

import json
import shutil
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from mobilevit import runtimes
from mobilevit.benchmarking.benchmark import Benchmark, RuntimeTiming, benchmark
from mobilevit.benchmarking.chart import chart
from mobilevit.cli import main
from mobilevit.errors import MobileViTError, UsageError
from mobilevit.exporting.export import export
from mobilevit.formats.table import FORMATS
from mobilevit.runners import runner_for
from mobilevit.runtimes import (
    Ranking,
    chosen,
    exported_beside,
    faster_beside,
    ranking_path,
    read_ranking,
    this_machine,
    write_ranking,
)
from mobilevit.spec import at_size
from mobilevit.weights import model_file
from mobilevit.weights.creating import load, spec_of

pytest.importorskip("onnxruntime", reason='needs the extra "export"')
pytest.importorskip("onnxscript", reason='needs the extra "export"')


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classifier with an ONNX file beside it."""
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    model = load("imagenette")
    model_file.save(path, model.state_dict(), at_size(spec_of(model), 64))
    export(path, ["onnx"])
    return path


def test_every_runtime_has_its_row(model: Path) -> None:
    told: list[tuple[int, int]] = []
    found = benchmark(model, threads=[1], runs=6, batch_sizes=[1, 3], progress=lambda *done: told.append(done))
    assert [(row.runtime, row.threads) for row in found.rows] == [("torch", 1), ("onnx", 1)]
    assert told == [(1, 2), (2, 2)]
    assert found.image_size == 64
    for row in found.rows:
        assert 0 < row.median_ms <= row.p90_ms <= row.p99_ms
        assert row.images_per_second[1] == pytest.approx(1000 / row.median_ms)
        assert row.load_ms > 0
        assert row.peak_mib > 50
        assert row.file_mib == pytest.approx(Path(row.path).stat().st_size / 2**20)


def test_a_file_that_cannot_be_opened_is_named(model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "small.onnx"
    shutil.copy(model.with_suffix(".onnx"), broken)
    shutil.copy(model.with_suffix(".onnx.json"), tmp_path / "small.onnx.json")
    broken.write_bytes(b"")
    with pytest.raises(MobileViTError, match=r"small\.onnx is not what its manifest was written for"):
        benchmark(model, [broken], threads=[1], runs=1)


@pytest.mark.parametrize(("system", "times"), [("another", False), (sys.platform, True)])
def test_a_file_is_timed_where_its_runtime_is(
    model: Path, system: str, times: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Core ML's files are evaluated on Linux, and not run: nobody is told how fast that is."""
    monkeypatch.setitem(FORMATS, "onnx", replace(FORMATS["onnx"], system=system))
    found = benchmark(model, threads=[1], runs=1, batch_sizes=[1])
    assert [row.runtime for row in found.rows] == (["torch", "onnx"] if times else ["torch"])
    if not times:
        with pytest.raises(UsageError, match=r"small\.onnx cannot be timed here: ONNX runs on another alone"):
            benchmark(model, [model.with_suffix(".onnx")], threads=[1], runs=1)


@pytest.mark.parametrize("options", [{"runs": 0}, {"threads": [0]}, {"batch_sizes": []}, {"batch_sizes": [0]}])
def test_what_cannot_be_meant(model: Path, options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="whole numbers from 1 up"):
        benchmark(model, **options)  # type: ignore[arg-type]


def row(runtime: str, threads: int, median_ms: float) -> RuntimeTiming:
    return RuntimeTiming(
        runtime, "fp32", threads, median_ms, median_ms * 1.1, median_ms * 2, {1: 1000 / median_ms}, 5, 90, 5, "a.x"
    )


def made(*rows: RuntimeTiming) -> Benchmark:
    return Benchmark("a.safetensors", 64, 10, this_machine() | {"cores": "2"}, rows)


def test_the_recommendation_compares_at_the_same_threads() -> None:
    rows = row("torch", 1, 40), row("onnx", 1, 21), row("torch", 2, 30), row("onnx", 2, 20)
    assert made(*rows).recommendation == ("Run a.x with 2 threads: 20.0 ms an image, 1.50 times as fast as PyTorch.")
    assert made(*rows).ranking() == Ranking(this_machine(), {"torch": 30, "onnx": 20})
    assert made(row("torch", 1, 40), row("onnx", 1, 41)).recommendation.startswith("Stay with PyTorch")


def test_the_chart_has_a_bar_for_each() -> None:
    figure = chart(made(row("torch", 1, 40), row("onnx", 1, 21)))
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["PyTorch fp32, 1 thread", "ONNX fp32, 1 thread"]
    assert [bar.get_width() for bar in axes.patches] == [40, 21]


def test_auto_takes_the_fastest_of_this_machine(model: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.safetensors"
    for suffix in (".safetensors", ".onnx", ".onnx.json"):
        shutil.copy(model.with_suffix(suffix), mine.with_suffix(suffix))
    assert exported_beside(mine) == {"onnx": mine.with_suffix(".onnx")}
    assert chosen(mine, "auto") is None, "nothing was measured yet"
    write_ranking(mine, Ranking(this_machine(), {"torch": 30.0, "onnx": 20.0, "litert": 10.0}))
    assert chosen(mine, "auto") is None, "the fastest is gone: PyTorch"
    write_ranking(mine, Ranking(this_machine(), {"torch": 30.0, "onnx": 20.0}))
    assert chosen(mine, "auto") == mine.with_suffix(".onnx")
    write_ranking(mine, Ranking({"node": "another"}, {"torch": 30.0, "onnx": 20.0}))
    assert chosen(mine, "auto") is None, "measured elsewhere"
    ranking_path(mine).write_text("{")
    assert read_ranking(mine) is None
    assert chosen(mine, "torch") is None


def test_a_runtime_by_name(model: Path) -> None:
    assert runner_for(model, runtime="onnx").runtime.startswith("onnxruntime")  # type: ignore[attr-defined]
    with pytest.raises(
        UsageError, match=r"has no LiteRT file beside it: `mobilevit export .* --format litert` makes it"
    ):
        chosen(model, "litert")
    with pytest.raises(UsageError, match="did you mean onnx"):
        chosen(model, "onx")
    assert chosen("imagenette", "auto") is None


@pytest.mark.parametrize("name", ["imagenette", "mobilevit_xxs", "xx_small"])
def test_no_file_lies_beside_a_name(name: str) -> None:
    """The advice must not lead back to the same error."""
    with pytest.raises(UsageError, match=rf"export {name} --format onnx` writes mobilevit_xxs\.onnx; give that file"):
        chosen(name, "onnx")


def test_a_faster_file_beside_the_model_is_told_of(tmp_path: Path) -> None:
    model = tmp_path / "best.safetensors"
    assert faster_beside(model) is None, "there is no model"
    model.touch()
    assert faster_beside(model) is None
    assert faster_beside("imagenette") is None
    model.with_suffix(".onnx").touch()
    assert faster_beside(model.with_suffix(".onnx")) is None
    said = faster_beside(model)
    assert said and "best.onnx" in said and "may be" in said and "mobilevit benchmark" in said, "nothing was measured"
    write_ranking(model, Ranking(this_machine(), {"torch": 30.0, "onnx": 10.0, "litert": 1.0}))
    said = faster_beside(model)
    assert said and "best.onnx beside best.safetensors is 3.0 times as fast" in said and "--runtime onnx" in said
    write_ranking(model, Ranking(this_machine(), {"torch": 11.0, "onnx": 10.0}))
    assert faster_beside(model) is None
    write_ranking(model, Ranking({"node": "another"}, {"torch": 30.0, "onnx": 10.0}))
    assert "may be" in (faster_beside(model) or "")


def test_the_commands_say_it_once_on_standard_error(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.safetensors"
    shutil.copy(model, mine)
    mine.with_suffix(".onnx").touch()
    write_ranking(mine, Ranking(this_machine(), {"torch": 30.0, "onnx": 10.0}))
    image = tmp_path / "a.png"
    Image.new("RGB", (64, 64)).save(image)
    assert main(["predict", str(mine), str(image), "--json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out) and err.count("3.0 times as fast") == 1


def test_the_command(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["benchmark", str(model), "--threads", "1", "--runs", "5", "--batch-sizes", "1,2"]
    assert main([*arguments, "--output", str(tmp_path / "speed")]) == 0
    said = capsys.readouterr().out
    assert "images/s, 2 at a time" in said
    assert Image.open(tmp_path / "speed" / "benchmark.png").width > 500
    found = json.loads((tmp_path / "speed" / "benchmark.json").read_text())
    assert found["recommendation"] in said
    assert statistics.fmean(row["median_ms"] for row in found["rows"]) > 0
    ranking = read_ranking(model)
    assert ranking is not None
    assert ranking.latency_ms.keys() == {"torch", "onnx"}
    image = tmp_path / "a.png"
    Image.new("RGB", (80, 70), (200, 30, 60)).save(image)
    assert main(["predict", str(model), str(image), "--runtime", "auto", "--json"]) == 0
    assert main(["benchmark", str(model), "--threads", "one"]) == 2
    ranking_path(model).unlink()


def test_another_machine_is_another_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_ranking(path, Ranking(this_machine(), {"torch": 1.0}))
    assert read_ranking(path) == Ranking(this_machine(), {"torch": 1.0})
    monkeypatch.setattr(runtimes, "processor", lambda: "another")
    assert read_ranking(path) is None
    assert Ranking({}, {"torch": 2.0, "onnx": 1.0}).fastest == "onnx"
