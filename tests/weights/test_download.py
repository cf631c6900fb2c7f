import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest
from safetensors.torch import save
from servers import Site, serve
from torch import Tensor

from mobilevit.errors import DownloadError
from mobilevit.weights import transfer
from mobilevit.weights.catalog import Entry, Https
from mobilevit.weights.download import by_hand, fetch

Filled = Callable[..., dict[str, Tensor]]

CONTENT = bytes(range(256)) * 4096  # 1 MiB, more than socket buffers hold back


@pytest.fixture
def site() -> Iterator[Site]:
    with serve(Site(CONTENT)) as site:
        yield site


@pytest.fixture
def entry(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """An entry whose file is on `site`, with a cache of its own."""
    monkeypatch.setenv("MOBILEVIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(transfer, "PAUSE_SECONDS", 0.0)
    return Entry("test/weights", "mobilevit_xxs", Https(f"{site.url}/model.pt"), "cvnets", "", "")


def test_downloaded_once_and_kept(site: Site, entry: Entry) -> None:
    path = fetch(entry)
    assert path.read_bytes() == CONTENT
    assert path == by_hand(entry) == fetch(entry)
    assert site.asked == ["GET"]
    assert sorted(file.name for file in path.parent.iterdir()) == ["lock", "model.pt", "model.pt.sha256"]


def test_the_published_sum_is_checked(site: Site, entry: Entry) -> None:
    assert fetch(replace(entry, sha256=site.sha256)).read_bytes() == CONTENT
    with pytest.raises(DownloadError, match=r"is not the expected file of 'test/other': its sha256 is .*, expected 00"):
        fetch(replace(entry, name="test/other", sha256="0" * 64))


def test_the_first_downloads_sum_holds_from_then_on(entry: Entry) -> None:
    path = fetch(entry)
    path.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(DownloadError, match=r"is not the expected file .* Delete it to download it again"):
        fetch(entry)
    path.unlink()
    assert fetch(entry).read_bytes() == CONTENT


def test_a_file_replaced_on_the_server_is_not_taken_unseen(site: Site, entry: Entry) -> None:
    fetch(entry).unlink()
    site.content = CONTENT[::-1]
    with pytest.raises(DownloadError, match=r"delete .*model\.pt\.sha256 too"):
        fetch(entry)


def test_a_connection_that_breaks_goes_on_where_it_was(site: Site, entry: Entry) -> None:
    site.break_after = [300_000, 0, 400_000]
    assert fetch(entry).read_bytes() == CONTENT
    assert site.asked == ["GET", "GET bytes=300000-", "GET bytes=300000-", "GET bytes=700000-"]


def test_a_download_that_was_given_up_goes_on_in_the_next_run(site: Site, entry: Entry) -> None:
    site.break_after = [100_000] * transfer.ATTEMPTS
    with pytest.raises(DownloadError, match=r"was lost 4 times; 400,000 bytes are kept"):
        fetch(entry)
    assert not by_hand(entry).exists()
    assert fetch(entry).read_bytes() == CONTENT
    assert site.asked[-1] == "GET bytes=400000-"


@pytest.mark.parametrize("change", [{"version": '"2"', "content": CONTENT[::-1]}, {"ranges": False}])
def test_the_rest_of_another_version_is_never_appended(site: Site, entry: Entry, change: dict[str, object]) -> None:
    site.break_after = [100_000] * transfer.ATTEMPTS
    with pytest.raises(DownloadError):
        fetch(entry)
    for name, value in change.items():
        setattr(site, name, value)
    assert fetch(entry).read_bytes() == site.content


def test_without_a_version_a_download_starts_anew(site: Site, entry: Entry) -> None:
    site.version = ""
    site.break_after = [300_000]
    assert fetch(entry).read_bytes() == CONTENT
    assert site.asked == ["GET", "GET"]


def test_a_part_that_was_complete_already(site: Site, entry: Entry) -> None:
    """The process died between the last byte and the new name."""
    part = by_hand(entry).with_name("model.pt.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)
    part.with_name("model.pt.part.version").write_text(site.version)
    assert fetch(entry).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"status": 404}, "the server answers 404 (Not Found)"),
        ({"status": 503}, "the server answers 503 (Service Unavailable)"),
        ({"announced": 2**40}, "announces 1,099,511,627,776 bytes, more than the limit"),
        ({"announced": -1}, "does not report the file size"),
    ],
)
def test_what_is_wrong_with_the_server_is_said_with_what_to_do(
    site: Site, entry: Entry, change: dict[str, int], what: str
) -> None:
    for name, value in change.items():
        setattr(site, name, value)
    with pytest.raises(DownloadError) as caught:
        fetch(entry)
    for text in (what, site.url, str(by_hand(entry)), "`weights=none`", "`weights=imagenette`"):
        assert text in str(caught.value)
    assert len(site.asked) == 1
    assert not by_hand(entry).exists()


