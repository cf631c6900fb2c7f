"""Reads COCO's JSON: `annotations/instances_train2017.json` beside `train2017/`, or one file beside its images.

Roboflow's `train/_annotations.coco.json` is the latter, split by split.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mobilevit.datasets.annotation_records import TRAINVAL, WHOLE, Statements, checked_names, class_name, written
from mobilevit.datasets.coco_document import Document, Record
from mobilevit.datasets.finding import listed
from mobilevit.datasets.image_paths import ImagePaths
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.repairs import Repairs
from mobilevit.datasets.splitting import split_named
from mobilevit.datasets.text_files import ends, quoted
from mobilevit.errors import DataError
from mobilevit.images import folders

LAYOUT = "annotations/instances_train.json or train/_annotations.coco.json"
END_BYTES = 2**16  # at either end of a file, within which one of COCO's lists begins that no other JSON has
LISTS = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')


def fits(listing: Listing) -> bool:
    """Whether there is COCO's JSON where it is looked for."""
    return any(_candidates(listing.root))


def read(listing: Listing) -> Statements:
    """What the files of the listing state; the classes in the order of COCO's category ids."""
    documents = [Document.read(path, split) for split, path in files_of(listing.root)]
    ids = class_ids_of(documents)
    notes = Repairs()
    images = ImagePaths(listing, notes)
    splits = {document.split: document.annotations(images, ids) for document in documents}
    names = checked_names([names_of(documents)[identity] for identity in ids], documents[0].path)
    return Statements(names, splits, notes, tuple(document.path for document in documents))


def files_of(root: Path) -> list[tuple[str, Path]]:
    """The split of each file, and the file; DataError where names leave it open."""
    found = [(_split_of(root, path), path) for path in _candidates(root)]
    if not found:
        raise DataError(f"{root} has no COCO annotations: expected {LAYOUT}")
    named = [(split, path) for split, path in found if split is not None]
    if not named and len(found) == 1:
        return [(WHOLE, found[0][1])]
    if not named:
        names = listed([path.name for _, path in found])
        raise DataError(f"{root}: cannot tell the splits of {names}: name the files train.json, val.json and test.json")
    for split, path in named:
        others = [other.name for name, other in named if name == split and other != path]
        if others:
            raise DataError(f"{path.name} and {listed(others)} in {root} could both be the {split} split: keep one")
    return named


def _candidates(root: Path) -> Iterator[Path]:
    """Files of COCO's shape in the first of the places that has any."""
    inside = folders.sub_folders(root)
    places = [
        [folder for folder in inside if folder.name.casefold() == "annotations"],
        [folder for folder in inside if split_named(folder.name)],
        [root],
        [folder for folder in inside if not split_named(folder.name)],
    ]
    for place in places:
        files = [path for folder in place for path in folders.files_in(folder) if _looks_like_coco(path)]
        instances = [path for path in files if path.name.startswith("instances_")]  # beside captions and keypoints
        if files:
            yield from instances or files
            return


def _looks_like_coco(path: Path) -> bool:
    """By what it holds. A file of a name that only COCO has is read in any case, and says what is wrong with it."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    if path.name == "_annotations.coco.json" or path.name.startswith("instances_"):
        return True
    found = set(LISTS.findall(ends(path, END_BYTES)))
    is_whole = path.stat().st_size <= END_BYTES  # so that what is not seen is not there: Label Studio's notes.json
    return b"images" in found or (b"categories" in found and (not is_whole or b"annotations" in found))


def _split_of(root: Path, path: Path) -> str | None:
    """By the folder's name, or by the words in the file's."""
    if path.parent != root and (split := split_named(path.parent.name)):
        return split
    words = re.split(r"[^a-z]+", path.stem.casefold())
    return TRAINVAL if TRAINVAL in words else next(filter(None, map(split_named, words)), None)


def class_ids_of(documents: Sequence[Document]) -> list[int]:
    """Category ids in their order. Roboflow's first, which is only what the others are kinds of, is left out."""
    names, used = names_of(documents), {record["category_id"] for one in documents for record in one.boxes}
    ids = sorted(names)
    above = (
        {_above(record) for one in documents for key, record in one.categories.items() if key != ids[0]}
        if ids
        else set()
    )
    if len(ids) > 1 and ids[0] == 0 and 0 not in used and above == {names[0]}:
        return ids[1:]
    return ids


def _above(record: Record) -> str:
    return class_name(str(record.get("supercategory", "")))


def names_of(documents: Sequence[Document]) -> dict[int, str]:
    """The name of each category id; DataError where two files disagree."""
    names: dict[int, str] = {}
    for document in documents:
        for identity, record in document.categories.items():
            stated = record.get("name")
            if not isinstance(stated, (str, int, float)):
                raise DataError(
                    f'{document.path}: category {identity} has the name {written(stated)}: write a text such as "cat"'
                )
            name = class_name(str(stated))
            if names.setdefault(identity, name) != name:
                raise DataError(
                    f"{document.path} calls category {identity} '{quoted(name)}', "
                    f"another split '{quoted(names[identity])}': give all splits the same categories"
                )
    return names
