"""Finds the images of an annotation file whose paths come from another machine.

Paths of Windows, of another machine, of a labeling tool's server and URLs end in the name of the image. One that is not
where it should be is found by the longest end of its path that exists, case aside, if one image alone fits; and every
such find is counted aloud.
"""

import os
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from mobilevit.datasets.annotation_records import joined_inside, leads_out
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.repairs import Repairs
from mobilevit.datasets.splitting import split_named
from mobilevit.datasets.text_files import quoted
from mobilevit.errors import DataError

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
LOCAL_FILE = re.compile(r"[?&]d=([^&]+)")  # in the URLs of Label Studio's local files
PREFIX = re.compile(r"\A[0-9a-f]{8}-(?=.)")  # of the names of files that were uploaded to Label Studio
DRIVE = re.compile(r"\A[A-Za-z]:(?=[\\/])")


class ImagePaths:
    """Finds images below the root of a listing, and notes those that are not where the annotations say."""

    def __init__(self, listing: Listing, notes: Repairs) -> None:
        self.listing, self.notes = listing, notes
        self._was_found_elsewhere = False
        self._first_outside: DataError | None = None

    def find(self, stated: str, base: Path, where: str, split: str | None = None) -> Path:
        """The image that `stated` means, relative to the folder `base`.

        Where none is found, the path at which it should be, inside the root. Images in folders of other splits than
        `split` are no candidates. DataError naming `where` if the path is none, or fits several images.
        """
        plain = _plain(stated)
        path = joined_inside(self.listing.root, base, plain, where)
        if path is not None and os.path.isfile(path):  # noqa: PTH113 (a third of the time)
            return path
        name = _parts(plain)[-1]
        for kind, spelling in (
            ("other-folder", plain),
            ("other-name", urllib.parse.unquote(plain)),
            ("other-name", PREFIX.sub("", name, count=1)),
        ):
            if found := self._elsewhere(spelling, where, split):
                self.notes.add("other-case" if _differs_in_case(found, spelling) else kind, found)
                self._was_found_elsewhere = True
                return found
        if path is None and self._first_outside is None:
            self._first_outside = leads_out(self.listing.root, stated, where)
        return path or base / name

    def refuse_outside(self) -> None:
        """DataError for the first path that led out of the root, where no end of such a path is here either."""
        if self._first_outside is not None and not self._was_found_elsewhere:
            raise self._first_outside

    def _elsewhere(self, plain: str, where: str, split: str | None) -> Path | None:
        """The one image whose path shares the longest end with `plain`."""
        parts = _parts(plain)
        named = self._by_name.get(parts[-1].casefold()) or self._by_stem.get(parts[-1].casefold(), ())
        candidates = [path for path in named if split is None or self._is_of(path, split)]
        if not candidates:
            return None
        shared = {path: _shared(path, parts) for path in candidates}
        best = [path for path in candidates if shared[path] == max(shared.values())]
        if len(best) > 1:
            raise DataError(
                f"{where}: '{quoted(plain)}' does not exist, and could be {best[0]} or {best[1]}: write the full path"
            )
        return Path(best[0])

    def _is_of(self, path: str, split: str) -> bool:
        return self.listing.split_of(path) in (None, split) or split_named(split) is None

    @cached_property
    def _by_name(self) -> Mapping[str, Sequence[str]]:
        """The images by name, case aside."""
        found: dict[str, list[str]] = {}
        for path in self.listing.images:
            found.setdefault(os.path.basename(path).casefold(), []).append(path)  # noqa: PTH119
        return found

    @cached_property
    def _by_stem(self) -> Mapping[str, Sequence[str]]:
        """The same without the suffix: some tables leave it out."""
        found: dict[str, list[str]] = {}
        for name, paths in self._by_name.items():
            found.setdefault(os.path.splitext(name)[0], []).extend(paths)  # noqa: PTH122
        return found


def _plain(stated: str) -> str:
    """A path with slashes out of a path or a URL."""
    if local := LOCAL_FILE.search(stated):
        return urllib.parse.unquote(local[1])
    if URL.match(stated):
        return urllib.parse.unquote(re.split(r"[?#]", stated, maxsplit=1)[0].split("://", 1)[1])
    return DRIVE.sub("", stated, count=1).replace("\\", "/")


def _parts(plain: str) -> list[str]:
    return [part for part in plain.split("/") if part.strip() and part not in (".", "..")] or [""]


def _shared(path: str, parts: Sequence[str]) -> tuple[int, int]:
    """How many names at the end of a path are those of `parts`: case aside, and to the letter."""
    pairs = list(zip(reversed(Path(path).parts), reversed(parts), strict=False))
    same = [one == other for one, other in pairs]
    return _run([one.casefold() == other.casefold() for one, other in pairs]), _run(same)


def _differs_in_case(found: Path, spelling: str) -> bool:
    """Whether the whole of a stated path is found, but for upper and lower case."""
    same_but_for_case, same = _shared(os.fspath(found), _parts(spelling))
    return same < same_but_for_case == len(_parts(spelling))


def _run(fitting: Sequence[bool]) -> int:
    """How many are true before the first that is not."""
    return next((place for place, fits in enumerate(fitting) if not fits), len(fitting))
