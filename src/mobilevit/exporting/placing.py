"""Where an exported file goes: into its place together with its manifest, also where the process is killed between."""

from pathlib import Path
from typing import cast

from mobilevit.errors import MobileViTError, OutputError
from mobilevit.files import abandoned, make_folder, write_atomically
from mobilevit.formats.manifest import Manifest, has_its_sum, manifest_path, read_manifest, sha256_of

READY = "ready"  # folder inside a temporary one, with a file and its manifest, complete, on their way to their place
OLD = "old"  # what was there before, where it is a folder: folders replace none


def place(model: object, output: str | Path | None, name: str, *, keep: bool) -> tuple[Path, str]:
    """Folder and stem of the exported files. The folder exists; what killed exports left in it is finished or gone."""
    is_file = isinstance(model, str | Path) and Path(model).is_file()
    beside = Path(cast(str, model)) if is_file else None
    folder = make_folder(Path(output) if output is not None else beside.parent if beside else Path())
    for left in abandoned(folder):
        if (left / READY).is_dir():
            _finish(left / READY, folder)
    return folder, beside.stem if beside and not keep else name


def require_ours(path: Path) -> None:
    """OutputError where something is at `path` that is no exported file of ours, whole as it was written.

    Its manifest may have been changed: to export again is what mends that.
    """
    if path.exists() and not has_its_sum(path):
        try:
            read_manifest(path)
        except MobileViTError as error:
            raise OutputError(
                f"{path} exists and was not exported here ({error}): move it, or choose --output"
            ) from None


def put(temporary: Path, path: Path, manifest: Manifest) -> None:
    """Move an exported file to its place, with its manifest.

    No system moves two at once: so both first lie complete in a folder beside `temporary`, and whoever comes after a
    kill finishes the move. OutputError where that cannot be written.
    """
    ready = temporary.with_name(READY)
    making = temporary.with_name(f"{READY}.tmp")
    try:
        making.mkdir()
        temporary.replace(making / path.name)
        write_atomically(making / manifest_path(path).name, manifest.to_json())
        making.replace(ready)
        _move(ready, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _move(ready: Path, path: Path) -> None:
    """Each step may be the last one of a process, and the steps that follow it may be taken by another."""
    if (ready / path.name).exists():
        if path.is_dir():
            path.replace(ready / OLD)
        (ready / path.name).replace(path)
    (ready / manifest_path(path).name).replace(manifest_path(path))


def _finish(ready: Path, folder: Path) -> None:
    """Take the steps that a killed process did not, unless somebody put something else there since."""
    for manifest in ready.glob("*.json"):
        path = folder / manifest.name.removesuffix(".json")
        try:
            if (ready / path.name).exists():
                require_ours(path)
            elif sha256_of(path) != Manifest.from_json(manifest.read_text(encoding="utf-8")).sha256:
                continue
            _move(ready, path)
        except (OSError, MobileViTError):
            continue  # it is only a leftover
