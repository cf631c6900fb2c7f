"""Every fenced block of the documents is run as it stands, in order, in a folder of its document's own.

The folder holds what the document names, made small (`material`). The table SHORTER may shorten a line, and each of its
rows must be of use. Weights come from a server on this machine.
"""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from blocks import DOCUMENTS, PARSED, ROOT, RUN, SHOWN, Block, blocks
from material import ELSEWHERE, NOT_RUN, SHORTER, lay_out, weights_server

BLOCKS = {document.relative_to(ROOT).as_posix(): blocks(document) for document in DOCUMENTS}


def runnable(document: str) -> list[Block]:
    """The blocks of a document that the test below runs."""
    found = () if document in ELSEWHERE else BLOCKS[document]
    return [block for block in found if block.language in RUN and not block.not_run]


PARSERS = {"toml": tomllib.loads, "json": json.loads}


@pytest.mark.parametrize("document", BLOCKS)
def test_every_block_says_what_it_is(document: str) -> None:
    known = (*RUN, *PARSED, *SHOWN)
    unknown = [one.place for one in BLOCKS[document] if one.language not in known and not one.not_run]
    assert unknown == [], f"neither of {known} nor marked as not run"


def test_what_is_not_run_is_counted() -> None:
    assert {name: count for name, found in BLOCKS.items() if (count := sum(one.not_run for one in found))} == NOT_RUN


@pytest.mark.parametrize(("document", "test"), ELSEWHERE.items())
def test_what_is_run_elsewhere_is(document: str, test: str) -> None:
    assert Path(document).name in (ROOT / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", BLOCKS)
def test_what_is_parsed_is_whole(document: str) -> None:
    for block in BLOCKS[document]:
        if block.language in PARSED:
            PARSERS[block.language](block.text)


def test_every_row_that_shortens_is_of_use() -> None:
    rows = [(name, part) for name, parts in SHORTER.items() for part in parts]
    assert rows
    for name, part in rows:
        assert any(part in block.text for block in runnable(name)), (name, part)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """As a user's, with the weights of a server on this machine and caches of its own."""
    cache = tmp_path_factory.mktemp("cache")
    with weights_server() as url:
        yield {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HF_ENDPOINT": url,
            "HF_HUB_CACHE": str(cache / "hub"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "MOBILEVIT_CACHE": str(cache / "mobilevit"),
        }


@pytest.mark.system
@pytest.mark.parametrize("document", [name for name in BLOCKS if runnable(name)])
def test_the_document_runs(document: str, tmp_path: Path, environment: dict[str, str]) -> None:
    lay_out(document, tmp_path)
    run = [(block.place, block.language, _shorter(block)) for block in runnable(document)]
    program = [sys.executable, str(Path(__file__).with_name("run_blocks.py"))]
    done = subprocess.run(program, input=json.dumps(run), cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def _shorter(block: Block) -> str:
    text = block.text
    for part, shorter in SHORTER.get(block.document, {}).items():
        text = text.replace(part, shorter)
    return text
