"""The class tables of ImageNet-1k, COCO and Pascal VOC, and the matching of labels with classes."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import resources

from mobilevit.spec import ClassLabel


@cache
def imagenet1k() -> tuple[ClassLabel, ...]:
    """The 1000 classes in the order of every public classifier: id = wnid, name = the first synonym."""
    return tuple(ClassLabel(row["wnid"], row["name"].split(", ")[0]) for row in _rows("imagenet1k.tsv"))


@cache
def coco80() -> tuple[ClassLabel, ...]:
    """The 80 classes of COCO detection in the order of their ids (1 to 90, with gaps), without a background."""
    return tuple(ClassLabel(row["coco_id"], row["name"]) for row in _rows("coco80.tsv"))


@cache
def voc21() -> tuple[ClassLabel, ...]:
    """The background and the 20 classes of Pascal VOC, in the order of the values in its masks."""
    return tuple(ClassLabel(row["name"], row["name"]) for row in _rows("voc21.tsv"))


def match(labels: Sequence[str], table: Sequence[ClassLabel]) -> list[int | None]:
    """For each label the index of its class in `table`, or None where no class fits or several do.

    A label may be an id, a name or, where the id is a wnid of ImageNet, any synonym; a wnid also finds a class that is
    known by name only. Case, spaces, underscores and hyphens do not count. The first of these ways that fits decides,
    so "missile" is the class of that name and not the projectile that has it as a synonym. "crane" is two classes of
    ImageNet (a bird and a machine), hence None.
    """
    exact = _index(table, lambda label: (label.id,))
    loose = [_index(table, terms) for terms in (_ids, _names, _synonyms)]
    return [exact[label] if label in exact else _find(label, loose) for label in labels]


Terms = Callable[[ClassLabel], Iterable[str]]


def _index(table: Sequence[ClassLabel], terms: Terms) -> dict[str, int | None]:
    """Each term to the class that it means; None where it means several."""
    index: dict[str, int | None] = {}
    for position, label in enumerate(table):
        for term in terms(label):
            index[term] = position if index.get(term, position) == position else None
    return index


def _find(label: str, indices: Iterable[dict[str, int | None]]) -> int | None:
    terms = [_blind(label), *_imagenet_synonyms(label)]
    for index in indices:
        found = {index[term] for term in terms if term in index}
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def _ids(label: ClassLabel) -> Iterable[str]:
    return (_blind(label.id),)


def _names(label: ClassLabel) -> Iterable[str]:
    return (_blind(label.name),)


def _synonyms(label: ClassLabel) -> Iterable[str]:
    return _imagenet_synonyms(label.id)


def _imagenet_synonyms(wnid: str) -> Iterable[str]:
    """Every name of a class of ImageNet-1k; none where `wnid` is not one of its ids."""
    return _synonyms_by_wnid().get(wnid.casefold(), ())


@cache
def _synonyms_by_wnid() -> dict[str, tuple[str, ...]]:
    return {row["wnid"]: tuple(map(_blind, row["name"].split(", "))) for row in _rows("imagenet1k.tsv")}


def _blind(text: str) -> str:
    """`text` without what people write in different ways; the text itself where nothing else is in it."""
    return text.casefold().translate(_IGNORED) or text


_IGNORED = str.maketrans("", "", " _-")


def _rows(file: str) -> list[dict[str, str]]:
    """The rows of a tab-separated table in this package, by the names of its columns."""
    text = resources.files(__name__).joinpath(file).read_text(encoding="utf-8")
    header, *rows = (line.split("\t") for line in text.splitlines())
    return [dict(zip(header, row, strict=True)) for row in rows]