def test_a_redirect_is_followed(site: Site, entry: Entry) -> None:
    with serve(Site(b"", status=302, location=f"{site.url}/model.pt")) as door:
        assert fetch(replace(entry, source=Https(f"{door.url}/model.pt"))).read_bytes() == CONTENT


def test_a_server_that_says_nothing_is_given_up(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DownloadError, match="timed out"):
        fetch(replace(entry, source=Https(f"http://127.0.0.1:{silent.getsockname()[1]}/model.pt")))


def test_nobody_at_the_address(entry: Entry) -> None:
    with pytest.raises(DownloadError, match="refused") as caught:
        fetch(replace(entry, source=Https(f"http://127.0.0.1:{_free_port()}/model.pt")))
    assert "`weights=none`" in str(caught.value)


def test_a_file_put_there_by_hand_is_used_and_nobody_asked(site: Site, entry: Entry) -> None:
    by_hand(entry).parent.mkdir(parents=True)
    by_hand(entry).write_bytes(b"by hand")
    assert fetch(entry).read_bytes() == b"by hand"
    assert site.asked == []


def test_many_at_once_download_once(site: Site, entry: Entry) -> None:
    with ThreadPool(4) as pool:
        paths = pool.map(fetch, [entry] * 4)
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert site.asked == ["GET"]


def test_a_cache_that_cannot_be_written_is_an_error(entry: Entry, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(DownloadError, match="MOBILEVIT_CACHE") as refused:
        fetch(entry)
    assert len(str(refused.value).splitlines()) == 5, "each piece of advice has its line"


# In a process of its own, because the hub reads its settings when it is imported.
HUB = """
import hashlib, os, sys
from pathlib import Path
sys.path.insert(0, os.environ["SERVERS"])
from servers import Site, serve

with serve(Site(Path(os.environ["WEIGHTS"]).read_bytes())) as hub:
    os.environ["HF_ENDPOINT"] = hub.url
    from mobilevit.errors import DownloadError
    from mobilevit.weights.creating import load, spec_of
    online = spec_of(load("mobilevit_xxs"))
    assert set(hub.asked) == {"HEAD", "GET"}, hub.asked

# nobody is there any more
assert spec_of(load("mobilevit_xxs")) == online
(blob,) = Path(os.environ["HF_HUB_CACHE"]).glob("models--timm--*/blobs/*")
assert blob.name == hashlib.sha256(blob.read_bytes()).hexdigest()
blob.write_bytes(blob.read_bytes()[:-1] + b"!")
connections = []
sys.addaudithook(lambda event, _: connections.append(event) if event == "socket.connect" else None)
for name in ("mobilevit_xxs", "mobilevit_s"):
    try:
        load(name)
    except DownloadError as error:
        print(error)
assert len(connections) == 1, f"{len(connections)} attempts at a URL that does not answer; the hub's own take 23 s"
"""


def test_files_of_the_hub_are_kept_in_its_cache_checked_and_used_offline(filled: Filled, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(save(filled(layout="timm")))
    settings = {
        "SERVERS": str(Path(__file__).parent),
        "WEIGHTS": str(tmp_path / "weights"),
        "MOBILEVIT_CACHE": str(tmp_path / "cache"),
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    command = [sys.executable, "-c", HUB]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    changed, _, offline = done.stdout.partition("weights 'timm/mobilevit_s.cvnets_in1k' could not be downloaded: ")
    assert "is not the expected file of 'timm/mobilevit_xxs.cvnets_in1k'" in changed
    assert "file: https://huggingface.co/timm/mobilevit_s.cvnets_in1k/resolve/main/model.safetensors" in offline
    place = tmp_path / "cache" / "timm--mobilevit_s.cvnets_in1k" / "model.safetensors"
    assert f"to add it by hand: save it as {place} " in offline
    assert "`weights=none`" in offline and "`weights=imagenette` `model=mobilevit_xxs`" in offline


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
