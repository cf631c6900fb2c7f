"""An exported file and its manifest, moved by a process that is killed at any step: both, or neither; no leftovers."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from exported_models import in_short

from mobilevit.errors import OutputError, WeightsError
from mobilevit.exporting.placing import place, put, require_ours
from mobilevit.files import (
    PartialFile,
    abandoned,
    clear_abandoned,
    temporary_folder,
    write_atomically,
)
from mobilevit.formats.manifest import Manifest, TensorInfo, manifest_path, read_manifest, sha256_of
from mobilevit.formats.quiet_libraries import refusal_of
from mobilevit.spec import ModelSpec, labels

SPEC = ModelSpec("mobilevit_xxs", "classification", labels(["cat", "dog"]))


def export(folder: Path, name: str, content: str, kill_at: int = 0) -> None:
    """What an export does at its end; with `kill_at` this very process is killed before that many-th move."""
    if kill_at:
        _die_before_move(kill_at)
    with temporary_folder(folder, "export") as temporary:
        made = temporary / name
        if name.endswith(".openvino"):
            made.mkdir()
            (made / "model.xml").write_text(content)
        else:
            made.write_text(content)
        ports = (
            (TensorInfo("images", (1, 3, 256, 256), "float32", ""),),
            (TensorInfo("probabilities", (1, 2), "float32", ""),),
        )
        manifest = Manifest("onnx", "fp32", name, sha256_of(made), SPEC, (256,), *ports, (), ())
        put(made, folder / name, replace(manifest, versions={"content": content}))


def _die_before_move(number: int) -> None:
    move, moves = Path.replace, iter(range(1, 100))

    def replace_or_die(self: Path, target: Path) -> Path:
        if next(moves) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return move(self, target)

    Path.replace = replace_or_die  # type: ignore[method-assign, assignment]


def killed_export(folder: Path, name: str, content: str, kill_at: int) -> bool:
    """Whether the kill came before the end."""
    child = os.fork()
    if child == 0:
        export(folder, name, content, kill_at)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.parametrize("name", ["model.onnx", "model.openvino"])
@pytest.mark.parametrize("before", [False, True])
def test_a_kill_at_any_step_leaves_the_old_or_the_new_and_nothing_else(name: str, before: bool, tmp_path: Path) -> None:
    found: list[str] = []
    for kill_at in range(1, 20):
        folder = tmp_path / str(kill_at)
        folder.mkdir()
        if before:
            export(folder, name, "old")
        if not killed_export(folder, name, "new", kill_at):
            break
        place(None, folder, "model", keep=True)
        require_ours(folder / name)
        present = {entry.name for entry in folder.iterdir()}
        assert present in ({name, f"{name}.json"}, set())
        found += [read_manifest(folder / name).versions["content"]] if present else ["none"]
        export(folder, name, "next")  # and the next one finds nothing in its way
    assert found == sorted(found, key=["none", "old", "new"].index), "once the new one is there it stays"
    assert {*found} == {"old" if before else "none", "new"}


def test_what_a_living_process_works_on_stays(tmp_path: Path) -> None:
    with temporary_folder(tmp_path, "export") as mine:
        place(None, tmp_path, "model", keep=True)
        assert mine.is_dir()
    assert [*tmp_path.iterdir()] == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_what_killed_processes_left_goes_and_what_is_a_users_stays(tmp_path: Path) -> None:
    users = [".profile", ".export-list", ".cache.12345678", "notes.tmp", ".best.safetensors.lock"]
    for name in users:
        (tmp_path / name).write_text("mine")
    child = os.fork()
    if child == 0:
        with temporary_folder(tmp_path, "export"), temporary_folder(tmp_path, "quantize"):
            _die_at_sync()
            write_atomically(tmp_path / "state.safetensors", b"half")
    os.waitpid(child, 0)
    assert len([*tmp_path.iterdir()]) == len(users) + 3
    clear_abandoned(tmp_path)
    assert len([*tmp_path.iterdir()]) == len(users) + 2, "the folders are left: an export may have to finish one"
    assert len([*abandoned(tmp_path)]) == 2
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(users)
    assert [*abandoned(tmp_path)] == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_long_file_that_was_killed_goes_and_one_that_grows_stays(tmp_path: Path) -> None:
    """Videos and tables. A folder is left: an export may have to finish it."""
    (tmp_path / ".export-abcdefgh").mkdir()
    name = "x" * 250  # with more before and after it no name of a file
    child = os.fork()
    if child == 0:
        PartialFile(tmp_path / name).temporary.write_text("half")
        os._exit(0)  # as a kill: nothing is cleaned
    os.waitpid(child, 0)
    assert len([*tmp_path.iterdir()]) == 2
    growing = PartialFile(tmp_path / name)
    clear_abandoned(tmp_path)
    assert {*tmp_path.iterdir()} == {tmp_path / ".export-abcdefgh", growing.temporary}
    growing.temporary.write_text("whole")  # opened by its name, as other libraries do
    clear_abandoned(tmp_path)
    growing.finish()
    assert (tmp_path / name).read_text() == "whole"
    other = PartialFile(tmp_path / name)
    other.discard()
    assert {*tmp_path.iterdir()} == {tmp_path / ".export-abcdefgh", tmp_path / name}


def _die_at_sync() -> None:
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_what_was_put_there_since_is_not_replaced(tmp_path: Path) -> None:
    assert killed_export(tmp_path, "model.onnx", "new", 4)
    (tmp_path / "model.onnx").write_text("somebody's own")
    place(None, tmp_path, "model", keep=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]
    assert not manifest_path(tmp_path / "model.onnx").exists()
    with pytest.raises(OutputError, match="was not exported here"):
        require_ours(tmp_path / "model.onnx")


def test_an_export_replaces_its_own_file_whose_manifest_was_edited(tmp_path: Path) -> None:
    """Which is what whoever edited it is told to do; a file that is not the one of its manifest stays."""
    export(tmp_path, "model.onnx", "content")
    manifest = manifest_path(tmp_path / "model.onnx")
    manifest.write_text(manifest.read_text().replace("dog", "owl"))
    with pytest.raises(WeightsError, match="was changed after it was written"):
        read_manifest(tmp_path / "model.onnx")
    require_ours(tmp_path / "model.onnx")
    (tmp_path / "model.onnx").write_text("another")
    with pytest.raises(OutputError, match="was not exported here"):
        require_ours(tmp_path / "model.onnx")


LAST_WORDS = """
import ctypes, os
from mobilevit.formats.quiet_libraries import refusal_of, silent
with {how}:
    print("converting")
    os.write(2, b"F0000 no space left, said the library\\x1b[31m")
    {end}
