"""Who may import whom: read from the sources, so that a wrong import fails here and not in a review."""

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "mobilevit"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__main__.py")

# Each may import those before it, and itself.
ORDER = [
    "text",
    "checksums",
    "environment",
    "errors",
    "files",
    "figures",
    "interrupts",
    "typed",
    "spec",
    "boxes",
    "class_tables",
    "models",
    "images",
    "datasets",
    "loading",
    "weights",
    "tasks",
    "formats",
    "runtimes",
    "runners",
    "inference",
    "evaluation",
    "exporting",
    "reporting",
    "training",
    "recipes",
    "explanation",
    "inspection",
    "benchmarking",
    "quantization",
    "digits",
    "digit_scenes",
    "cli",
]
NARROW = {
    "models": {"errors"},
    "formats": {"text", "checksums", "errors", "spec", "typed"},
}

# Libraries that a user may lack, or that one part alone has to know: the only files that may import them.
HOMES = {
    "ai_edge_litert": {"formats/litert.py"},
    "ai_edge_quantizer": {"quantization/litert.py"},
    "av": {"images/video.py"},
    "coremltools": {"formats/coreml.py", "quantization/coreml.py"},
    "executorch": {"formats/executorch.py", "quantization/executorch.py"},
    "faster_coco_eval": {"tasks/detection/coco_scores.py"},
    "kornia": {"loading/augment.py"},
    "litert_torch": {"formats/litert_program.py"},
    "httpx2": {"images/http.py"},
    "matplotlib": {"figures.py"},
    "nncf": {"quantization/openvino.py"},
    "onnx": {"formats/onnx.py", "formats/graph.py", "formats/openvino.py", "quantization/onnx.py"},
    "onnxruntime": {"formats/onnx.py", "quantization/onnx.py"},
    "openvino": {"formats/openvino.py", "quantization/openvino.py"},
    "pillow_heif": {"images/heif.py"},
    "sklearn": {"digits.py"},
    "torchao": {"quantization/executorch.py"},
    "tensorboard": {"training/scalars.py"},
    "huggingface_hub": {"weights/download.py"},
    "tyro": {"cli/"},
    "yaml": {"datasets/"},
}
OPTIONAL = {
    "ai_edge_litert", "ai_edge_quantizer", "av", "coremltools", "executorch", "faster_coco_eval", "kornia",
    "litert_torch", "nncf", "onnx", "onnxruntime", "openvino", "pillow_heif", "sklearn", "tensorboard", "torchao",
}  # fmt: skip


# What runs an exported model, and says, draws and writes what it found.
WITHOUT_TORCH = {
    "boxes.py", "cli/predict.py", "datasets", "errors.py", "formats/__init__.py", "formats/litert.py",
    "formats/onnx.py", "formats/openvino.py", "formats/table.py", "images", "inference.py", "runners.py",
    "runtimes.py", "spec.py", "tasks/__init__.py", "tasks/classification/drawing.py",
    "tasks/detection/drawing.py", "tasks/segmentation/drawing.py",
}  # fmt: skip


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, *, outermost: bool = False) -> Iterator[str]:
    """Dotted names that a file imports; `outermost` leaves out those inside functions. Those for types alone count
    as well: they are knowledge too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if outermost else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path}: imports are absolute here"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def ours(path: Path) -> set[str]:
    """The parts of this package that a file imports."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("mobilevit.")} - {"__version__"}


def others(path: Path, *, outermost: bool = False) -> set[str]:
    """The libraries that a file imports; TensorBoard is reached through torch."""
    names = {
        "tensorboard" if "tensorboard" in name else name.split(".")[0] for name in imports(path, outermost=outermost)
    }
    return names - {"mobilevit"} - set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    if path == PACKAGE / "__init__.py":
        return  # the public surface, which offers everything and imports nothing
    allowed = set(ORDER[: ORDER.index(part(path)) + 1])
    allowed = NARROW.get(part(path), allowed) | {part(path)}
    assert ours(path) <= allowed


def test_no_figure_goes_through_pyplot() -> None:
    """It would need a backend, which the environment names, and keep every figure in memory."""
    assert [path for path in MODULES if any(name.startswith("matplotlib.pyplot") for name in imports(path))] == []


