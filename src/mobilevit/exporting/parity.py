"""Does the exported file give the same answers? Its outputs beside those of the model, on the same images."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilevit.errors import ParityError
from mobilevit.exporting.views import Views
from mobilevit.formats import Runner
from mobilevit.formats.running import ExportedRunner
from mobilevit.tasks.base import Task


@dataclass(frozen=True)
class Tolerances:
    """How far a file may be from its model."""

    agreement: float  # least share of results that are the same
    largest: float | None = None  # difference of any output
    cosine: float | None = None  # least, of any image


LIMITS = {
    "fp32": Tolerances(agreement=0.999, largest=1e-4),
    "fp16": Tolerances(agreement=0.99, cosine=0.999),
}


@dataclass(frozen=True)
class Difference:
    """Between the values of one output, over all images."""

    largest: float
    mean: float
    cosine: float  # the least of any image


@dataclass(frozen=True)
class Parity:
    """What was found; what the manifest records."""

    runtime: str  # that the file ran in
    images: int
    generated: int  # of these, made up because there were too few in color
    outputs: Mapping[str, Difference]  # of the outputs that are no integers
    agreement_of: str  # what was the same: "top-1", "objects" or "pixels"
    agreement: float  # mean over the images, 0-1
    agreement_plain_resize: float  # with the model on the usual resize, the file on a plain bilinear one


def compare(runner: ExportedRunner, reference: Runner, views: Views, task: Task) -> Parity:
    """The outputs of both, for the same pixels and for pixels that were resized as phones do."""
    outputs, expected = runner(views.images), reference(views.images)
    return Parity(
        runtime=runner.runtime,
        images=len(views.images),
        generated=views.generated,
        outputs={
            name: difference(outputs[name], values) for name, values in expected.items() if values.dtype.kind == "f"
        },
        agreement_of=task.interface.agreement,
        agreement=float(task.agreement(outputs, expected, reference.spec).mean()),
        agreement_plain_resize=float(task.agreement(runner(views.plain), expected, reference.spec).mean()),
    )


def difference(values: NDArray[Any], expected: NDArray[Any]) -> Difference:
    """Between two arrays whose first axis is that of the images; of different shapes it is infinite."""
    if values.shape != expected.shape:
        return Difference(float("inf"), float("inf"), -1.0)
    one, other = (array.reshape(len(array), -1).astype(np.float64) for array in (values, expected))
    apart = np.abs(one - other)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosine = (one * other).sum(axis=1) / lengths.clip(SHORTEST)
    return Difference(float(apart.max()), float(apart.mean()), float(cosine.min()))


SHORTEST = 1e-8  # product of two lengths: of a map without values the cosine is 0


def faults(parity: Parity, precision: str) -> list[str]:
    """What is beyond the limits of a precision, for people; a value that is no number is beyond every limit."""
    limits, found = LIMITS[precision], []
    for name, apart in parity.outputs.items():
        if limits.largest is not None and not apart.largest <= limits.largest:
            found.append(f"{name} differ by up to {apart.largest:.2g} (limit {limits.largest:g})")
        if limits.cosine is not None and not apart.cosine >= limits.cosine:
            found.append(f"the cosine of {name} is {apart.cosine:.5f} (limit {limits.cosine:g})")
    if not parity.agreement >= limits.agreement:
        found.append(f"{parity.agreement:.1%} of {parity.agreement_of} agree (limit {limits.agreement:.1%})")
    return found


def refusal(path: Path, parity: Parity, precision: str, where: str) -> ParityError:
    """The error for an exported file with `faults`; `where` says for people where the difference begins."""
    found = "; ".join(faults(parity, precision))
    return ParityError(f"{path.name} does not give the model's answers in {parity.runtime}: {found}. {where}")
