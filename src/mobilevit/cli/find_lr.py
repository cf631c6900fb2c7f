"""`mobilevit find-lr DATA`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Annotated

import tyro

from mobilevit.cli import console
from mobilevit.cli.configuring import RunOptions, parse_run
from mobilevit.cli.training_progress import TerminalCallback
from mobilevit.files import image_format, write_atomically
from mobilevit.training.lr_finder import LrCurve, LrSearch, find_lr


@dataclass(frozen=True)
class FindLrOptions(RunOptions):
    """Find a learning rate: train while it grows, report where the loss falls fastest. Takes the options of train."""

    output: Path = Path("find-lr.png")  # image file for the plot of loss over learning rate
    # No run folder is made, so there is nothing to name, to replace or to stop early.
    name: Annotated[str | None, tyro.conf.Suppress] = None
    overwrite: Annotated[bool, tyro.conf.Suppress] = False
    patience: Annotated[int, tyro.conf.Suppress] = 0
    search: LrSearch = field(default_factory=LrSearch)
    json: bool = False  # print the suggestion (or null), learning rates and losses as JSON on standard output


def run(arguments: Sequence[str]) -> int:
    options = parse_run(FindLrOptions, "find-lr", arguments)
    form = image_format(options.output)  # before the work
    callback = TerminalCallback()
    try:
        curve = find_lr(options.config, options.search, callback)
    finally:
        callback.end()
    plot = BytesIO()
    curve.plot().savefig(plot, format=form.lower(), dpi=150)
    write_atomically(options.output, plot.getvalue())
    if options.json:
        console.print_json({"suggestion": curve.suggestion, **asdict(curve)}, indent=None)
    else:
        console.results().print(_verdict(curve))
    console.wrote([options.output])
    return 0


def _verdict(curve: LrCurve) -> str:
    if curve.suggestion is None:
        return "the loss never falls clearly, so nothing is suggested: try more --steps or a larger --batch-size"
    return f"the loss falls fastest at a learning rate of {curve.suggestion:.2g}: try --lr {curve.suggestion:.2g}"