def test_every_part_has_its_place() -> None:
    assert {part(path) for path in MODULES} - {"__init__"} <= set(ORDER)


@pytest.mark.parametrize("path", [path for path in MODULES if part(path) == "models"], ids=lambda path: path.name)
def test_models_import_torch_only(path: Path) -> None:
    assert others(path) <= {"torch"}


@pytest.mark.parametrize("path", [PACKAGE / place for place in sorted(WITHOUT_TORCH)], ids=lambda path: path.name)
def test_what_stands_behind_the_model_imports_no_torch(path: Path) -> None:
    """Nor does anything that is imported with it: an exported model is opened and run without torch."""
    reached, waiting = set[Path](), [path] if path.is_file() else [*path.rglob("*.py")]
    assert waiting
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += [found for name in imports(module, outermost=True) for found in modules_of(name)]
    assert [module for module in reached if "torch" in others(module, outermost=True)] == []


def modules_of(name: str) -> Iterator[Path]:
    """The files of this package that are imported for a dotted name, whose last part may be in the file before."""
    parts = name.split(".")[1:] if name.startswith("mobilevit.") else []
    for end in range(1, len(parts) + 1):
        place = PACKAGE.joinpath(*parts[:end])
        yield from (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.exists())


@pytest.mark.parametrize("library", HOMES)
def test_a_library_stays_at_home(library: str) -> None:
    users = {str(path.relative_to(PACKAGE)) for path in MODULES if library in others(path)}
    assert users
    assert {user for user in users if not user.startswith(tuple(HOMES[library]))} == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_optional_libraries_are_imported_where_they_are_used(path: Path) -> None:
    assert others(path, outermost=True) & OPTIONAL == set()


def test_every_library_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    declared = {_package(line.split(">=")[0]) for line in listed}
    used = set().union(*(others(path) for path in MODULES))
    assert {_package(PACKAGES.get(name, name)) for name in used} <= declared


PACKAGES = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}  # where the import has another name


def _package(name: str) -> str:
    """A package's name as registries compare it."""
    return name.lower().replace("_", "-")


def test_json_is_strict() -> None:
    """NaN and Infinity are no JSON: whoever writes one stops there, and not whoever reads it."""
    calls = {
        f"{path.relative_to(PACKAGE)} line {node.lineno}": any(word.arg == "allow_nan" for word in node.keywords)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("dump", "dumps")
    }
    lenient = {place.partition(" ")[0] for place, strict in calls.items() if not strict}
    # what only this package reads again, or what holds texts and sizes alone
    assert calls and lenient <= {"training/checkpoint.py", "training/config.py", "weights/containers.py"}


def test_importing_has_no_side_effects() -> None:
    names = [
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__") for path in MODULES
    ]
    before, after = json.loads(_python(SIDE_EFFECTS, *names))
    assert before == after


SIDE_EFFECTS = """
import importlib, json, logging, os, random, signal, sys, threading, warnings
import numpy, torch, matplotlib.figure, tyro, rich

def world():
    return {
        "random": hash(random.getstate()), "numpy": str(numpy.random.get_state()), "threads": threading.active_count(),
        "torch": torch.random.get_rng_state().tolist(), "torch threads": torch.get_num_threads(),
        "dtype": str(torch.get_default_dtype()), "environment": dict(os.environ), "folder": os.getcwd(),
        "signals": [str(signal.getsignal(number)) for number in signal.valid_signals()],
        "handlers": len(logging.getLogger().handlers) + len(logging.getLogger("mobilevit").handlers),
        "filters": len(warnings.filters), "pyplot": "matplotlib.pyplot" in sys.modules,
        "optional": [name for name in ("faster_coco_eval", "kornia", "sklearn", "tensorboard") if name in sys.modules],
    }

before = world()
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps([before, world()]))
"""


def test_the_package_itself_imports_nothing_heavy() -> None:
    heavy = _python("import sys, mobilevit; print({'torch', 'numpy', 'PIL', 'rich'} & set(sys.modules))")
    assert heavy.strip() == "set()"


def _python(program: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    ).stdout
