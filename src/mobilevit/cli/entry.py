"""`mobilevit VERB ...`: find the command, run it, turn what goes wrong into one line and an exit code.

Imports nothing heavy: `mobilevit --help` answers at once.
"""

import io
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from mobilevit import __version__
from mobilevit.errors import MobileViTError, UsageError, is_out_of_memory, unknown
from mobilevit.text import printable, printable_lines

COMMANDS = {  # verb: module, one line for the table; in the order of a first visit
    "demo": ("demo", "the whole path on handwritten digits, in a few minutes"),
    "check": ("check", "what is wrong with a dataset, before any training"),
    "train": ("train", "train a model on a folder of images, or go on with a run"),
    "evaluate": ("evaluate", "how good a model is on a dataset"),
    "predict": ("predict", "what is in images: files, folders, URLs, standard input"),
    "explain": ("explain", "where a model looks, as an image"),
    "export": ("export", "files for other runtimes, compared with the model"),
    "quantize": ("quantize", "a file in 8 bits: choices tried, measured, the best kept"),
    "benchmark": ("benchmark", "how fast a model is here, in every runtime"),
    "info": ("info", "a model's stages, shapes, parameters and operations"),
    "find-lr": ("find_lr", "the learning rate to start from"),
    "convert": ("convert", "rewrite weights for another package, or for RGB input"),
    "convert-data": ("convert_data", "rewrite a dataset of boxes as COCO, Pascal VOC or YOLO"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. 0: done, 1: failed, 2: misuse, 130: interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments or bool(os.environ.get("MOBILEVIT_DEBUG"))
    arguments = [argument for argument in arguments if argument != "--debug"]
    _open_what_is_closed()
    _spell_what_the_terminal_lacks()
    try:
        with _home():
            code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except SystemExit as error:  # tyro has printed its help or what is wrong
        return error.code if isinstance(error.code, int) else 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read us, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        said = _said(error)
        if debug or said is None:
            raise
        print(f"error: {printable_lines(said)}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


def _open_what_is_closed() -> None:
    """Standard streams that the caller closed lead to nowhere. Else the next file that is opened would take their
    place, and all that is printed would be written into it."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            if getattr(sys, name) is None:
                setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


@contextmanager
def _home() -> Iterator[None]:
    """A home folder for what libraries keep, where this user has none: it lasts as long as the command."""
    try:
        Path.home()
    except RuntimeError:
        with tempfile.TemporaryDirectory(prefix="mobilevit-") as folder:
            os.environ["HOME"] = folder
            try:
                yield
            finally:
                del os.environ["HOME"]
    else:
        yield


def _spell_what_the_terminal_lacks() -> None:
    """A name in letters that the terminal's encoding lacks is shown by their code points, and stops nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _dispatch(arguments: list[str]) -> int:
    verb = arguments[0] if arguments else "--help"
    if verb in ("-h", "--help", "help"):
        _print_help()
        return 0 if arguments else 2
    if verb == "--version":
        print(f"mobilevit {__version__}")
        return 0
    if verb not in COMMANDS:
        raise unknown("command", verb, COMMANDS)
    from mobilevit.cli.console import show_log

    show_log()
    command = import_module(f"mobilevit.cli.{COMMANDS[verb][0]}")
    return int(command.run(arguments[1:]))


def _said(error: Exception) -> str | None:
    """One line for the user; None where the mistake is ours, and the traceback is what helps."""
    if isinstance(error, MobileViTError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.strerror or error}" + (f": {printable(error.filename)}" if error.filename else "")
    if is_out_of_memory(error):
        return "there is too little memory for this: try a smaller --batch-size or --image-size"
    return None


def _print_help() -> None:
    width = max(map(len, COMMANDS))
    print("usage: mobilevit COMMAND [OPTIONS]\n\nMobileViT, from a folder of images to a trained model.\n")
    for verb, (_, line) in COMMANDS.items():
        print(f"  {verb:<{width}}  {line}")
    print("\n`mobilevit COMMAND --help` explains every option. --debug shows where an error comes from.")
