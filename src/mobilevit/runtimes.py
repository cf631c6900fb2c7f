"""Which runtime a model runs in: PyTorch, a file exported beside it, or what was fastest on this machine.

`best.safetensors` may have `best.onnx`, `best.tflite` and others beside it, and `best.benchmark.json`, where
`mobilevit benchmark` writes how fast each was, and where. Nothing is ever exported here.
"""

import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mobilevit.environment import processor
from mobilevit.errors import UsageError, WeightsError, unknown
from mobilevit.files import write_atomically
from mobilevit.formats.manifest import read_manifest
from mobilevit.formats.table import FORMATS, is_exported
from mobilevit.models.table import ALIASES, MODELS
from mobilevit.spec import ModelSpec, ScoreThreshold
from mobilevit.weights.catalog import CATALOG

TORCH, AUTO = "torch", "auto"


@dataclass(frozen=True)
class Ranking:
    """What a benchmark found for one model."""

    machine: dict[str, str]  # `this_machine` where it ran
    latency_ms: dict[str, float]  # of one image, median, by runtime: "torch" or a name of FORMATS

    @property
    def fastest(self) -> str:
        return min(self.latency_ms, key=lambda name: self.latency_ms[name])


def this_machine() -> dict[str, str]:
    """What decides how fast a model runs here."""
    return {"node": platform.node(), "processor": processor(), "system": f"{platform.system()} {platform.machine()}"}


def ranking_path(model: Path) -> Path:
    """Where the benchmark of a model file lies."""
    return model.with_suffix(".benchmark.json")


def write_ranking(model: Path, ranking: Ranking) -> Path:
    """Write it beside the model; its path."""
    path = ranking_path(model)
    write_atomically(path, json.dumps(asdict(ranking), indent=2, allow_nan=False))
    return path


def read_ranking(model: Path) -> Ranking | None:
    """The last benchmark of a model on this machine; None where there is none that can be read."""
    try:
        data: dict[str, Any] = json.loads(ranking_path(model).read_text(encoding="utf-8"))
        ranking = Ranking(dict(data["machine"]), {str(name): float(ms) for name, ms in data["latency_ms"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return ranking if ranking.machine == this_machine() and ranking.latency_ms else None


def exported_beside(model: Path) -> dict[str, Path]:
    """The exported files of a model that lie beside it, by format."""
    paths = {name: model.with_suffix(row.suffix) for name, row in FORMATS.items()}
    return {name: path for name, path in paths.items() if path.exists()}


def thresholds_beside(model: Path, spec: ModelSpec) -> list[str]:
    """A line for people on each exported file beside a model file that tells objects above another score than it."""
    return [
        f"{path.name} was exported with another score threshold, {_value(stored)} in place of {_value(own)}: "
        "export it again to have them equal"
        for path in exported_beside(model).values()
        for stored, own in [(_stored_threshold(path, spec), spec.score_threshold)]
        if _value(stored) != _value(own)
    ]


def _value(threshold: ScoreThreshold | None) -> str:
    return "the default" if threshold is None else f"{threshold.value:g}"


def _stored_threshold(path: Path, spec: ModelSpec) -> ScoreThreshold | None:
    """That of an exported file; the model's where the file is none that can be read: others speak of that."""
    try:
        return read_manifest(path).spec.score_threshold
    except WeightsError:
        return spec.score_threshold


def chosen(model: str | Path, runtime: str) -> Path | None:
    """The exported file to run `model` by; None for PyTorch.

    `runtime` "auto" is the fastest by the last benchmark on this machine, PyTorch where there was none or the file is
    gone. UsageError for an unknown runtime, and where the file of the one that was asked for is not there.
    """
    if runtime not in (TORCH, AUTO, *FORMATS):
        raise unknown("runtime", runtime, [TORCH, AUTO, *FORMATS])
    model = Path(model)
    if runtime == TORCH:
        return None
    beside = exported_beside(model) if model.is_file() or is_exported(model) else {}
    if runtime == AUTO:
        ranking = read_ranking(model)
        return beside.get(ranking.fastest) if ranking else None
    if runtime in beside:
        return beside[runtime]
    if is_exported(model):
        raise UsageError(
            f"{model} is an exported model, and no {FORMATS[runtime].title} file lies beside it: leave out the "
            "runtime, or export the model file that it was made of"
        )
    row, named = FORMATS[runtime], CATALOG.get(str(model))
    architecture = named.architecture if named else ALIASES.get(str(model), str(model))
    if architecture not in MODELS:
        raise UsageError(
            f"{model} has no {row.title} file beside it: `mobilevit export {model} --format {runtime}` makes it"
        )
    raise UsageError(
        f"'{model}' is a name, and no {row.title} file lies beside a name: "
        f"`mobilevit export {model} --format {runtime}` writes {architecture}{row.suffix}; "
        f"give that file in place of '{model}', without a runtime"
    )


def faster_beside(model: str | Path) -> str | None:
    """What to say to whoever runs a model file in PyTorch, where a file exported beside it may be much faster.

    None where there is nothing to say: by the last benchmark on this machine, PyTorch takes less than MUCH times the
    time of the fastest.
    """
    path = Path(model)
    beside = {name: file for name, file in exported_beside(path).items() if FORMATS[name].runs_here}
    if not beside or not path.is_file() or path in beside.values():
        return None
    ranking = read_ranking(path)
    measured = {name: ms for name, ms in ranking.latency_ms.items() if name in beside} if ranking else {}
    if ranking is None or TORCH not in ranking.latency_ms or not measured:
        names = ", ".join(file.name for file in beside.values())
        return f"{names} beside {path.name} may be several times faster: `mobilevit benchmark {path}` measures it"
    fastest = min(measured, key=lambda name: measured[name])
    ratio = ranking.latency_ms[TORCH] / measured[fastest]
    if ratio < MUCH:
        return None
    return (
        f"{beside[fastest].name} beside {path.name} is {ratio:.1f} times as fast as PyTorch, by its last benchmark "
        f"here: --runtime {fastest}"
    )


MUCH = 1.5  # times as fast: what is worth a word
