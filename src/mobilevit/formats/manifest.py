"""The manifest: a JSON file beside each exported one, with all that a program needs to use it, and its proof.

`model.onnx` has its manifest in `model.onnx.json`. Every runtime reads these two and nothing else. The manifest has the
sum of the file, and a checksum of itself: edited by hand it would give classes that look right and are not.
"""

import hashlib
import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mobilevit.checksums import json_checksum
from mobilevit.errors import UsageError, WeightsError
from mobilevit.spec import FORMAT, LARGEST_PX, SMALLEST_PX, ModelSpec, Step, at_size, repeated_id
from mobilevit.text import to_json
from mobilevit.typed import MOST_CHARACTERS, built, parsed

SCHEMA_VERSION = 1  # raised when an older reader would misread it
NOT_RUN = "not run"
BY_CLASS = ("probabilities", "scores")  # outputs with a value for each class, along their last axis


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of an exported model."""

    name: str
    shape: tuple[int | str, ...]  # a name where any number will do
    dtype: str
    description: str  # for people: layout, range, order


@dataclass(frozen=True)
class Manifest:
    """What an exported file is, what goes in, what comes out, and what was found when it was compared."""

    format: str  # a name of formats.table.FORMATS
    precision: str
    file: str  # name of the exported model, which lies beside
    sha256: str
    spec: ModelSpec
    image_sizes: tuple[int, ...]  # sides of the squares that it was exported for, the spec's first
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    preprocessing: tuple[Step, ...]  # from an image file to the input
    postprocessing: tuple[Step, ...]  # from the outputs to the result
    thresholds: dict[str, float] = field(default_factory=dict)  # the numbers of postprocessing, by name
    parity: dict[str, Any] | str = NOT_RUN
    delegate_calls: dict[str, int] = field(default_factory=dict)  # where the format counts: XNNPACK, and operations
    versions: dict[str, str] = field(default_factory=dict)  # of what wrote it
    num_classes: int | None = None  # of the model, which not every output tells; None: not stated
    license: str = ""  # of the weights; empty: not stated

    def to_json(self) -> str:
        spec = json.loads(self.spec.to_json())
        content = json.loads(to_json({"schema_version": SCHEMA_VERSION, **asdict(self), "spec": spec}))
        return to_json({**content, CHECKSUM_KEY: json_checksum(content)}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """WeightsError that names the first key whose value cannot be, or does not fit the others; where all of them
        can be, and yet one was changed since the manifest was written, it says so."""
        try:
            data = parsed(text)
            _check_versions(data)
            stated = data.pop(CHECKSUM_KEY, None)
            spec = {key: value for key, value in data["spec"].items() if key != "format"}
            manifest = built(
                cls, {key: data[key] for key in data if key != "schema_version"} | {"spec": spec}, "manifest"
            )
            for fault in _faults(manifest):
                raise WeightsError(fault)
            if stated != json_checksum(data):
                raise WeightsError(f"manifest lacks the key {CHECKSUM_KEY}" if stated is None else _CHANGED)
        except WeightsError as error:
            reason = textwrap.shorten(str(error), 500)  # a value may be of any length
            raise WeightsError(f"the manifest cannot be read: {reason}. Export the model again.") from error
        return manifest

    def at(self, image_size: int | None) -> "Manifest":
        """The same for another of its sizes (None: its own); UsageError for one that it was not exported for."""
        if image_size is None:
            return self
        if image_size not in self.image_sizes:
            sizes = ", ".join(map(str, sorted(self.image_sizes)))
            raise UsageError(f"{self.file} takes images of {sizes} px, not of {image_size}: no other was exported")
        return replace(self, spec=at_size(self.spec, image_size))


CHECKSUM_KEY = "checksum"  # of the document; over all the other keys
_CHANGED = (
    "it was changed after it was written: its content does not have its checksum. A manifest is not edited: names of "
    "classes and the score threshold are the model's, whose change takes another export"
)


def _check_versions(data: Any) -> None:
    for holder, key, version in (("manifest", "schema_version", SCHEMA_VERSION), ("spec", "format", FORMAT)):
        outer = data if holder == "manifest" else data.get("spec")
        if not isinstance(outer, dict) or type(outer.get(key)) is not int or outer[key] != version:
            raise WeightsError(f"{holder}.{key} is not {version}: another version or program wrote it")


def _faults(manifest: Manifest) -> Iterator[str]:
    """What cannot be, or contradicts something else in the manifest, each with its key."""
    spec, classes = manifest.spec, len(manifest.spec.classes)
    sides = {"spec.preprocessing.resize_px": spec.preprocessing.resize_px}
    sides |= {f"image_sizes[{place}]": side for place, side in enumerate(manifest.image_sizes)}
    for key, side in sides.items():
        if not SMALLEST_PX <= side <= 2 * LARGEST_PX:
            yield f"{key} is {side}, expected {SMALLEST_PX} to {2 * LARGEST_PX}"
    own_px = spec.preprocessing.image_size
    if manifest.image_sizes[:1] != (own_px,):
        sizes_of = [*manifest.image_sizes]
        yield f"spec.preprocessing.image_size is {own_px}, but image_sizes {sizes_of}, whose first is the same"
    if not re.fullmatch("[0-9a-f]{64}", manifest.sha256):
        yield f"sha256 is {manifest.sha256[:80]!r}, expected 64 hexadecimal digits"
    if [port.name for port in manifest.inputs] != ["images"]:
        yield f"inputs are {[port.name[:40] for port in manifest.inputs]}, expected one, 'images'"
    for port in manifest.inputs:
        sizes = {extent for extent in port.shape if isinstance(extent, int)} - {1, 3, own_px}
        if sizes or not port.shape:
            yield f"inputs.shape is {[*port.shape]}, which is no image of {own_px} px"
    names = [port.name for port in manifest.outputs]
    if not names or len({*names}) < len(names):
        yield f"outputs are {names}, expected one or more of different names"
    if (repeated := repeated_id(spec.classes)) is not None:
        yield f"spec.classes has two classes with the id {repeated[:80]!r}"
    if manifest.num_classes not in (None, classes):
        yield f"spec.classes are {classes}, but num_classes is {manifest.num_classes}"
    for port in manifest.outputs:
        if port.name in BY_CLASS and classes and port.shape[-1:] != (classes,):
            yield f"spec.classes are {classes}, but the output {port.name} is of shape {[*port.shape]}"


def manifest_path(exported: Path) -> Path:
    """Where the manifest of an exported model lies."""
    return exported.with_name(exported.name + ".json")


def read_manifest(exported: Path) -> Manifest:
    """The manifest of the file or folder `exported`.

    WeightsError where either is missing, the manifest was changed, or the exported model is not the one that it was
    written for, which is found out before any runtime opens it.
    """
    if not exported.exists():
        raise WeightsError(f"exported model not found: {exported}")
    text = _text_beside(exported)
    try:
        manifest = Manifest.from_json(text)
    except WeightsError as error:
        raise WeightsError(f"{manifest_path(exported)}: {error}") from error
    if manifest.sha256 != sha256_of(exported):
        raise WeightsError(
            f"{exported} is not what its manifest was written for (sha256): it is damaged, cut short or another file. "
            "Copy both again, or remove it and export the model again."
        )
    return manifest


def has_its_sum(exported: Path) -> bool:
    """Whether the manifest beside `exported`, changed or not, is of it: then it is as an export wrote it."""
    try:
        return bool(parsed(_text_beside(exported))["sha256"] == sha256_of(exported))
    except (WeightsError, KeyError, TypeError, IndexError):
        return False


def _text_beside(exported: Path) -> str:
    """What the manifest of `exported` holds; WeightsError where it is missing, or no text of its size."""
    path = manifest_path(exported)
    try:
        if path.stat().st_size > 4 * MOST_CHARACTERS:
            raise WeightsError(
                f"{path} has {path.stat().st_size:,} bytes: that is no manifest. Export the model again."
            )
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(
            f"{exported} has no manifest beside it that can be read ({path.name}): keep them together, or export again"
        ) from error


def sha256_of(exported: Path) -> str:
    """Of a file; of a folder that of the names and contents of all files in it. WeightsError where one is not read."""
    digest = hashlib.sha256()
    try:
        for path in [exported] if exported.is_file() else sorted(exported.rglob("*")):
            if path.is_file():
                if path != exported:
                    digest.update(path.relative_to(exported).as_posix().encode() + b"\0")
                digest.update(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"{exported} cannot be read: {error.strerror}") from error
    return digest.hexdigest()
