"""Matching and loss, against plain loops: exact where the numbers are, and for any number of boxes, none among them."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mobilevit.models.anchor_sizes import PAPER_SIZES
from mobilevit.models.anchors import anchors_of
from mobilevit.models.ssdlite import SSDOutput
from mobilevit.tasks.base import Loss, LossOptions
from mobilevit.tasks.detection import matching
from mobilevit.tasks.detection.box_tensors import centers, encode
from mobilevit.tasks.detection.crops import Seen
from mobilevit.tasks.detection.loss import multibox
from mobilevit.tasks.detection.matching import BoxBatch, collate, match

GRID = 16  # boxes on a grid of whole numbers: areas are exact, and equal overlaps are common
Corners = tuple[int, int, int, int]


@st.composite
def cells(draw: st.DrawFn) -> Corners:
    left, top = draw(st.integers(0, GRID - 1)), draw(st.integers(0, GRID - 1))
    return left, top, draw(st.integers(left + 1, GRID)), draw(st.integers(top + 1, GRID))


def overlap(a: Corners, b: Corners) -> Fraction:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return Fraction(shared, sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - shared)


def textbook_match(boxes: list[Corners], anchors: list[Corners], per_box: int = 1) -> list[int]:
    """The box of each anchor, as the official code finds it; with `per_box` each box's best ones that are free."""
    owners = []
    for anchor in anchors:
        overlaps = [overlap(anchor, box) for box in boxes]
        best = max(range(len(boxes)), key=lambda place: overlaps[place], default=-1)
        owners.append(best if boxes and overlaps[best] >= Fraction(1, 2) else -1)
    for anchor, wishes in sorted(wanted(boxes, anchors, per_box).items()):
        if owners[anchor] < 0 and wishes:
            owners[anchor] = max(wishes, key=lambda place: overlap(anchors[anchor], boxes[place]))
    for place, box in enumerate(boxes):  # a later box takes an anchor from an earlier one
        owners[max(range(len(anchors)), key=lambda anchor: overlap(anchors[anchor], box))] = place
    return owners


def wanted(boxes: list[Corners], anchors: list[Corners], per_box: int) -> dict[int, list[int]]:
    """The boxes that have an anchor among their `per_box` best and overlap it by a tenth."""
    wishes: dict[int, list[int]] = {}
    for place, box in enumerate(boxes if per_box > 1 else []):
        best = sorted(range(len(anchors)), key=lambda anchor: -overlap(anchors[anchor], box))[:per_box]
        for anchor in best:
            if overlap(anchors[anchor], box) >= Fraction(1, 10):
                wishes.setdefault(anchor, []).append(place)
    return wishes


def shares(boxes: list[Corners]) -> Tensor:
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4) / GRID


@given(
    batch=st.lists(st.lists(cells(), max_size=6), min_size=1, max_size=4),
    anchors=st.lists(cells(), min_size=1, max_size=12),
    piece=st.sampled_from([1, 50, 2**17]),
)
@settings(deadline=None)
def test_matches_as_the_textbook(batch: list[list[Corners]], anchors: list[Corners], piece: int) -> None:
    targets = collate([Seen(shares(boxes).numpy(), np.zeros(len(boxes), np.int64)) for boxes in batch])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "CPU_PIECE", piece)  # however many images are done at once
        found = match(targets, centers(shares(anchors)))
    assert found.tolist() == [textbook_match(boxes, anchors) for boxes in batch]


def test_every_box_has_an_anchor_and_a_later_one_takes_it() -> None:
    far = [(0, 0, 1, 1), (0, 0, 1, 2)]  # neither overlaps an anchor by half
    targets = collate([Seen(shares(far).numpy(), np.array([3, 4]))])
    anchors = centers(shares([(0, 0, 16, 16), (0, 0, 8, 8)]))
    assert match(targets, anchors).tolist() == [[-1, 1]]


@given(
    boxes=st.lists(cells(), max_size=5),
    anchors=st.lists(cells(), min_size=1, max_size=12, unique=True),
    per_box=st.integers(2, 6),
)
@settings(deadline=None)
def test_small_boxes_get_their_best_anchors(boxes: list[Corners], anchors: list[Corners], per_box: int) -> None:
    """Equal overlaps apart, of which any may be the best: every anchor goes to a box that a textbook might give it."""
    targets = collate([Seen(shares(boxes).numpy(), np.zeros(len(boxes), np.int64))])
    (found,) = match(targets, centers(shares(anchors)), per_box).tolist()
    (plain,) = match(targets, centers(shares(anchors))).tolist()
    for anchor, (owner, before) in enumerate(zip(found, plain, strict=True)):
        if before >= 0:
            assert owner == before, "what SSD's rule gives stays"
        elif owner >= 0:
            assert overlap(anchors[anchor], boxes[owner]) >= Fraction(1, 10) - Fraction(1, 10**6)
            better = sum(overlap(other, boxes[owner]) > overlap(anchors[anchor], boxes[owner]) for other in anchors)
            assert better < per_box
    ties = any(len({overlap(anchor, box) for anchor in anchors}) < len(anchors) for box in boxes)
    if not ties and not any(overlap(a, b) == Fraction(1, 10) for a in anchors for b in boxes):
        assert found == textbook_match(boxes, anchors, per_box)


