"""Results, verdicts, drawn images and figures of a detector: right, and legible at every size."""

import json
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mobilevit.datasets.box_target import Boxes
from mobilevit.errors import UsageError
from mobilevit.images.transforms import AugmentConfig
from mobilevit.models.anchor_sizes import PAPER_SIZES
from mobilevit.models.anchors import anchors_of
from mobilevit.models.ssdlite import SSDOutput
from mobilevit.spec import ClassLabel, ModelSpec, labels
from mobilevit.tasks.base import ResultOptions
from mobilevit.tasks.canvas import LARGEST_PX, SMALLEST_PX
from mobilevit.tasks.detection.drawing import MISTAKEN, RIGHT, WRONG, draw, draw_target
from mobilevit.tasks.detection.error_types import Verdict, compare
from mobilevit.tasks.detection.label_placement import Spots
from mobilevit.tasks.detection.metric import DetectionMetric
from mobilevit.tasks.detection.plots import COLORS, precision_recall
from mobilevit.tasks.detection.result import Detections, Object, choose
from mobilevit.tasks.detection.task import DetectionTask

CLASSES = (ClassLabel("c", "cat"), ClassLabel("d", "dog"), ClassLabel("o", "an owl " * 40))
SPEC = ModelSpec("ssdlite_mobilevit_xxs", "detection", CLASSES)
TASK = DetectionTask()
SIZE = (200, 100)


def an_object(label: int, score: float, *box: float) -> Object:
    return Object(CLASSES[label].id, CLASSES[label].name, score, (box[0], box[1], box[2], box[3]), label)


RESULT = Detections(
    (an_object(0, 0.9, 10, 10, 60, 60), an_object(1, 0.5, 100, 20, 150, 90), an_object(2, 0.4, 190, 0, 200, 10)),
    "photos/pets.jpg",
    SIZE,
)
TRUTH = Boxes.of([(12, 10, 60, 60), (20, 70, 60, 95)], [0, 1], SIZE)


# -- results


def test_decodes_the_highest_score_first_and_in_pixels() -> None:
    boxes = [[0.1, 0.2, 0.5, 0.6], [0.5, 0.5, 1.2, 1.1], [-0.2, 0.0, 0.1, 0.1], [0.0, 0.0, 0.3, 0.3]]
    scores = [[0.4, 0.0, 0.0], [0.0, 0.9, 0.0], [0.0, 0.0, 0.31], [0.29, 0.2, 0.1]]
    outputs = {"boxes": np.array([boxes], np.float32), "scores": np.array([scores], np.float32)}
    [result] = TASK.decode(outputs, SPEC)
    found = result.of("a.jpg", SIZE).objects
    assert [(each.class_id, each.label) for each in found] == [("d", 1), ("c", 0), ("o", 2)]
    assert found[0].box_xyxy == pytest.approx((100, 50, 200, 100)), "clipped to the image"
    assert found[1].box_xyxy == pytest.approx((20, 20, 100, 60))
    [limited] = TASK.decode(outputs, SPEC, ResultOptions(top_k=1, score_threshold=0.05))
    assert [each.class_name for each in limited.objects] == ["dog"]
    [many] = TASK.decode(outputs, SPEC, ResultOptions(score_threshold=0.05))
    assert len(many.objects) == 6


def test_what_the_model_says_is_decoded_by_its_anchors() -> None:
    anchors = anchors_of(PAPER_SIZES, [torch.empty(1, 0, side, side) for side in (2, 1, 1, 1, 1, 1)])
    logits = torch.randn(2, len(anchors), 4)
    outputs = TASK.postprocess(SSDOutput(logits, torch.zeros(2, len(anchors), 4), anchors))
    assert outputs["boxes"].shape == (2, len(anchors), 4)
    torch.testing.assert_close(outputs["boxes"][0, 0], torch.tensor([0.2, 0.2, 0.3, 0.3]))
    torch.testing.assert_close(outputs["scores"], logits.softmax(2)[..., 1:])


@given(seed=st.integers(0, 10**6), top=st.integers(1, 30), least=st.sampled_from([0.0, 0.3, 0.9]))
@settings(deadline=None, max_examples=30)
def test_what_is_chosen_obeys_its_limits(seed: int, top: int, least: float) -> None:
    rng = np.random.default_rng(seed)
    corner, side = rng.random((60, 2), np.float32), rng.random((60, 2), np.float32) - np.float32(0.2)
    chosen = choose(np.concatenate([corner, corner + side], 1), rng.random((60, 3), np.float32), least, top)
    assert len(chosen.scores) <= top
    assert (chosen.scores > least).all()
    assert (np.diff(chosen.scores) <= 0).all()
    assert ((chosen.boxes >= 0) & (chosen.boxes <= 1)).all()
    assert (chosen.boxes[:, 2:] > chosen.boxes[:, :2]).all()


