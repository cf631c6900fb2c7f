"""What the readers repaired or skipped, counted by kind and reported."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from mobilevit.datasets.finding import Finding, Severity, counted, inside, printable

KINDS: Mapping[str, tuple[Severity, str, str]] = {  # severity, what is counted, what it is and what became of it
    "missing-image": ("warning", "annotated image", "not found, skipped"),
    "no-annotation": ("warning", "image", "without an annotation file, used as images without objects"),
    "other-case": ("warning", "file", "found under a name that differs only in case"),
    "other-folder": ("warning", "path", "not at the stated location, found by the end of the path"),
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
    "not-listed": ("info", "image", "in no list, skipped"),
    "no-split": ("warning", "image", "outside the train, val and test folders, skipped"),
    "no-objects": ("info", "image", "without objects, used as background images"),
    "unlisted-image": ("warning", "box", "of images that the file does not list, dropped"),
    "unknown-class": ("warning", "box", "of classes that are not among those named, dropped"),
    "degenerate-box": ("warning", "box", "without an area, dropped"),
    "pixel-box": (
        "warning",
        "box",
        "dropped (YOLO boxes are normalized coordinates, 0 to 1; these look like pixels: divide by the image size)",
    ),
    "outside-box": ("warning", "box", "completely outside the image, dropped"),
    "clipped-box": ("warning", "box", "reaching beyond the image, clipped"),
    "duplicate-box": ("warning", "box", "listed twice with the same class, kept once"),
    "turned": ("warning", "image", "annotated before EXIF rotation: the boxes were rotated with the image"),
    "scaled": ("warning", "image", "annotated at another size of the same aspect ratio: the boxes were scaled"),
    "size": ("warning", "image", "with a size other than stated, boxes unchanged: review them"),
    "polygon": ("info", "polygon", "converted to its bounding box"),
    "no-outline": ("warning", "annotation", "without an outline (segmentation), skipped"),
    "flat-outline": ("warning", "outline", "with fewer than three corners or without an area, skipped"),
    "keypoints": ("info", "box", "with keypoints, which are ignored"),
    "extra-column": ("warning", "box", "followed by a score or a track number, which is ignored"),
    "other-shape": ("warning", "shape", "other than boxes, skipped"),
    "nameless": ("warning", "box", "without a class, skipped"),
    "only-class": ("info", "box", "without a class, assigned to a single class 'object'"),
    "shares": ("info", "file", "with boxes between 0 and 1, read as normalized coordinates"),
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
