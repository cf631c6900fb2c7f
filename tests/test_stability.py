"""The public surface is the stored one: what changes it breaks somebody, and is never an accident.

`python tests/test_stability.py` writes `public_surface.json` anew; docs/stability.md says what may change when.
"""

import contextlib
import dataclasses
import inspect
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

import mobilevit
from mobilevit.cli import main
from mobilevit.cli.entry import COMMANDS
from mobilevit.formats.manifest import CHECKSUM_KEY, Manifest, TensorInfo
from mobilevit.spec import ModelSpec, Preprocessing, Provenance, ScoreThreshold, Step, labels
from mobilevit.tasks.classification.result import Classification, Score
from mobilevit.tasks.detection.result import Detections, Object
from mobilevit.tasks.segmentation.result import Segmentation
from mobilevit.training.config import TrainConfig
from mobilevit.training.runfolder import RunFolder

STORED = Path(__file__).with_name("public_surface.json")


def test_the_surface_is_the_stored_one() -> None:
    stored, found = json.loads(STORED.read_text(encoding="utf-8")), surface()
    assert found.keys() == stored.keys()
    for part in stored:
        assert found[part] == stored[part], f"{part}: see docs/stability.md, then: python tests/test_stability.py"


def surface() -> dict[str, Any]:
    return {
        "flags": {verb: flags(verb) for verb in sorted(COMMANDS)},
        "python": {name: signature(name) for name in sorted(mobilevit._HOMES)},
        "train options": option_names(TrainConfig),
        "model file": {kind.__name__: fields(kind) for kind in (ModelSpec, Preprocessing, Provenance, ScoreThreshold)},
        "manifest": ["schema_version", CHECKSUM_KEY, *fields(Manifest)],
        "manifest parts": {kind.__name__: fields(kind) for kind in (TensorInfo, Step)},
        "results": {type(result).__name__: keys(result.to_dict()) for result in RESULTS},
        "result tables": {type(result).__name__: list(result.records()[0]) for result in RESULTS},
        "run folder": {
            name: Path(getattr(RunFolder(Path()), name)).as_posix()
            for name in ("config", "metrics", "best", "last", "checkpoint", "tensorboard", "report")
        },
    }


RESULTS = (
    Classification((Score("n01", "cat", 0.9), Score("n02", "dog", 0.1))),
    Detections((Object("n01", "cat", 0.9, (0.0, 0.0, 1.0, 1.0), 0),)),
    Segmentation(np.zeros((2, 2), np.uint8), labels(["background", "cat"])),
)


def flags(verb: str) -> list[str]:
    """The flags that its help lists."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        main([verb, "--help"])
    found = re.findall(r"^[│ ]*(?:-\w, )?(--[a-z][a-z0-9-]*)", text.getvalue(), re.MULTILINE)
    return sorted({*found})


def signature(name: str) -> str:
    """Names and kinds of the parameters; of a dataclass its fields."""
    value = getattr(mobilevit, name)
    if inspect.isclass(value) and issubclass(value, Exception):
        return "exception"
    kinds = {inspect.Parameter.KEYWORD_ONLY: "*", inspect.Parameter.VAR_POSITIONAL: "*args"}
    parameters = inspect.signature(value).parameters.values()
    return ", ".join(f"{kinds.get(one.kind, '')}{one.name}" for one in parameters)


def option_names(config: type) -> list[str]:
    names: list[str] = []
    for one in dataclasses.fields(config):
        default = one.default_factory() if one.default_factory is not dataclasses.MISSING else None
        inner = dataclasses.fields(default) if dataclasses.is_dataclass(default) else []
        names += [f"{one.name}.{part.name}" for part in inner] or [one.name]
    return names


def fields(kind: Any) -> list[str]:
    return [one.name for one in dataclasses.fields(kind)]


def keys(value: Any) -> Any:
    """The keys of a document, with those of the first entry of each list."""
    if isinstance(value, dict):
        return {key: keys(entry) for key, entry in value.items()}
    return [keys(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


if __name__ == "__main__":
    os.environ["COLUMNS"] = "100"
    STORED.write_text(json.dumps(surface(), indent=1) + "\n", encoding="utf-8")
