"""What the readers found and mended, kind by kind, to be counted aloud."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from mobilevit.data.finding import Finding, Severity, counted, inside, listed

KINDS: Mapping[str, tuple[Severity, str, str]] = {  # severity, what is counted, what it is and what became of it
    "missing-picture": ("warning", "annotated picture", "not found, so left out"),
    "no-annotation": ("warning", "picture", "without an annotation file, taken as pictures without objects"),
    "no-objects": ("info", "picture", "without objects, kept as pictures of nothing"),
    "unlisted-picture": ("warning", "box", "of pictures that the file does not list, dropped"),
    "unknown-class": ("warning", "box", "of classes that are not among those named, dropped"),
    "degenerate-box": ("warning", "box", "without an area, dropped"),
    "outside-box": ("warning", "box", "wholly outside of the picture, dropped"),
    "clipped-box": ("warning", "box", "reaching beyond the picture, clipped"),
    "duplicate-box": ("warning", "box", "given twice with the same class, kept once"),
    "turned": ("warning", "picture", "annotated as stored, before EXIF turns it: the boxes were turned with it"),
    "scaled": ("warning", "picture", "annotated at another size of the same shape: the boxes were scaled"),
    "size": ("warning", "picture", "of another size than stated, the boxes taken as they are: look at them"),
    "polygon": ("info", "polygon", "read as the box around it"),
}


class Notes:
    """Counts what happened, and where."""

    def __init__(self) -> None:
        self._places: dict[str, dict[Path, int]] = defaultdict(dict)

    def add(self, kind: str, where: Path, times: int = 1) -> None:
        """`kind` is one of KINDS; `where` the file to look at."""
        assert kind in KINDS, kind
        if times:
            self._places[kind][where] = self._places[kind].get(where, 0) + times

    def findings(self, root: Path) -> tuple[Finding, ...]:
        """One finding for each kind that happened, in the order of KINDS."""
        return tuple(self._finding(kind, root) for kind in KINDS if kind in self._places)

    def _finding(self, kind: str, root: Path) -> Finding:
        severity, noun, text = KINDS[kind]
        places = self._places[kind]
        first = listed([inside(root, path) for path in places], most=3)
        return Finding(severity, kind, f"{counted(sum(places.values()), noun)} {text}: {first}", tuple(places))
