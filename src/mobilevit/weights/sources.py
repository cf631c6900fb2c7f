"""Resolves `weights=`, a name or a path, to tensors."""

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from mobilevit.errors import UsageError, WeightsError, unknown
from mobilevit.models.table import ALIASES, MODELS, for_task
from mobilevit.spec import ModelSpec, Provenance
from mobilevit.weights import checkpoint, download
from mobilevit.weights.catalog import CATALOG, KEYWORDS, PUBLISHED, Entry
from mobilevit.weights.containers import EXPORTED


def read(weights: str | Path, architecture: str | None = None) -> tuple[dict[str, Tensor], ModelSpec]:
    """The state dict in our layout (float32) and the spec of a file, a name of the catalog or a keyword.

    With `architecture`, the weights are of a model of its size, not necessarily of its task: "imagenet" for a detector
    is a classifier. Without, a model's name stands for its published weights. Names take precedence over paths: a file
    with the name of weights is given as "./imagenet".
    """
    entry = _entry(str(weights), architecture)
    if entry is None:
        state, spec = checkpoint.read(weights)
        _check_size(weights, spec.architecture, architecture)
        return state, spec
    _check_size(weights, entry.architecture, architecture)
    path = download.fetch(entry)
    opened = checkpoint.open_checkpoint(path)
    found = opened.recognized
    if (found.layout, found.architecture) != (entry.layout, entry.architecture):
        raise WeightsError(f"{path} should be {entry.architecture} in {entry.layout} layout, but is {found}")
    return opened.state, _spec(entry, opened.spec or checkpoint.spec_for(found, entry.source.url))


def _entry(name: str, architecture: str | None) -> Entry | None:
    """The entry of the catalog that `name` means; None where it is a path."""
    if name in CATALOG:
        return CATALOG[name]
    if name == "none" or (name in KEYWORDS and architecture is None):
        raise UsageError(f"'{name}' is not a name of weights: give a file, or one of {', '.join([*MODELS, *CATALOG])}")
    if architecture is not None and name in KEYWORDS:
        return PUBLISHED[for_task(architecture, KEYWORDS[name])]
    model = ALIASES.get(name, name) if architecture is None else None
    if model in PUBLISHED:
        return PUBLISHED[model]
    if not _is_path(name):
        words = MODELS if architecture is None else (*KEYWORDS, "none")
        raise unknown("file or name of weights", name, [*words, *CATALOG])
    return None


def _check_size(weights: str | Path, found: str, architecture: str | None) -> None:
    if architecture is not None and MODELS[found].variant != MODELS[architecture].variant:
        fitting = for_task(MODELS_BY_VARIANT[MODELS[found].variant], MODELS[architecture].task)
        raise WeightsError(
            f"weights '{weights}' are for {found}, not for {architecture} or another model of its size: "
            f"use `model={fitting}`"
        )


# a model of each size
MODELS_BY_VARIANT = {row.variant: name for name, row in reversed(MODELS.items())}


def _is_path(name: str) -> bool:
    return Path(name).suffix in SUFFIXES or Path(name).exists()


SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".tar", *EXPORTED)


def _spec(entry: Entry, own: ModelSpec) -> ModelSpec:
    """The file's own spec, with what the catalog knows better."""
    provenance = Provenance(entry.source.url, entry.license, entry.score, f"'{entry.name}' of the catalog")
    return replace(own, preprocessing=entry.preprocessing or own.preprocessing, provenance=provenance)
