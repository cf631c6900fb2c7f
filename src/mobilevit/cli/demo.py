"""`mobilevit demo`: the commands that a newcomer will type, run one after the other."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from mobilevit.cli import console
from mobilevit.cli.options import INTERRUPTED, parse
from mobilevit.digits import write_digits
from mobilevit.errors import MobileViTError


@dataclass(frozen=True)
class DemoOptions:
    """The whole path on handwritten digits: check the data, train a small network, evaluate it, predict, report."""

    output: Path = Path("runs")  # folder for the digits and the run
    epochs: int | None = None  # None: as many as the recipe says


def run(arguments: Sequence[str]) -> int:
    options = parse(DemoOptions, "demo", arguments)
    page = demo(options.output, options.epochs)
    console.results().print(f"\nLook at {page}: curves, confusion matrix, example predictions.")
    console.results().print("Next: mobilevit train FOLDER, with your own pictures in FOLDER/<class>/.")
    return 0


def demo(output: str | Path = "runs", epochs: int | None = None) -> Path:
    """Write the digits into `output`, train on them as a user would, and return the page that shows how it went.

    `epochs` is the recipe's unless given. MissingExtraError without scikit-learn; MobileViTError where a command fails.
    """
    output = Path(output)
    data, folder = output / "digits", output / "demo"
    model = folder / "best.safetensors"
    console.say(f"writing 1,797 handwritten digits to {data}")
    write_digits(data)
    _type("check", data)
    run_options = ["--recipe", "digits", "--output", output, "--name", folder.name, "--overwrite"]
    _type("train", data, *run_options, *([] if epochs is None else ["--epochs", epochs]))
    _type("evaluate", model, data)
    _type("predict", model, data / "val" / "*" / "00[0-3]*.png", "--top", 3, "--save", folder / "predictions")
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
