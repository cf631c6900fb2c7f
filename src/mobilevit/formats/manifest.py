"""The manifest: a JSON file beside each exported one, with all that a program needs to use it, and its proof.

`model.onnx` has its manifest in `model.onnx.json`. Every runtime reads these two and nothing else.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mobilevit.errors import UsageError, WeightsError
from mobilevit.spec import ModelSpec, at_size
from mobilevit.text import to_json

MANIFEST_FORMAT = 1  # raised when an older reader would misread it
NOT_RUN = "not run"


@dataclass(frozen=True)
class Port:
    """An input or output of an exported network."""

    name: str
    shape: tuple[int | str, ...]  # a name where any number will do
    dtype: str
    meaning: str  # for people: layout, range, order


@dataclass(frozen=True)
class Manifest:
    """What an exported file is, what goes in, what comes out, and what was found when it was compared."""

    format: str  # a name of formats.table.FORMATS
    precision: str
    file: str  # name of the artefact, which lies beside
    sha256: str
    spec: ModelSpec
    sizes_px: tuple[int, ...]  # sides of the squares that it was exported for, the spec's first
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    left_to_do: tuple[str, ...]  # in words and numbers: what the program around it does before and after
    thresholds: dict[str, float] = field(default_factory=dict)  # the numbers in those words, by name
    parity: dict[str, Any] | str = NOT_RUN
    calls: dict[str, int] = field(default_factory=dict)  # how often, where the format counts: XNNPACK, and operations
    versions: dict[str, str] = field(default_factory=dict)  # of what wrote it

    def to_json(self) -> str:
        spec = json.loads(self.spec.to_json())
        return to_json({"manifest": MANIFEST_FORMAT, **asdict(self), "spec": spec}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """WeightsError where the text is none."""
        try:
            data: dict[str, Any] = json.loads(text)
            if data.pop("manifest") != MANIFEST_FORMAT:
                raise WeightsError(f"the manifest's format is not {MANIFEST_FORMAT}: it was written by another version")
            data["spec"] = ModelSpec.from_json(json.dumps(data["spec"]))
            for side in ("inputs", "outputs"):
                data[side] = tuple(Port(**{**port, "shape": tuple(port["shape"])}) for port in data[side])
            data["left_to_do"], data["sizes_px"] = tuple(data["left_to_do"]), tuple(data["sizes_px"])
            return cls(**data)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(f"the manifest cannot be read: {error!r}") from error

    def at(self, size_px: int | None) -> "Manifest":
        """The same for another of its sizes (None: its own); UsageError for one that it was not exported for."""
        if size_px is None:
            return self
        if size_px not in self.sizes_px:
            sizes = ", ".join(map(str, sorted(self.sizes_px)))
            raise UsageError(f"{self.file} takes pictures of {sizes} px, not of {size_px}: no other was exported")
        return replace(self, spec=at_size(self.spec, size_px))


def manifest_path(artefact: Path) -> Path:
    """Where the manifest of an artefact lies."""
    return artefact.with_name(artefact.name + ".json")


def read_manifest(artefact: Path) -> Manifest:
    """The manifest of the file or folder `artefact`.

    WeightsError where either is missing, or the artefact is not the one that the manifest was written for.
    """
    path = manifest_path(artefact)
    if not artefact.exists():
        raise WeightsError(f"exported model not found: {artefact}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(
            f"{artefact} has no manifest beside it that can be read ({path.name}): keep them together, or export again"
        ) from error
    manifest = Manifest.from_json(text)
    if manifest.sha256 != sha256_of(artefact):
        raise WeightsError(f"{artefact} is not what its manifest was written for (sha256): export it again")
    return manifest


def sha256_of(artefact: Path) -> str:
    """Of a file; of a folder that of the names and contents of all files in it."""
    digest = hashlib.sha256()
    for path in [artefact] if artefact.is_file() else sorted(artefact.rglob("*")):
        if path.is_file():
            if path != artefact:
                digest.update(path.relative_to(artefact).as_posix().encode() + b"\0")
            digest.update(path.read_bytes())
    return digest.hexdigest()
