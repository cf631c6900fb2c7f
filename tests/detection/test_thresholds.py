"""The score threshold of a detector: the best of its curve, stored with the model, used by whoever tells objects."""

import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from mobilevit.cli import main
from mobilevit.datasets.box_target import Boxes
from mobilevit.errors import DataError, UsageError, WeightsError
from mobilevit.evaluation import NotStoredError, evaluate
from mobilevit.inference import Predictor
from mobilevit.spec import Criterion, ModelSpec, ScoreThreshold, labels
from mobilevit.tasks.detection.metric import DetectionMetric
from mobilevit.tasks.detection.result import SCORE_THRESHOLD
from mobilevit.tasks.detection.scores import Record
from mobilevit.tasks.detection.task import DetectionTask
from mobilevit.tasks.detection.thresholds import Curve, best
from mobilevit.text import to_json
from mobilevit.weights import model_file
from mobilevit.weights.creating import create, spec_of

TASK, CLASSES, SIZE = DetectionTask(), labels(["cat", "dog"]), (100, 100)
F1 = Criterion("f1")
STORED = ScoreThreshold(0.4375, "f1", 0.75, 0.5, "birds", "val", 87, "a note")

# -- the choice


@st.composite
def records(draw: st.DrawFn) -> dict[int, Record]:
    """Objects in cells that do not touch, some to be ignored; boxes on them, on none, and on one twice; many scores are
    the same."""
    made = {}
    for index in range(draw(st.integers(1, 4))):
        cells = draw(st.lists(st.integers(0, 15), max_size=6, unique=True))
        truth = Boxes.of([_cell(c) for c in cells], [c % 2 for c in cells], SIZE, [draw(st.booleans()) for _ in cells])
        guesses = draw(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 1), st.integers(1, 9)), max_size=8))
        guesses.sort(key=lambda guess: -guess[2])
        boxes = np.array([_cell(cell) for cell, _, _ in guesses], np.float32).reshape(-1, 4)
        scores = np.array([score / 10 for *_, score in guesses], np.float32)
        made[index] = Record(truth, boxes, scores, np.array([label for _, label, _ in guesses], np.int64))
    return made


