"""An exported model is opened, run, told of and drawn in a process that never imports torch."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from mobilevit.exporting.export import ExportedModel
from mobilevit.formats.table import FORMATS
from mobilevit.inference import Predictor

EACH = [  # runtimes that import no torch themselves; in `make test` every task, and every format
    ("onnx", "classification"),
    ("onnx", "detection"),
    ("onnx", "segmentation"),
    ("openvino", "classification"),
    ("litert", "detection"),
]

CHILD = """
import json, sys
from mobilevit import Predictor
from mobilevit.cli import main

model, image, folder = sys.argv[1:]
[result] = Predictor(model)(image)
code = main(["predict", model, image, "--output", folder, "--format", "image,jsonl,csv"])
print(json.dumps([code, sorted({"torch"} & {*sys.modules}), result.to_dict()]))
"""


@pytest.mark.parametrize(("name", "task"), EACH)
def test_the_predictor_and_the_command_import_no_torch(
    name: str, task: str, export_of: Callable[[str, str], ExportedModel], photos: Path, tmp_path: Path
) -> None:
    if missing := [package for package in FORMATS[name].packages if find_spec(package) is None]:
        pytest.skip(f'extra "export" lacks {missing}')
    path, image = export_of(task, name).path, photos / "00.png"
    said = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), str(image), str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout
    code, imported, result = json.loads(said.splitlines()[-1])
    assert (code, imported) == (0, [])
    assert result == Predictor(path)(image)[0].to_dict(), "the same as beside torch"
    assert {found.suffix for found in tmp_path.iterdir()} == {".jpg", ".jsonl", ".csv"}
