"""report.html of a real evaluation: complete, self-contained, and safe with any name."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mobilevit import tasks
from mobilevit.datasets.options import ReadOptions
from mobilevit.errors import OutputError
from mobilevit.evaluation import Evaluation, evaluate_runner
from mobilevit.reporting import report
from mobilevit.runners import runner_for
from mobilevit.spec import Preprocessing
from mobilevit.weights.creating import create, spec_of

HOSTILE_CLASS = "<script>alert(1)<"
HOSTILE_FILE = '"><img src=x onerror=alert(2)>.png'
FACTS = {"command": "mobilevit train '<data>' --lr 1e-3", "training time": "1.5 min", "device": "cpu"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(0)
    for name in (HOSTILE_CLASS, "dog", "Øresund"):
        for split in ("train", "val"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for file in (HOSTILE_FILE, "1.png", "2.png"):
                Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(folder / file, "PNG")
    return root


@pytest.fixture(scope="module")
def evaluated(data: Path) -> tuple[Any, Evaluation]:
    """The dataset, and how an untrained model did on it."""
    task = tasks.recognize(data)
    dataset = task.read(data, ReadOptions())
    torch.manual_seed(0)
    model: Any = create("mobilevit_xxs", classes=dataset.classes)
    model.spec = replace(spec_of(model), preprocessing=Preprocessing(image_size=32, resize_px=36))
    return dataset, evaluate_runner(
        runner_for(model.eval(), device="cpu"), task, dataset, "val", batch_size=4, num_workers=0
    )


def history(epochs: int) -> list[dict[str, float]]:
    return [
        {"epoch": n, "lr": 1e-3 / n, "train_loss": 2 / n, "image_size": 64, "val_top1": 1 - 1 / n, "val_nll": 1 / n}
        for n in range(1, epochs + 1)
    ]


def write(folder: Path, evaluated: tuple[Any, Evaluation], epochs: int = 3) -> "Page":
    dataset, evaluation = evaluated
    (folder / "config.json").write_text(
        '{"model": "<b>mobilevit_xxs</b>", "seed": 0, "train_on": ["train", "val"], "optim": {"ema_decay": 0.9995}}'
    )
    path = report.write(
        folder,
        task=tasks.get(dataset.task),
        dataset=dataset,
        spec=evaluation.spec,
        history=history(epochs),
        evaluation=evaluation,
        facts=FACTS,
    )
    assert path == folder / "report.html"
    return Page(path.read_text(encoding="utf-8"))


class Page(HTMLParser):
    """What a browser would make of it."""

    VOID = ("meta", "img", "source", "br", "wbr", "link")

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source, self.text = source, ""
        self.tags: list[str] = []
        self.urls: list[str] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.urls += [value or "" for name, value in attrs if name in ("src", "srcset", "href", "data")]
        assert not [name for name, _ in attrs if name.startswith("on")], "an event handler"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, evaluated: tuple[Any, Evaluation]) -> Page:
    return write(tmp_path_factory.mktemp("run"), evaluated)


def test_has_every_section(page: Page) -> None:
    sections = (
        "Curves",
        "Scores",
        "Confusion",
        "Reliability",
        "Classes",
        "Worst mistakes",
        "Examples",
        "Configuration",
    )
    for section in (*sections, "Environment"):
        assert section in page.text
    assert FACTS["command"] in page.text
    assert "1.5 min" in page.text
    assert "0.95 M" in page.text  # parameters of XXS with three classes
    assert page.text.count("Øresund") >= 2
    assert page.open == []
    assert "picture" in page.tags and "image" not in page.tags  # a plot is drawn for light and for dark pages


def test_options_stand_as_they_were_given(page: Page) -> None:
    assert "0.9995" in page.text
    assert "train, val" in page.text


def test_says_that_it_was_trained_on_what_it_is_scored_on(
    page: Page, tmp_path: Path, evaluated: tuple[Any, Evaluation], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "say nothing of new ones" not in page.text
    monkeypatch.setitem(FACTS, report.TRAINED_ON, "train, val")
    assert "say nothing of new ones" in write(tmp_path, evaluated).text


def test_explains_what_names_do_not_say(page: Page) -> None:
    assert "log(number of classes) is guessing" in page.text
    assert "calibration error, how far" in page.text
    assert report.SIZE_NOTE in page.text


def test_needs_nothing_but_itself(page: Page) -> None:
    assert page.urls
    assert all(url.startswith("data:image/") for url in page.urls)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert "url(" not in page.source
    assert "@import" not in page.source


def test_names_are_text_and_nothing_else(page: Page) -> None:
    assert HOSTILE_CLASS in page.text
    assert HOSTILE_FILE in page.text
    assert "<b>mobilevit_xxs</b>" in page.text
    assert HOSTILE_CLASS not in page.source
    assert HOSTILE_FILE not in page.source


def test_shows_images_that_are_still_there(
    page: Page, tmp_path: Path, data: Path, evaluated: tuple[Any, Evaluation]
) -> None:
    before = page.tags.count("img")
    image = data / "val" / "dog" / "2.png"
    content = image.read_bytes()
    image.unlink()
    try:
        after = write(tmp_path, evaluated, epochs=1)
    finally:
        image.write_bytes(content)
    assert 2 <= before - after.tags.count("img") <= 3  # the curves; the image as an example, and as a mistake
    assert "Curves" not in after.text  # one epoch is none


def test_a_folder_that_is_not_there(tmp_path: Path, evaluated: tuple[Any, Evaluation]) -> None:
    dataset, evaluation = evaluated
    task = tasks.get(dataset.task)
    with pytest.raises(OutputError, match=r"report\.html"):
        report.write(
            tmp_path / "none",
            task=task,
            dataset=dataset,
            spec=evaluation.spec,
            history=[],
            evaluation=evaluation,
            facts={},
            max_examples=2,
        )
