"""Results, drawn images and figures: legible whatever the size of the image and the number of classes."""

import os
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mobilevit.figures import Text
from mobilevit.spec import ClassLabel, labels
from mobilevit.tasks.base import ResultOptions
from mobilevit.tasks.canvas import LARGEST_PX, RIGHT, SMALLEST_PX, WRONG
from mobilevit.tasks.classification.drawing import ROWS, draw
from mobilevit.tasks.classification.result import Classification, Score, decode
from mobilevit.tasks.classification.scores import RECORD, score

RESULT = Classification((Score("a", "cat", 0.9), Score("b", "dog", 0.08), Score("c", "an owl " * 40, 0.02)))


def test_decodes_best_first() -> None:
    result, other = decode(np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]]), labels("abc"), ResultOptions(top_k=2))
    assert [entry.class_name for entry in result.top] == ["b", "c"]
    assert result.best.score == pytest.approx(0.7)
    assert other.best == Score("a", "a", 0.5)
    assert len(decode(np.array([[0.6, 0.4]]), labels("ab"), ResultOptions())[0].top) == 2


def test_says_the_same_to_machines_and_people() -> None:
    result = RESULT.of("photos/cat.jpg", (640, 480))
    assert result.to_dict()["top"][0] == {"class_id": "a", "class_name": "cat", "score": 0.9}
    assert (result.to_dict()["width"], result.to_dict()["height"]) == (640, 480)
    assert result.row()["class"] == "cat"
    [record] = result.records()
    assert (record["source"], record["class_name"]) == ("photos/cat.jpg", "cat")
    assert (record["class_id_2"], record["score_2"]) == ("b", 0.08)


@pytest.mark.parametrize(
    "size", [(1, 1), (8, 8), (64, 48), (320, 320), (1000, 600), (5000, 40), (3, 4000), (4000, 3000)]
)
def test_the_card_can_be_read_at_every_size(size: tuple[int, int]) -> None:
    card = draw(Image.new("RGB", size, "#336699"), RESULT, None)
    assert SMALLEST_PX <= card.width <= max(LARGEST_PX, 2 * SMALLEST_PX)
    strip = np.asarray(draw(Image.new("RGB", (320, 320)), RESULT, None))[320:]
    assert np.asarray(card)[-strip.shape[0] :].min() < 60, "dark letters"


def test_the_image_itself_stays_as_it_is() -> None:
    for side in (20, 400):
        image = Image.effect_noise((side, side), 60).convert("RGB")
        before = image.tobytes()
        draw(image, RESULT, ClassLabel("b", "dog"))
        assert image.tobytes() == before


def colors_of(card: Image.Image) -> set[str]:
    found = card.getcolors(card.width * card.height) or []
    return {f"#{red:02x}{green:02x}{blue:02x}" for _, (red, green, blue) in found}


@pytest.mark.parametrize(
    ("truth", "colors"), [(None, set()), ("a", {RIGHT}), ("b", {RIGHT, WRONG}), ("unlikely", {RIGHT, WRONG})]
)
def test_right_is_green_and_wrong_is_red(truth: str | None, colors: set[str]) -> None:
    card = draw(Image.new("RGB", (400, 300)), RESULT, ClassLabel(truth, truth) if truth else None)
    assert colors_of(card) & {RIGHT, WRONG} == colors


def test_a_truth_that_is_not_shown_gets_its_own_row() -> None:
    rows = [Score(name, name, 0.2) for name in "abcde"]
    shown = draw(Image.new("RGB", (400, 300)), Classification(tuple(rows)), ClassLabel("b", "b"))
    added = draw(Image.new("RGB", (400, 300)), Classification(tuple(rows)), ClassLabel("e", "e"))
    assert len(rows) > ROWS
    assert added.height > shown.height


@pytest.mark.parametrize(
    ("classes", "present"), [(2, 2), (3, 1), (10, 10), (30, 30), (60, 60), (100, 10), (1000, 1000)]
)
def test_every_number_of_classes_gives_figures(classes: int, present: int) -> None:
    rng = np.random.default_rng(classes)
    records = np.zeros(5 * present, RECORD)
    records["index"] = np.arange(len(records))
    records["label"] = np.arange(len(records)) % present
    records["prediction"] = np.where(
        rng.random(len(records)) < 0.7, records["label"], rng.integers(0, classes, len(records))
    )
    records["confidence"] = rng.uniform(1 / classes, 1.0, len(records))
    scores = score(records, labels(f"a class of number {k}" for k in range(classes)))
    for title, figure in scores.plots().items():
        png = BytesIO()
        figure.savefig(png, dpi=20)
        assert Image.open(png).width > 60, title


def test_dollar_signs_in_names_are_no_mathematics() -> None:
    names = ["US$ {x} CA$", "a$\\frac$b"]
    records = np.zeros(4, RECORD)
    records["index"], records["label"] = range(4), [0, 0, 1, 1]
    for title, figure in score(records, labels(names)).plots().items():
        figure.savefig(BytesIO(), format="png", dpi=20)
        if title != "Reliability":
            assert set(names) <= {text.get_text() for text in figure.findobj(Text)}, title


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "bogus", "svg"])
def test_figures_need_no_backend_and_leave_the_choice_of_one_alone(backend: str) -> None:
    """A notebook names its own for every command that it starts."""
    code = (
        "import io, os; from mobilevit.figures import Figure; Figure().savefig(io.BytesIO(), format='png'); "
        "import matplotlib; print(os.environ['MPLBACKEND'], matplotlib.get_backend())"
    )
    environment = {**os.environ, "MPLBACKEND": backend}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    named, chosen = done.stdout.split()
    assert named == backend
    assert backend != "svg" or chosen == "svg"


def test_figures_leave_the_global_state_of_matplotlib_alone() -> None:
    code = "import sys; from mobilevit.tasks.classification import plots; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
