"""MobileViT, from a folder of images to a trained model.

    import mobilevit

    mobilevit.train(mobilevit.TrainConfig(data="images"))
    mobilevit.Predictor("runs/mobilevit_xs-1/best.safetensors")("cat.jpg")

Every verb of the command line is a function here. Nothing is imported before it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mobilevit.benchmarking.benchmark import benchmark as benchmark
    from mobilevit.cli.demo import demo as demo
    from mobilevit.datasets.conversion import convert_data as convert_data
    from mobilevit.errors import MobileViTError as MobileViTError
    from mobilevit.evaluation import evaluate as evaluate
    from mobilevit.explanation.explaining import explain as explain
    from mobilevit.exporting.export import export as export
    from mobilevit.images.transforms import AugmentConfig as AugmentConfig
    from mobilevit.inference import Predictor as Predictor
    from mobilevit.inference import predict as predict
    from mobilevit.inspection import info as info
    from mobilevit.loading.multiscale import MultiScaleConfig as MultiScaleConfig
    from mobilevit.models.fuse import fuse as fuse
    from mobilevit.models.table import list_models as list_models
    from mobilevit.quantization.quantize import QuantizeConfig as QuantizeConfig
    from mobilevit.quantization.quantize import quantize as quantize
    from mobilevit.spec import ModelSpec as ModelSpec
    from mobilevit.tasks.checking import check as check
    from mobilevit.training.config import OptimizerConfig as OptimizerConfig
    from mobilevit.training.config import TrainConfig as TrainConfig
    from mobilevit.training.dry_run import dry_run as dry_run
    from mobilevit.training.lr_finder import find_lr as find_lr
    from mobilevit.training.run import resume as resume
    from mobilevit.training.run import train as train
    from mobilevit.weights.conversion import convert as convert
    from mobilevit.weights.creating import create as create
    from mobilevit.weights.creating import load as load

__version__ = "0.1.0"

_HOMES = {  # the module of each public name; a test compares it with the imports above
    "AugmentConfig": "mobilevit.images.transforms",
    "MobileViTError": "mobilevit.errors",
    "ModelSpec": "mobilevit.spec",
    "MultiScaleConfig": "mobilevit.loading.multiscale",
    "OptimizerConfig": "mobilevit.training.config",
    "Predictor": "mobilevit.inference",
    "QuantizeConfig": "mobilevit.quantization.quantize",
    "TrainConfig": "mobilevit.training.config",
    "benchmark": "mobilevit.benchmarking.benchmark",
    "check": "mobilevit.tasks.checking",
    "convert": "mobilevit.weights.conversion",
    "convert_data": "mobilevit.datasets.conversion",
    "create": "mobilevit.weights.creating",
    "demo": "mobilevit.cli.demo",
    "dry_run": "mobilevit.training.dry_run",
    "evaluate": "mobilevit.evaluation",
    "explain": "mobilevit.explanation.explaining",
    "export": "mobilevit.exporting.export",
    "find_lr": "mobilevit.training.lr_finder",
    "fuse": "mobilevit.models.fuse",
    "info": "mobilevit.inspection",
    "list_models": "mobilevit.models.table",
    "load": "mobilevit.weights.creating",
    "predict": "mobilevit.inference",
    "quantize": "mobilevit.quantization.quantize",
    "resume": "mobilevit.training.run",
    "train": "mobilevit.training.run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mobilevit' has no attribute '{name}'", name=name)
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
