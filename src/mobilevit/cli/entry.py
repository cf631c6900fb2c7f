"""`mobilevit VERB ...`: find the command, run it, turn an error into one line and an exit code.

Imports nothing heavy: `mobilevit --help` answers at once.
"""

import io
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import dropwhile
from pathlib import Path

from mobilevit import __version__
from mobilevit.cli.flags import with_flags
from mobilevit.errors import MobileViTError, UsageError, is_out_of_memory, unknown
from mobilevit.text import printable, printable_lines

COMMANDS = {  # verb: module, one line for the table; in the order of a first visit
    "demo": ("demo", "run the whole workflow on handwritten digits, in a few minutes"),
    "check": ("check", "find the problems of a dataset before training"),
    "train": ("train", "train a model on a folder of images, or resume a run"),
    "evaluate": ("evaluate", "measure the accuracy of a model on a dataset"),
    "predict": ("predict", "run a model on images and videos: files, folders, URLs, camera, standard input"),
    "explain": ("explain", "draw where a model looks: Grad-CAM and attention"),
    "export": ("export", "write a model for other runtimes, and verify its outputs there"),
    "quantize": ("quantize", "write an 8-bit model: variants measured, the best kept"),
    "benchmark": ("benchmark", "measure the speed of a model on this machine, in every runtime"),
    "info": ("info", "show a model's stages, output shapes, parameters and MACs"),
    "find-lr": ("find_lr", "find a learning rate to start from"),
    "convert": ("convert", "convert weights for another package, or for RGB input"),
    "convert-data": ("convert_data", "convert a dataset of boxes or masks to another format"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. 0: done, 1: failed, 2: misuse, 130: interrupted."""
    arguments = _verb_first(sys.argv[1:] if argv is None else argv)
    debug = DEBUG in arguments or bool(os.environ.get("MOBILEVIT_DEBUG"))
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
        message = _message(error)
        if debug or message is None:
            raise
        print(f"error: {printable_lines(with_flags(message))}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


DEBUG = "--debug"


def _verb_first(arguments: Sequence[str]) -> list[str]:
    """`--debug` is an option of every command, and may stand before its name."""
    others = list(dropwhile(lambda argument: argument == DEBUG, arguments))
    before = list(arguments[: len(arguments) - len(others)])
    return [*others[:1], *before, *others[1:]]


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
    verb = arguments[0] if arguments else DEBUG
    if verb in ("-h", "--help", "help", DEBUG):
        _print_help()
        return 2 if verb == DEBUG else 0
    if verb == "--version":
        print(f"mobilevit {__version__}")
        return 0
    if verb not in COMMANDS:
        raise unknown("command", verb, COMMANDS)
    from mobilevit.cli.console import show_log

    show_log()
    command = import_module(f"mobilevit.cli.{COMMANDS[verb][0]}")
    return int(command.run(arguments[1:]))


def _message(error: Exception) -> str | None:
    """One line for the user; None for a fault of the package, whose traceback is needed."""
    if isinstance(error, MobileViTError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.strerror or error}" + (f": {printable(error.filename)}" if error.filename else "")
    if is_out_of_memory(error):
        return "out of memory: use a smaller --batch-size or --image-size"
    return None


def _print_help() -> None:
    width = max(map(len, COMMANDS))
    print("usage: mobilevit COMMAND [OPTIONS]\n\nMobileViT: from a folder of images to a verified model on a phone.\n")
    for verb, (_, line) in COMMANDS.items():
        print(f"  {verb:<{width}}  {line}")
    print("\nOptions of every command:")
    print("  -h, --help  show every option of the command")
    print("  --debug     print the full traceback of an error")
    print("\n`mobilevit --version` prints the version.")
