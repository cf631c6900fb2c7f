"""Unsupported annotation formats: how each is recognized from the beginning of a file, and what to do instead."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mobilevit.datasets.finding import inside
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.text_files import head

HEAD_BYTES = 2**16
FILES = 50  # that are looked at


@dataclass(frozen=True)
class Stranger:
    """A kind of file."""

    name: str  # for people
    suffixes: Sequence[str]
    sign: re.Pattern[bytes]  # in the beginning
    cure: str


STRANGERS = (
    Stranger(
        "a project of VIA 3",
        (".json",),
        re.compile(rb'"(vid_list|data_format_version)"\s*:'),
        "export it as COCO, or annotate with VIA 2, whose JSON and CSV are read",
    ),
    Stranger(
        "a table of VIA 3",
        (".csv",),
        re.compile(rb"\bspatial_coordinates\b"),
        "export the project as COCO, or annotate with VIA 2, whose JSON and CSV are read",
    ),
    Stranger(
        "Datumaro's JSON",
        (".json",),
        re.compile(rb'"dm_format_version"\s*:|"categories"\s*:\s*\{\s*"(label|mask|points)"\s*:'),
        'export it as COCO, in CVAT "COCO 1.0"; or `datum convert -f coco`',
    ),
    Stranger("Scalabel's JSON", (".json",), re.compile(rb'"(box2d|poly2d)"\s*:'), "convert it to COCO"),
    Stranger(
        "a manifest of SageMaker Ground Truth",
        (".manifest", ".json", ".jsonl"),
        re.compile(rb'"source-ref"\s*:'),
        "convert it to COCO",
    ),
    Stranger(
        "Hugging Face's metadata of an image folder",
        (".jsonl",),
        re.compile(rb'"objects"\s*:\s*\{'),
        "convert it to COCO",
    ),
)


def found(listing: Listing) -> str | None:
    """The first such file and the cure, for people: "Datumaro's JSON (a.json), which is not read: export it as ..."."""
    suffixes = dict.fromkeys(suffix for stranger in STRANGERS for suffix in stranger.suffixes)
    for path in listing.below(listing.root, *suffixes)[:FILES]:
        content = head(path, HEAD_BYTES)
        for stranger in STRANGERS:
            if path.suffix.lower() in stranger.suffixes and stranger.sign.search(content):
                return f"{stranger.name} ({inside(listing.root, path)}), which is not supported: {stranger.cure}"
    return None
