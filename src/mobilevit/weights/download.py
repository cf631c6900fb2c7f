"""Files of the catalog on this machine: from a cache, or downloaded once and pinned by checksum."""

import hashlib
import os
import re
from pathlib import Path

from filelock import FileLock

from mobilevit.errors import DownloadError
from mobilevit.files import make_folder, write_atomically
from mobilevit.models.table import MODELS, for_task
from mobilevit.weights.catalog import CATALOG, Entry, Hub, Packaged
from mobilevit.weights.containers import MAX_FILE_BYTES

PACKAGED = Path(__file__).with_name("files")
LOCK_SECONDS = 600.0  # to wait for another process that downloads the same file


def fetch(entry: Entry) -> Path:
    """The local file of `entry`, downloaded on first use; an existing file is never looked up online.

    Its sha256 must be the published one, if there is one; otherwise that of the first download is recorded in the cache
    and required from then on. DownloadError, saying where to put the file by hand, if it cannot be downloaded.
    """
    if isinstance(entry.source, Packaged):
        return PACKAGED / entry.source.file
    found = _found(entry)
    if found is None:
        return _downloaded(entry)
    _verify(entry, found, entry.sha256 or _recorded(entry) or _hub_sum(found))
    return found


def by_hand(entry: Entry) -> Path:
    """Where a manually downloaded file is found."""
    return cache_folder() / entry.name.replace("/", "--") / entry.source.file


def cache_folder() -> Path:
    """MOBILEVIT_CACHE, or ~/.cache/mobilevit. Files of the hub are kept in the hub's own cache."""
    return Path(os.environ.get("MOBILEVIT_CACHE") or Path.home() / ".cache" / "mobilevit")


def _found(entry: Entry) -> Path | None:
    """The file, where it is on this machine."""
    place = by_hand(entry)
    if place.is_file() or not isinstance(entry.source, Hub):
        return place if place.is_file() else None
    from huggingface_hub import try_to_load_from_cache  # here, for it takes a quarter of a second

    cached = try_to_load_from_cache(entry.source.repository, entry.source.file)
    return Path(cached) if isinstance(cached, str) else None


def _downloaded(entry: Entry) -> Path:
    """Download, verify and record; processes that want the same file wait for the first."""
    try:
        make_folder(by_hand(entry).parent)
        with FileLock(by_hand(entry).with_name("lock"), timeout=LOCK_SECONDS):
            path, reported = _transferred(entry)
    # to the user every failure of a network is one; the hub has changed its HTTP library, and so its errors, before
    except Exception as error:
        raise DownloadError(*_advice(entry, error)) from error
    _verify(entry, path, entry.sha256 or _recorded(entry) or reported)
    write_atomically(_record(entry), _sha256(path))
    return path


def _transferred(entry: Entry) -> tuple[Path, str | None]:
    """The downloaded file, and the sha256 that the server reports."""
    if (found := _found(entry)) is not None:  # another process was faster
        return found, _hub_sum(found)
    from mobilevit.weights.transfer import TIMEOUT_SECONDS, transfer  # here, as below

    if not isinstance(entry.source, Hub):
        transfer(entry.source.url, by_hand(entry), max_bytes=MAX_FILE_BYTES)
        return by_hand(entry), None
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    # asked first because it fails at once where hf_hub_download tries for 23 seconds, and to know the size
    url = hf_hub_url(entry.source.repository, entry.source.file)
    metadata = get_hf_file_metadata(url, timeout=TIMEOUT_SECONDS)
    if (metadata.size or 0) > MAX_FILE_BYTES:
        raise DownloadError(f"it has {metadata.size:,} bytes, more than any MobileViT")
    path = Path(hf_hub_download(entry.source.repository, entry.source.file))
    return path, _hub_sum(path)


def _verify(entry: Entry, path: Path, expected: str | None) -> None:
    if expected is not None and (actual := _sha256(path)) != expected:
        raise DownloadError(
            f"{path} is not the expected file of '{entry.name}': its sha256 is {actual}, expected {expected}. "
            f"Delete it to download it again; if the publisher replaced the file, delete {_record(entry)} too."
        )


def _record(entry: Entry) -> Path:
    place = by_hand(entry)
    return place.with_name(f"{place.name}.sha256")


def _recorded(entry: Entry) -> str | None:
    record = _record(entry)
    return record.read_text(encoding="utf-8").strip() if record.is_file() else None


def _hub_sum(path: Path) -> str | None:
    """The hub's cache names large files by the sha256 that the hub reports."""
    name = path.resolve().name
    return name if re.fullmatch(r"[0-9a-f]{64}", name) else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _advice(entry: Entry, error: Exception) -> list[str]:
    """The lines of a DownloadError."""
    reason = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
    return [
        f"weights '{entry.name}' could not be downloaded: {reason}",
        f"  file: {entry.source.url}",
        f"  to add it by hand: save it as {by_hand(entry)} (MOBILEVIT_CACHE chooses another folder)",
        "  to start without pretrained weights: `weights=none`",
        f"  to start from the weights in the package: `weights=imagenette`{_model_for_packaged(entry)}",
    ]


def _model_for_packaged(entry: Entry) -> str:
    """What else to say on the command line, so that the packaged weights fit: they are of the smallest size."""
    size = CATALOG["imagenette"].architecture
    fits = MODELS[entry.architecture].variant == MODELS[size].variant
    return "" if fits else f" `model={for_task(size, entry.task)}`"
