"""What the readers found and mended, kind by kind, to be counted aloud."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from mobilevit.datasets.finding import Finding, Severity, counted, inside, printable

KINDS: Mapping[str, tuple[Severity, str, str]] = {  # severity, what is counted, what it is and what became of it
    "missing-image": ("warning", "annotated image", "not found, so left out"),
    "no-annotation": ("warning", "image", "without an annotation file, taken as images without objects"),
    "other-case": ("warning", "file", "found under a name that differs in upper and lower case alone"),
    "other-folder": ("warning", "path", "not here as stated, found by the last parts"),
    "other-name": (
        "warning",
        "image",
        "found under a name without the prefix or escapes of a labeling tool",
    ),
    "other-labels": (
        "warning",
        "label file",
        "not where YOLO looks (the last folder 'images' becomes 'labels'), found nearby",
    ),
    "not-listed": ("info", "image", "that no list names, left out"),
    "no-split": ("warning", "image", "beside the folders of train, val and test, left out"),
    "no-objects": ("info", "image", "without objects, kept as images of nothing"),
    "unlisted-image": ("warning", "box", "of images that the file does not list, dropped"),
    "unknown-class": ("warning", "box", "of classes that are not among those named, dropped"),
    "degenerate-box": ("warning", "box", "without an area, dropped"),
    "pixel-box": (
        "warning",
        "box",
        "dropped (YOLO boxes are normalized coordinates, 0 to 1; these look like pixels: divide them by its size)",
    ),
    "outside-box": ("warning", "box", "wholly outside of the image, dropped"),
    "clipped-box": ("warning", "box", "reaching beyond the image, clipped"),
    "duplicate-box": ("warning", "box", "given twice with the same class, kept once"),
    "turned": ("warning", "image", "annotated as stored, before EXIF turns it: the boxes were turned with it"),
    "scaled": ("warning", "image", "annotated at another size of the same shape: the boxes were scaled"),
    "size": ("warning", "image", "of another size than stated, the boxes taken as they are: look at them"),
    "polygon": ("info", "polygon", "read as the box around it"),
    "no-outline": ("warning", "annotation", "without an outline (segmentation), left out"),
    "flat-outline": ("warning", "outline", "of fewer than three corners or without an area, left out"),
    "keypoints": ("info", "box", "with keypoints, which are left out"),
    "extra-column": ("warning", "box", "followed by a score or a track number, which is left out"),
    "other-shape": ("warning", "shape", "that are no boxes, left out"),
    "nameless": ("warning", "box", "without a class, left out"),
    "only-class": ("info", "box", "without a class, taken as the one class 'object'"),
    "shares": ("info", "file", "whose boxes lie between 0 and 1, so taken as normalized coordinates"),
}
DROPPED = ("unlisted-image", "unknown-class", "degenerate-box", "pixel-box", "outside-box")  # no box is left of it
UNANNOTATED = ("no-annotation", "missing-image")  # where images and annotations did not meet
FIRST = 3  # cases of a kind that are named


@dataclass
class _Found:
    """Cases of one kind."""

    times: int = 0
    files: dict[Path, None] = field(default_factory=dict)
    first: dict[tuple[Path, str], None] = field(default_factory=dict)  # FIRST of them: the file, and the place in it
    named: int = 0  # by the first: more than there are where a file is read for two splits


class Repairs:
    """Counts what happened, and where."""

    def __init__(self) -> None:
        self._found: dict[str, _Found] = defaultdict(_Found)

    def add(self, kind: str, where: Path, times: int = 1, places: Iterable[str] = ("",)) -> None:
        """`kind` is one of KINDS; `where` the file to look at; `places` those in it: "line 3 (not a number)"."""
        assert kind in KINDS, kind
        if times:
            found = self._found[kind]
            found.times += times
            found.files[where] = None
            first = [(where, place) for place in islice(places, FIRST - len(found.first))]
            found.first |= dict.fromkeys(first)
            found.named += len(first)

    def findings(self, root: Path) -> tuple[Finding, ...]:
        """One finding for each kind that happened, in the order of KINDS."""
        return tuple(self._finding(kind, root) for kind in KINDS if kind in self._found)

    def _finding(self, kind: str, root: Path) -> Finding:
        severity, noun, text = KINDS[kind]
        found = self._found[kind]
        shown = ", ".join(printable(f"{inside(root, path)} {place}".rstrip()) for path, place in found.first)
        more = f" and {found.times - found.named:,} more" if found.times > found.named else ""
        return Finding(severity, kind, f"{counted(found.times, noun)} {text}: {shown}{more}", tuple(found.files))