def _cell(place: int) -> tuple[float, float, float, float]:
    left, top = 25.0 * (place % 4), 25.0 * (place // 4)
    return left, top, left + 20, top + 20


def metric_of(made: dict[int, Record], score_threshold: float = SCORE_THRESHOLD) -> DetectionMetric:
    metric = DetectionMetric(CLASSES, score_threshold)
    metric._records |= made
    return metric


def textbook(made: dict[int, Record], threshold: float) -> tuple[int, int, int]:
    """Boxes above a threshold that are right, those that are right or wrong, and objects: counted box by box."""
    right = told = objects = 0
    for record in made.values():
        truth = record.truth
        free = [k for k in range(len(truth)) if not truth.ignore[k]]
        objects += len(free)
        for box, score, label in zip(record.boxes, record.scores, record.labels, strict=True):
            if not score > np.float32(threshold):
                continue
            same = [k for k in range(len(truth)) if (truth.boxes[k] == box).all() and truth.labels[k] == label]
            if [k for k in same if k in free]:
                free.remove(next(k for k in same if k in free))
                right, told = right + 1, told + 1
            elif not any(truth.ignore[k] for k in same):
                told += 1
    return right, told, objects


def shares(counts: tuple[int, int, int]) -> tuple[float, float, float]:
    """Precision, recall and F1."""
    right, told, objects = counts
    return right / max(told, 1), right / max(objects, 1), 2 * right / max(told + objects, 1)


EVERY = [step / 20 for step in range(20)]  # between and at the scores


@given(made=records())
@settings(deadline=None, max_examples=60)
def test_no_threshold_has_a_better_f1(made: dict[int, Record]) -> None:
    scores = metric_of(made).compute()
    chosen = scores.threshold(F1)
    counts = {threshold: textbook(made, threshold) for threshold in EVERY}
    highest = max(shares(count)[2] for count in counts.values())
    if chosen is None:
        assert highest == 0
        return
    precision, recall, f1 = shares(textbook(made, chosen.value))
    assert (chosen.precision, chosen.recall) == pytest.approx((precision, recall), abs=1e-12)
    assert chosen.f1 == pytest.approx(f1, abs=1e-9) == pytest.approx(highest, abs=1e-9)
    above = [threshold for threshold in EVERY if threshold > chosen.value and counts[threshold][1]]
    told = {threshold: counts[threshold][1] for threshold in above}
    equal = [t for t in above if shares(counts[t])[2] == f1 and told[t] < textbook(made, chosen.value)[1]]
    assert not equal, "of equal ones the highest"


@given(made=records(), least=st.sampled_from([0.1, 0.5, 0.9, 1.0]), name=st.sampled_from(["precision", "recall"]))
@settings(deadline=None, max_examples=60)
def test_what_is_asked_for_is_met_with_the_best_of_the_other(made: dict[int, Record], least: float, name: str) -> None:
    scores = metric_of(made).compute()
    asked, other = (0, 1) if name == "precision" else (1, 0)
    known = [shares(count) for count in (textbook(made, threshold) for threshold in EVERY) if count[1]]
    met = [one for one in known if one[asked] >= least]
    if scores.threshold(F1) is None:
        assert scores.threshold(Criterion(name, least)) is None
    elif met:
        chosen = scores.threshold(Criterion(name, least))
        assert chosen is not None and chosen.criterion == f"{name}={least:g}"
        reached = shares(textbook(made, chosen.value))
        assert reached[asked] >= least
        assert reached[other] == pytest.approx(max(one[other] for one in met), abs=1e-12)
    else:
        with pytest.raises(DataError, match=rf"{name} of {least:g}: the best that can be had is [\d.]+, above a score"):
            scores.threshold(Criterion(name, least))


@given(made=records())
@settings(deadline=None, max_examples=30)
def test_the_curve_is_what_each_threshold_gives(made: dict[int, Record]) -> None:
    curve = metric_of(made).compute().curve
    assert (np.diff(curve.scores) < 0).all()
    for place, (precision, recall) in enumerate(zip(curve.precision, curve.recall, strict=True)):
        threshold = curve.threshold(place)
        assert (precision, recall) == pytest.approx(shares(textbook(made, threshold))[:2], abs=1e-12)
        assert curve.at(threshold) == (precision, recall)
    for threshold in EVERY:
        count = textbook(made, threshold)
        if count[1]:
            assert curve.at(threshold) == pytest.approx(shares(count)[:2], abs=1e-12)


def test_the_best_that_can_be_had_can_be_asked_for() -> None:
    curve = Curve(np.array([0.8, 0.5], "f4"), np.array([2 / 3, 1 / 2]), np.array([1 / 3, 2 / 3]))
    for name in ("precision", "recall"):
        with pytest.raises(DataError, match=r"the best that can be had is 0\.666, above a score of 0\.[73]"):
            best(curve, Criterion(name, 0.9))
        assert best(curve, Criterion(name, 0.666)) is not None


def test_scores_that_are_nearly_the_same_are_told_apart() -> None:
    """Neighbors among the numbers of float32: the threshold lies at the lower one, which is not told."""
    high = np.float32(0.7)
    scores = np.array([high, np.nextafter(high, np.float32(0))], np.float32)
    truth = Boxes.of([_cell(0)], [0], SIZE)
    record = Record(truth, np.array([_cell(0), _cell(5)], np.float32), scores, np.array([0, 0]))
    chosen = metric_of({0: record}).compute().threshold(F1)
    assert chosen is not None and (chosen.precision, chosen.recall) == (1, 1)
    assert (scores > chosen.value).tolist() == (torch.from_numpy(scores) > chosen.value).tolist() == [True, False]


def test_a_threshold_has_as_few_digits_as_can_be() -> None:
    record = Record(
        Boxes.of([_cell(0)], [0], SIZE),
        np.array([_cell(0), _cell(5)], np.float32),
        np.array([0.71342, 0.70871], np.float32),
        np.array([0, 0]),
    )
    chosen = metric_of({0: record}).compute().threshold(F1)
    assert chosen is not None and chosen.value == 0.71


@given(made=records(), threshold=st.sampled_from(EVERY))
@settings(deadline=None, max_examples=20)
def test_average_precision_takes_no_notice_of_it(made: dict[int, Record], threshold: float) -> None:
    """Bit for bit; nor do the curves. Mistakes do: those of the boxes that are told."""
    mine, theirs = metric_of(made, threshold).compute(), metric_of(made).compute()
    assert mine.scalars() == theirs.scalars()
    assert mine.per_class == theirs.per_class
    assert np.array_equal(mine.coco.precision, theirs.coco.precision, equal_nan=True)
    right, told, _ = textbook(made, threshold)
    assert sum(row.found for row in mine.mistakes) == right
    assert sum(row.found + row.false for row in mine.mistakes) == told


@pytest.mark.parametrize("text", ["f1", "precision=0.95", "recall=1"])
def test_a_criterion_is_its_text(text: str) -> None:
    assert str(Criterion.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("f2", "did you mean f1"),
        ("recal=0.9", "did you mean recall=0.9"),
        ("precision", "invalid criterion 'precision': give one such as precision=0.95"),
        ("precision=95", "above 0 and up to 1"),
        ("recall=0", "above 0 and up to 1"),
        ("recall=nan", "above 0 and up to 1"),
        ("recall=much", "above 0 and up to 1"),
        ("f1=0.5", "invalid criterion 'f1=0.5': give f1$"),
        ("", "criterion"),
    ],
)
def test_a_criterion_that_cannot_be(text: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        Criterion.parse(text)


# -- in the model file


@pytest.mark.parametrize("threshold", [None, STORED])
def test_a_threshold_survives_its_text(threshold: ScoreThreshold | None) -> None:
    spec = ModelSpec("ssdlite_mobilevit_xxs", "detection", CLASSES, score_threshold=threshold)
    assert model_file.read_spec(spec.to_json()) == spec


def test_an_older_spec_has_none() -> None:
    stored = json.loads(ModelSpec("ssdlite_mobilevit_xxs", "detection", CLASSES).to_json())
    del stored["score_threshold"]
    assert model_file.read_spec(json.dumps(stored)).score_threshold is None


@pytest.mark.parametrize(
    "change",
    [
        {"value": 1.0}, {"value": -0.1}, {"value": float("nan")}, {"value": "0.5"}, {"value": True}, {"value": None},
        {"criterion": "f3"}, {"criterion": "precision=2"}, {"criterion": 1}, {"criterion": None},
        {"precision": 1.5}, {"recall": float("inf")}, {"recall": [0.5]},
        {"dataset": 3}, {"split": None}, {"images": -1}, {"images": 1.5}, {"images": True}, {"surprise": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_stored_threshold_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    spec = json.loads(ModelSpec("ssdlite_mobilevit_xxs", "detection", CLASSES, score_threshold=STORED).to_json())
    spec["score_threshold"] |= change
    for read in (model_file.read_spec, ModelSpec.from_json):  # of a model file, and of the manifest of an exported one
        with pytest.raises(WeightsError, match="spec"):
            read(json.dumps(spec))
    for other in ([0.5], 0.5, "f1", {}):
        with pytest.raises(WeightsError, match="spec"):
            model_file.read_spec(json.dumps(spec | {"score_threshold": other}))


@pytest.mark.parametrize(
    ("architecture", "task"), [("mobilevit_xxs", "classification"), ("deeplabv3_mobilevit_xxs", "segmentation")]
)
def test_other_tasks_have_none(architecture: str, task: str) -> None:
    with pytest.raises(WeightsError, match="score_threshold"):
        model_file.read_spec(ModelSpec(architecture, task, CLASSES, score_threshold=STORED).to_json())


@pytest.fixture(scope="module")
def detector() -> nn.Module:
    torch.manual_seed(0)
    return create("ssdlite_mobilevit_xxs", classes=CLASSES).eval()


@pytest.fixture
def model(detector: nn.Module, tmp_path: Path) -> Path:
    """In float16, to see that it stays so."""
    path = tmp_path / "best.safetensors"
    spec = spec_of(detector)
    spec = replace(spec, preprocessing=replace(spec.preprocessing, image_size=64, resize_px=64))
    model_file.save(path, model_file.in_half(detector.state_dict()), spec)
    return path


def test_rewriting_leaves_the_tensors_as_they_are(model: Path) -> None:
    before, spec = model_file.load(model)
    size_bytes = model.stat().st_size
    link = model.with_name("link.safetensors")
    link.symlink_to(model)
    model_file.rewrite(link, replace(spec, score_threshold=STORED))
    after, rewritten = model_file.load(model)
    assert link.is_symlink() and rewritten.score_threshold == STORED
    assert [key for key in before if not torch.equal(before[key], after[key])] == []
    assert abs(model.stat().st_size - size_bytes) < 1000, "still float16"


def test_whoever_is_killed_while_rewriting_leaves_a_whole_file(model: Path) -> None:
    code = (
        "import sys; from dataclasses import replace; from pathlib import Path; "
        "from mobilevit.spec import ScoreThreshold; from mobilevit.weights import model_file\n"
        "path = Path(sys.argv[1]); _, spec = model_file.load(path)\n"
        "for round in range(10**6):\n"
        "    threshold = ScoreThreshold(round % 9 / 10, 'f1', 0.5, 0.5)\n"
        "    model_file.rewrite(path, replace(spec, score_threshold=threshold)); print(round, flush=True)\n"
    )
    state, _ = model_file.load(model)
    with subprocess.Popen([sys.executable, "-c", code, str(model)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(3):
            assert writer.stdout.readline(), "it writes"
        writer.send_signal(signal.SIGKILL)
    found, spec = model_file.load(model)
    assert spec.score_threshold is not None
    assert [key for key in state if not torch.equal(state[key], found[key])] == []


# -- in use


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    return path


def with_threshold(model: Path, value: float) -> Path:
    _, spec = model_file.load(model)
    model_file.rewrite(model, replace(spec, score_threshold=replace(STORED, value=value)))
    return model


def test_predictions_take_the_models_own_and_an_explicit_one_wins(
    model: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = [found.score for found in Predictor(model, device="cpu", score_threshold=0.0)(photo)[0].objects]
    middle = float(np.sort(everything)[len(everything) // 2])
    with_threshold(model, middle)
    assert len(everything) > 2

    def told(**options: float) -> list[float]:
        return [found.score for found in Predictor(model, device="cpu", **options)(photo)[0].objects]

    assert told() == [score for score in everything if score > middle]
    assert told(score_threshold=0.0) == everything
    assert main(["predict", str(model), str(photo), "--json"]) == 0
    said = capsys.readouterr()
    assert len(json.loads(said.out)[0]["objects"]) == len(told())
    assert f"score threshold {middle:g}: the best F1 on val of birds, 87 images" in said.err
    assert main(["predict", str(model), str(photo), "--json", "--score-threshold", "0"]) == 0
    said = capsys.readouterr()
    assert len(json.loads(said.out)[0]["objects"]) == len(everything)
    assert "birds" not in said.err


# -- by evaluation


@pytest.fixture
def data(tmp_path: Path, model: Path) -> Path:
    """Images whose boxes are what the model finds highest-scoring in them, so that it is right about something."""
    root = tmp_path / "birds"
    predictor = Predictor(model, device="cpu", score_threshold=0.0, top_k=4)
    for split, seed in (("train", 1), ("val", 2)):
        (root / split).mkdir(parents=True)
        images, boxes = [], []
        for index in range(3):
            pixels = np.random.default_rng(10 * seed + index).integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / split / f"{index}.png")
            images.append({"id": index, "file_name": f"{index}.png", "width": 64, "height": 64})
            for found in predictor(root / split / f"{index}.png")[0].objects:
                left, top, right, bottom = found.box_xyxy
                box = [left, top, right - left, bottom - top]
                boxes.append({"id": len(boxes), "image_id": index, "category_id": found.label, "bbox": box})
        classes = [{"id": k, "name": label.name} for k, label in enumerate(CLASSES)]
        content = {"images": images, "categories": classes, "annotations": boxes}
        (root / split / "_annotations.coco.json").write_text(json.dumps(content))
    return root


def test_evaluation_stores_what_it_was_asked_for(model: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = evaluate(model, data, device="cpu", num_workers=0)
    assert before.spec.score_threshold is None
    assert (
        main(["evaluate", str(model), str(data), "--device", "cpu", "--num-workers", "0", "--store-threshold", "f1"])
        == 0
    )
    said = capsys.readouterr()
    stored = model_file.load(model)[1].score_threshold
    assert stored is not None and stored == before.threshold(F1)
    assert (stored.dataset, stored.split, stored.images, stored.criterion) == ("birds", "val", 3, "f1")
    assert f"now has the score threshold {stored.value:g}: the best F1 on val of birds, 3 images" in said.err
    after = evaluate(model, data, device="cpu", num_workers=0)
    assert after.scores.scalars() == before.scores.scalars(), "bit for bit"
    rows = after.scores.tables()["Score thresholds"]
    assert [row["score"] for row in rows] == [stored.value, stored.value]
    asked = evaluate(model, data, device="cpu", num_workers=0, store_threshold="recall=0.1", split="train")
    assert asked.spec == model_file.load(model)[1]
    assert asked.spec.score_threshold is not None
    assert (asked.spec.score_threshold.criterion, asked.spec.score_threshold.split) == ("recall=0.1", "train")


def test_what_cannot_be_stored_leaves_the_file_as_it_was(model: Path, data: Path, detector: nn.Module) -> None:
    content = model.read_bytes()
    for asked, options, what in (
        (model, {"store_threshold": "f2"}, "criterion"),
        (model, {"store_threshold": "f1", "image_size": 96}, "as it is"),
        (detector, {"store_threshold": "f1", "image_size": 64}, "stored in a model file"),
    ):
        with pytest.raises(UsageError, match=what):
            evaluate(asked, data, device="cpu", num_workers=0, **options)  # type: ignore[arg-type]
    for path in (data / "val").glob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"annotations": []}))
    with pytest.raises(DataError, match="no threshold is stored: on the split 'val'"):
        evaluate(model, data, device="cpu", num_workers=0, store_threshold="f1")
    assert model.read_bytes() == content


def test_a_criterion_that_is_not_reached_stores_nothing_and_loses_nothing(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A box of which no threshold tells enough: half of the objects are where the model sees nothing."""
    content = model.read_bytes()
    for path in (data / "val").glob("*.json"):
        known = json.loads(path.read_text())
        extra = [{"id": 100 + k, "image_id": 0, "category_id": 0, "bbox": [k, k, 1, 1]} for k in range(30)]
        path.write_text(json.dumps(known | {"annotations": known["annotations"] + extra}))
    reason = "no score threshold has a recall of 0.9: the best that can be had is 0."
    with pytest.raises(NotStoredError, match=re.escape(reason)) as caught:
        evaluate(model, data, device="cpu", num_workers=0, store_threshold="recall=0.9")
    assert model.read_bytes() == content
    scores = evaluate(model, data, device="cpu", num_workers=0).scores
    assert caught.value.evaluation.scores.to_dict() == scores.to_dict()
    options = ["--device", "cpu", "--num-workers", "0", "--output", str(tmp_path / "scores"), "--json"]
    assert main(["evaluate", str(model), str(data), *options, "--store-threshold", "recall=0.9"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["scores"] == json.loads(to_json(scores.to_dict()))
    assert json.loads((tmp_path / "scores" / "evaluation.json").read_text())["scores"]
    assert said.err.splitlines()[-1].startswith(f"error: no threshold is stored: {reason}")


def test_a_classifier_has_no_threshold_to_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "classifier.safetensors"
    model = create("mobilevit_xxs", classes=CLASSES)
    model_file.save(path, model.state_dict(), spec_of(model))
    assert main(["evaluate", str(path), str(tmp_path), "--store-threshold", "f1"]) == 2
    assert "no threshold to store" in capsys.readouterr().err


# -- on the way to another model


def test_a_model_of_other_classes_starts_without(model: Path) -> None:
    with_threshold(model, 0.5)
    assert spec_of(create("ssdlite_mobilevit_xxs", weights=model)).score_threshold is not None
    fewer = create("ssdlite_mobilevit_xxs", weights=model, classes=CLASSES[:1])
    assert spec_of(fewer).score_threshold is None


def test_a_copy_says_the_same(model: Path, tmp_path: Path) -> None:
    with_threshold(model, 0.5)
    copy = shutil.copy(model, tmp_path / "copy.safetensors")
    assert model_file.load(copy)[1] == model_file.load(model)[1]