def test_says_the_same_to_machines_and_people() -> None:
    said = json.loads(json.dumps(RESULT.to_dict()))
    assert (said["source"], said["width"], said["height"]) == ("photos/pets.jpg", 200, 100)
    assert said["objects"][0] == {"class_id": "c", "class_name": "cat", "score": 0.9, "box_xyxy": [10, 10, 60, 60]}
    row = RESULT.row()
    assert (row["objects"], row["found"].startswith("1 x cat, 1 x dog")) == ("3", True)
    assert Detections(()).row()["found"] == "no objects"
    first, *others = RESULT.records()
    assert (first["source"], first["class_name"], first["score"], first["x_max"]) == ("photos/pets.jpg", "cat", 0.9, 60)
    assert all(record.keys() == first.keys() for record in others)
    assert Detections(()).records() == []
    assert RESULT.mask() is None


def test_a_result_follows_the_size_of_its_image() -> None:
    again = RESULT.of("large.jpg", (400, 200)).of("small.jpg", SIZE)
    np.testing.assert_allclose(again.boxes, RESULT.boxes)


# -- verdicts


@pytest.mark.parametrize(
    ("box", "label", "verdict"),
    [
        ((12, 10, 60, 60), 0, Verdict.RIGHT),
        ((40, 30, 90, 80), 0, Verdict.LOCALIZATION),
        ((12, 10, 60, 60), 2, Verdict.CLASSIFICATION),
        ((120, 0, 160, 40), 0, Verdict.BACKGROUND),
        ((120, 70, 160, 90), 1, Verdict.IGNORED),
    ],
)
def test_kinds_of_mistake(box: tuple[int, ...], label: int, verdict: Verdict) -> None:
    truth = Boxes.of([(10, 10, 60, 60), (100, 60, 200, 100)], [0, 1], SIZE, [False, True])
    comparison = compare(np.array([box], np.float32), np.array([label]), truth)
    assert comparison.verdicts.tolist() == [verdict]
    assert comparison.missed.tolist() == [verdict != Verdict.RIGHT, False]
    assert comparison.errors == (0 if verdict == Verdict.RIGHT else 1 if verdict == Verdict.IGNORED else 2)


def test_of_two_boxes_on_one_object_the_surer_is_right() -> None:
    boxes = np.array([(14, 10, 60, 60), (10, 10, 60, 60)], np.float32)
    comparison = compare(boxes, np.array([0, 0]), TRUTH)
    assert comparison.verdicts.tolist() == [Verdict.RIGHT, Verdict.DUPLICATE]
    assert comparison.owners.tolist() == [0, -1]


@given(seed=st.integers(0, 10**6), count=st.integers(0, 12), objects=st.integers(0, 5))
@settings(deadline=None, max_examples=50)
def test_no_verdict_depends_on_boxes_that_are_less_sure(seed: int, count: int, objects: int) -> None:
    """So the comparison of all boxes holds that of the boxes above any threshold."""
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 40, (count + objects, 2)), rng.uniform(10, 60, (count + objects, 2))
    boxes, labeled = np.concatenate([corner, corner + side], 1).astype(np.float32), rng.integers(0, 2, count + objects)
    truth = Boxes.of(boxes[count:], labeled[count:], (100, 100), rng.random(objects) < 0.3)
    whole = compare(boxes[:count], labeled[:count], truth)
    for first in range(count + 1):
        for mine, theirs in zip(whole.of_first(first), compare(boxes[:first], labeled[:first], truth), strict=True):
            assert np.array_equal(mine, theirs)


def test_nothing_compares_with_nothing() -> None:
    nothing = compare(np.empty((0, 4), np.float32), np.empty(0, np.int64), Boxes.of([], [], SIZE))
    assert nothing.errors == 0


# -- drawn images


@pytest.mark.parametrize(
    "size", [(1, 1), (8, 8), (64, 48), (320, 320), (1000, 600), (5000, 40), (3, 4000), (4000, 3000)]
)
def test_images_of_every_size_can_be_drawn_on(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, "#336699")
    result = RESULT.of("", size)
    truth = Boxes.of(TRUTH.boxes * np.array(size * 2) / np.array(SIZE * 2), TRUTH.labels, size)
    for card in (draw(image, result, None, CLASSES), draw(image, result, truth, CLASSES)):
        assert SMALLEST_PX <= card.width <= max(LARGEST_PX, 2 * SMALLEST_PX)
        assert card.mode == "RGB"
    assert draw_target(image, truth).size == size
    assert image.getcolors() == [(size[0] * size[1], (0x33, 0x66, 0x99))], "the image itself stays as it is"


def test_a_reduced_image_is_drawn_on_as_the_whole_one() -> None:
    """Predictions of many large images keep smaller ones to draw on: boxes are where they were."""
    large = Image.new("RGB", (3200, 1600))
    result = RESULT.of("", large.size)
    cards = [draw(image, result, None, ()) for image in (large, large.resize((1280, 640)))]
    assert np.array_equal(*map(np.asarray, cards))