PAPER_ANCHORS = anchors_of(PAPER_SIZES, [torch.empty(1, 0, side, side) for side in (4, 2, 1, 1, 1, 1)])
CLASSES = 3


def a_batch(seed: int, counts: list[int]) -> tuple[SSDOutput, BoxBatch]:
    """What a model might say, in float64, and so many boxes in each image."""
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 0.7, (sum(counts), 2)), rng.uniform(0.05, 0.3, (sum(counts), 2))
    boxes = np.split(np.concatenate([corner, corner + side], axis=1).astype(np.float32), np.cumsum(counts)[:-1])
    targets = collate([Seen(part, rng.integers(0, CLASSES, len(part))) for part in boxes])
    scores = torch.from_numpy(rng.normal(0, 2, (len(counts), len(PAPER_ANCHORS), CLASSES + 1)))
    locations = torch.from_numpy(rng.normal(0, 1, (len(counts), len(PAPER_ANCHORS), 4)))
    return SSDOutput(scores.requires_grad_(), locations.requires_grad_(), PAPER_ANCHORS.double()), targets


def textbook_loss(
    raw: SSDOutput, targets: BoxBatch, smoothing: float = 0.0, weights: Tensor | None = None
) -> tuple[float, int]:
    total, count = 0.0, 0
    owners = match(targets, raw.anchors).tolist()
    for image, (scores, locations) in enumerate(zip(raw.scores.detach(), raw.locations.detach(), strict=True)):
        logs = scores.log_softmax(dim=1)
        objects = [anchor for anchor, owner in enumerate(owners[image]) if owner >= 0]
        others = sorted(set(range(len(scores))) - set(objects), key=lambda anchor: float(logs[anchor, 0]))
        for anchor in [*objects, *others[: 3 * max(1, len(objects))]]:
            owner = owners[image][anchor]
            label = int(targets.labels[image, owner]) + 1 if owner >= 0 else 0
            loss = -(1 - smoothing) * logs[anchor, label] - smoothing * logs[anchor].mean()
            if owner >= 0:
                wanted = encode(targets.boxes[image, owner], raw.anchors[anchor])
                for gap in (locations[anchor] - wanted).abs().tolist():
                    loss = loss + (0.5 * gap**2 if gap < 1 else gap - 0.5)
            total += float(loss) * (float(weights[label - 1]) if weights is not None and label else 1.0)
        count += max(1, len(objects))
    return total, count


def loss_of(raw: SSDOutput, targets: BoxBatch) -> Loss:
    return multibox(raw, targets, LossOptions())


@given(
    seed=st.integers(0, 10**6),
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=4),
    smoothing=st.sampled_from([0.0, 0.1]),
    weights=st.sampled_from([None, (0.2, 1.0, 3.0)]),
)
@settings(deadline=None, max_examples=40)
def test_the_loss_is_the_textbook_s(
    seed: int, counts: list[int], smoothing: float, weights: tuple[float, ...] | None
) -> None:
    raw, targets = a_batch(seed, counts)
    of_classes = None if weights is None else torch.tensor(weights)
    loss = multibox(raw, targets, LossOptions(smoothing, of_classes))
    total, count = textbook_loss(raw, targets, smoothing, of_classes)
    assert loss.total.item() == pytest.approx(total, rel=1e-6)
    assert loss.count.item() == count


@given(seed=st.integers(0, 10**6), counts=st.lists(st.integers(0, 5), min_size=2, max_size=4))
@settings(deadline=None, max_examples=20)
def test_a_batch_is_the_sum_of_its_images(seed: int, counts: list[int]) -> None:
    raw, targets = a_batch(seed, counts)
    whole = loss_of(raw, targets)
    parts = [
        loss_of(
            SSDOutput(raw.scores[one : one + 1], raw.locations[one : one + 1], raw.anchors),
            BoxBatch(targets.boxes[one : one + 1], targets.labels[one : one + 1]),
        )
        for one in range(len(counts))
    ]
    assert whole.total.item() == pytest.approx(sum(part.total.item() for part in parts), rel=1e-9)
    assert whole.count == sum(part.count for part in parts)


def test_the_gradient_is_that_of_the_loss() -> None:
    raw, targets = a_batch(1, [2, 0, 1])

    def total(scores: Tensor, locations: Tensor) -> Tensor:
        return loss_of(SSDOutput(scores, locations, raw.anchors), targets).total

    assert torch.autograd.gradcheck(total, (raw.scores, raw.locations), fast_mode=True)


def test_an_image_without_boxes_gives_its_three_hardest_anchors() -> None:
    raw, targets = a_batch(2, [0])
    loss = loss_of(raw, targets)
    loss.total.backward()
    assert loss.count == 1
    assert (raw.scores.grad != 0).any(dim=2).sum() == 3
    assert not raw.locations.grad.any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_lifted_before_anything_is_summed(dtype: torch.dtype) -> None:
    raw, targets = a_batch(3, [5, 4])
    halves = SSDOutput(raw.scores.detach().to(dtype), raw.locations.detach().to(dtype), PAPER_ANCHORS)
    singles = SSDOutput(halves.scores.float(), halves.locations.float(), PAPER_ANCHORS)
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(halves, targets)
    assert loss.total.dtype == torch.float32
    torch.testing.assert_close(loss.total, loss_of(singles, targets).total)