"""


@pytest.mark.parametrize("how", ['refusal_of("LiteRT")', 'silent("LiteRT")'])
@pytest.mark.parametrize("end", in_short(("ctypes.CDLL(None).exit(1)", "os.abort()", "os._exit(0)"), "os.abort()"))
def test_a_library_that_ends_the_process_has_the_last_word(how: str, end: str) -> None:
    done = subprocess.run([sys.executable, "-c", LAST_WORDS.format(how=how, end=end)], capture_output=True, text=True)
    assert "the process ended while LiteRT was at work" in done.stderr
    assert "no space left, said the library[31m" in done.stderr


def test_a_disk_that_is_full_is_no_refusal_of_the_converter(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"ONNX cannot write model\.onnx: No space left"),
        refusal_of("ONNX", tmp_path / "model.onnx"),
    ):
        raise RuntimeError("[json.exception.type_error.302] No space left on device (28)")


FULL = """
import resource, sys, torch
from pathlib import Path
from torch import nn
from mobilevit import tasks
from mobilevit.exporting.export import Exporter
from mobilevit.formats.graph import Graph
from mobilevit.formats.table import FORMATS
from mobilevit.spec import ModelSpec, Preprocessing, labels

class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 600), nn.Linear(600, 600)
        )

    def forward(self, images):
        return (self.layers(images),)

name, folder = sys.argv[1], Path(sys.argv[2])
spec = ModelSpec("mobilevit_xxs", "classification", labels(["a"]), Preprocessing(32, 36))
exporter = Exporter(tasks.get("classification"), Graph(Tiny().eval(), ("values",), spec), None, {})
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
try:
    exporter.write(name, folder / f"model{FORMATS[name].suffix}", FORMATS[name].precisions[0])
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("name", in_short(("onnx", "openvino", "executorch", "coreml", "litert"), "onnx"))
def test_no_format_says_nothing_of_a_full_disk(name: str, tmp_path: Path) -> None:
    """The limit on the size of a file stands for the disk: the same errors, from the same calls."""
    packages = {"onnx": "onnxscript", "coreml": "coremltools", "litert": "litert_torch"}
    pytest.importorskip(packages.get(name, name), reason='needs the extra "export"')
    done = subprocess.run([sys.executable, "-c", FULL, name, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout.startswith("OutputError") and "File too large" in done.stdout, done
    assert [*tmp_path.iterdir()] == []