def colors_of(card: Image.Image) -> set[str]:
    found = card.getcolors(card.width * card.height) or []
    return {f"#{red:02x}{green:02x}{blue:02x}" for _, (red, green, blue) in found}


@pytest.mark.parametrize(
    ("result", "truth", "colors"),
    [
        (RESULT, None, set()),
        (RESULT, TRUTH, {RIGHT, WRONG, MISTAKEN}),
        (Detections((), size=SIZE), TRUTH, {RIGHT, WRONG}),  # "0 right" has its square too
        (Detections(RESULT.objects[:1], size=SIZE), TRUTH.chosen(np.array([0])), {RIGHT}),
    ],
)
def test_colors_say_what_was_right(result: Detections, truth: Boxes | None, colors: set[str]) -> None:
    card = draw(Image.new("RGB", SIZE), result, truth, CLASSES)
    assert colors_of(card) & {RIGHT, WRONG, MISTAKEN} == colors


def test_a_class_has_one_color() -> None:
    first = colors_of(draw(Image.new("RGB", SIZE), Detections(RESULT.objects[:1], size=SIZE), None, ()))
    other = colors_of(draw(Image.new("RGB", SIZE), Detections(RESULT.objects[1:2], size=SIZE), None, ()))
    target = colors_of(draw_target(Image.new("RGB", SIZE), TRUTH.chosen(np.array([0]))))
    assert target & first - other


@given(seed=st.integers(0, 10**6), count=st.integers(1, 30))
@settings(deadline=None, max_examples=30)
def test_labels_stay_in_the_image_and_apart_where_there_is_room(seed: int, count: int) -> None:
    rng, size = np.random.default_rng(seed), (640, 480)
    starts = rng.integers(0, 400, (count, 2))
    boxes = [tuple(row) for row in np.concatenate([starts, starts + rng.integers(5, 80, (count, 2))], axis=1).tolist()]
    spots = Spots(size, boxes)
    for box in boxes:
        before = spots.taken
        text, (left, top, right, bottom) = spots.take(box, [("long", (90, 18)), ("short", (30, 18))])
        assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
        assert right - left == {"long": 90, "short": 30}[text]
        clash = (np.minimum(before[:, 2:], (right, bottom)) - np.maximum(before[:, :2], (left, top)) > 0).all(axis=1)
        assert text == "short" or not clash.any()


def test_lonely_labels_stand_above_their_box() -> None:
    assert Spots((200, 200), [(50, 50, 100, 100)]).take((50, 50, 100, 100), [("a", (30, 10))])[1] == (50, 40, 80, 50)


# -- figures


@pytest.mark.parametrize("classes", [1, 3, 50])
def test_every_number_of_classes_gives_figures(classes: int) -> None:
    rng = np.random.default_rng(classes)
    metric = DetectionMetric(labels(f"a class of number {k}" for k in range(classes)))
    for index in range(40):
        corner = np.column_stack([np.arange(8) * 50.0, rng.uniform(0, 50, 8)])
        truth = Boxes.of(np.concatenate([corner, corner + 40], 1), rng.integers(0, classes, 8), (400, 100))
        scores = np.zeros((1, 8, classes), np.float32)
        scores[0, np.arange(8), np.where(rng.random(8) < 0.8, truth.labels, 0)] = rng.uniform(0.1, 1, 8)
        boxes = truth.boxes[None] / np.array(truth.size * 2, np.float32)
        metric.update({"boxes": boxes, "scores": scores}, [truth], np.array([index]))
    for title, figure in metric.compute().plots().items():
        png = BytesIO()
        figure.savefig(png, dpi=20)
        assert Image.open(png).width > 60, title


def test_of_many_classes_the_best_and_the_worst_are_named() -> None:
    curves = {f"class {k}": np.full(101, k / 30) for k in range(30)}
    named = [text.get_text() for text in precision_recall(curves).legends[0].get_texts()]
    assert len(named) == len(COLORS) + 1
    assert named[0].startswith("class 29") and named[-2].startswith("class 0")


# -- the task


@pytest.mark.parametrize("option", [{"mixup": 0.2}, {"cutmix": 1.0}, {"randaugment": True}, {"erasing": 0.1}])
def test_what_changes_labels_of_images_is_refused(option: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="classification"):
        TASK.batch_augment(AugmentConfig(**option), 3)
    assert TASK.batch_augment(AugmentConfig(photometric=True), 3) is None


def test_scoring_libraries_are_imported_when_something_is_scored() -> None:
    code = (
        "import sys; from mobilevit import tasks; from mobilevit.tasks.detection import metric, drawing, result; "
        "print({'faster_coco_eval', 'pandas', 'plotly', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
