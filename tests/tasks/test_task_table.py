"""The table of tasks, and the program that runs, is evaluated and is exported."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from mobilevit import tasks
from mobilevit.errors import DataError, UsageError
from mobilevit.spec import ModelSpec, Preprocessing, labels
from mobilevit.tasks.program import Program
from mobilevit.weights.creating import create


def test_the_task_of_a_folder_of_classes(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "1.png")
    assert tasks.recognize(tmp_path).name == "classification"
    assert tasks.recognize(tmp_path, "classification") is tasks.get("classification")


def test_an_unknown_layout_and_a_missing_folder_are_data_errors(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(DataError, match="no known dataset layout"):
        tasks.recognize(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        tasks.recognize(tmp_path / "nowhere")


def test_a_misspelled_task_is_offered_the_right_one() -> None:
    with pytest.raises(UsageError, match="did you mean classification"):
        tasks.get("clasification")


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_the_program_gives_the_model_its_own_order_and_range(order: str) -> None:
    model = create("mobilevit_xxs", classes=labels("abc")).eval()
    spec = ModelSpec("mobilevit_xxs", "classification", labels("abc"), Preprocessing(channel_order=order))  # type: ignore[arg-type]
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        outputs = Program(model, spec, tasks.get("classification"))(images)
        expected = model((images.flip(1) if order == "bgr" else images) / 255).softmax(1)
    torch.testing.assert_close(outputs["probabilities"], expected)


def test_targets_follow_the_classes_of_the_model() -> None:
    assert tasks.get("classification").relabel(1, [7, 3, 5]) == 3
