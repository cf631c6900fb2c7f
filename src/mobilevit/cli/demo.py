"""`mobilevit demo`: the commands of a first project, run one after the other."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from mobilevit.cli import console
from mobilevit.cli.options import INTERRUPTED, CommandOptions, parse
from mobilevit.digit_scenes import write_boxes, write_masks
from mobilevit.digits import write_digits
from mobilevit.errors import MobileViTError, unknown


@dataclass(frozen=True)
class Example:
    """The demo of one task."""

    write: Callable[[Path], Path]  # the dataset, into a folder
    data: str  # name of that folder
    about: str  # what is in it
    recipe: str
    run: str  # name of the run folder
    images: str  # to predict, below the folder of the data
    own: str  # what the same looks like for own images


EXAMPLES = {
    "classification": Example(
        write_digits, "digits", "1,797 handwritten digits", "digits", "demo", "val/*/00[0-3]*.png",
        "mobilevit train FOLDER, with your own images in FOLDER/<class>/",
    ),
    "detection": Example(
        write_boxes, "digit-boxes", "600 images of several handwritten digits and their boxes", "digits-detection",
        "demo-detection", "val/000*.png", "mobilevit train FOLDER, with boxes as COCO json, Pascal VOC or YOLO",
    ),
    "segmentation": Example(
        write_masks, "digit-masks", "600 images of several handwritten digits and their masks",
        "digits-segmentation", "demo-segmentation", "val/images/000*.png",
        "mobilevit train FOLDER, with FOLDER/images/, FOLDER/masks/ and FOLDER/classes.txt",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class DemoOptions(CommandOptions):
    """Run the whole workflow on handwritten digits: check the data, train a small model, evaluate, predict, export."""

    task: str = "classification"  # classification, detection or segmentation
    output: Path = Path("runs")  # folder for the dataset and the run
    epochs: int | None = None  # training epochs; None: those of the recipe


def run(arguments: Sequence[str]) -> int:
    options = parse(DemoOptions, "demo", arguments)
    page = demo(options.output, options.epochs, options.task)
    console.results().print(f"\nLook at {page}: curves, scores and example predictions.")
    console.results().print(f"{page.with_name('best.onnx')} gives the same answers in onnxruntime.")
    console.results().print(f"Next: {EXAMPLES[options.task].own}.")
    return 0


def demo(output: str | Path = "runs", epochs: int | None = None, task: str = "classification") -> Path:
    """Write the digits into `output`, train on them as a user would, and return the page that shows how it went.

    `epochs` is the recipe's unless given. UsageError for an unknown task, MissingExtraError without scikit-learn,
    MobileViTError where a command fails.
    """
    if task not in EXAMPLES:
        raise unknown("task", task, EXAMPLES)
    example, output = EXAMPLES[task], Path(output)
    data, folder = output / example.data, output / example.run
    model = folder / "best.safetensors"
    console.say(f"writing {example.about} to {data}")
    example.write(data)
    _type("check", data)
    run_options = ["--recipe", example.recipe, "--output", output, "--name", folder.name, "--overwrite"]
    _type("train", data, *run_options, *([] if epochs is None else ["--epochs", epochs]))
    _type("evaluate", model, data)
    _type("predict", model, data / example.images, "--output", folder / "predictions")
    _type("export", model, "--format", "onnx", "--verify", data / example.images)
    return folder / "report.html"


def _type(verb: str, *arguments: object) -> None:
    """Show a command and run it."""
    words = [str(argument) for argument in arguments]
    console.results().print(f"\n$ mobilevit {verb} {shlex.join(words)}\n", style="bold")
    command = import_module(f"mobilevit.cli.{verb}")
    code = command.run(words)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        raise MobileViTError(f"`mobilevit {verb}` failed")
