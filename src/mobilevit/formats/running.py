"""What all runtimes of exported files share: images in as 8-bit RGB, named outputs back."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilevit.errors import WeightsError
from mobilevit.formats.manifest import Manifest, TensorInfo
from mobilevit.spec import ModelSpec
from mobilevit.text import words_of

Images = NDArray[np.float32]  # (B, 3, H, W) RGB, 0-255, in one piece of memory
Run = Callable[[Images], Sequence[NDArray[np.generic]]]  # the outputs of the manifest, in its order


class ExportedRunner:
    """Runs an exported file by a function that takes `at_a_time` images at most."""

    def __init__(self, manifest: Manifest, runtime: str, run: Run, at_a_time: int = 1) -> None:
        """`runtime` says for people what runs it, with its version."""
        self.manifest, self.runtime, self._run, self._at_a_time = manifest, runtime, run, at_a_time

    @property
    def spec(self) -> ModelSpec:
        return self.manifest.spec

    def __call__(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """(B, 3, H, W) RGB -> the outputs, float32 or integers, all finite.

        WeightsError where they are not, or where the runtime cannot run the file.
        """
        try:
            starts = range(0, len(images), self._at_a_time)
            parts = [
                [_plain(output) for output in self._run(_floats(images[start : start + self._at_a_time]))]
                for start in starts
            ]
        except Exception as error:  # each runtime has its own kinds
            message = f"{self.manifest.file}: {self.runtime} opens the file and cannot run it: {words_of(error)}"
            raise WeightsError(f"{message}. Export it again.") from error
        outputs = {
            port.name: np.concatenate([part[place] for part in parts])
            for place, port in enumerate(self.manifest.outputs)
        }
        for port in self.manifest.outputs:
            self._check_shape(port, outputs[port.name].shape)
        known = len(self.spec.classes)
        for name, values in outputs.items():
            if values.dtype.kind != "f" and known and values.size and not 0 <= int(values.max()) < known:
                raise WeightsError(
                    f"{self.manifest.file}: {name} has the value {int(values.max())}, but its manifest lists {known} "
                    "classes: one of them was changed. Export the model again."
                )
            if not np.isfinite(values).all():
                raise WeightsError(
                    f"{self.manifest.file}: {self.runtime} gives {name} that are not finite numbers. "
                    f"The file is damaged, or its {self.manifest.precision} cannot hold them: export it again"
                )
        return outputs

    def _check_shape(self, port: TensorInfo, shape: tuple[int, ...]) -> None:
        """WeightsError where an output is not what the manifest says: then its classes are not the model's either."""
        said = (1, *port.shape) if port.dtype == "dictionary" else port.shape
        if len(said) != len(shape) or [
            extent for place, extent in enumerate(said) if place and isinstance(extent, int) and extent != shape[place]
        ]:
            raise WeightsError(
                f"{self.manifest.file}: the output {port.name} has shape {[*shape]}, but its manifest says {[*said]}: "
                "one of them was changed. Export the model again."
            )


def _floats(images: NDArray[np.uint8]) -> Images:
    return np.ascontiguousarray(images, dtype=np.float32)


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """A copy, since runtimes use their memory again; of whatever floating type in float32."""
    return np.array(values, np.float32 if values.dtype.kind == "f" else values.dtype)
