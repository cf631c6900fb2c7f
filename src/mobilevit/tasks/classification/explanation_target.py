"""Why a classifier says what it says: the logit of a class, at the last convolution."""

from torch import Tensor

from mobilevit.errors import UsageError
from mobilevit.spec import ModelSpec
from mobilevit.tasks.base import ExplanationTarget, Outputs, ResultOptions
from mobilevit.tasks.classification.result import Classification, Score, decode

SHOWN = 5  # classes


def explanation_target(outputs: Outputs, spec: ModelSpec, class_index: int | None, number: int) -> ExplanationTarget:
    """About a class, the likeliest where none is given.

    Only a mean over all places and a linear layer follow the last convolution: what the places of its map add adds up
    to the logit, exactly.
    """
    if number != 1:
        raise UsageError("a classifier knows no objects, only classes: leave out --object, or give --class-name")
    (result,) = decode(outputs["probabilities"], spec.classes, ResultOptions(top_k=len(spec.classes)))
    index = int(outputs["probabilities"][0].argmax()) if class_index is None else class_index
    shown = _shown(result, spec.classes[index].id)

    def logit(raw: Tensor) -> Tensor:
        return raw[0, index]

    explained = next(score for score in shown if score.class_id == spec.classes[index].id)
    other = "" if explained == result.best else f"    Explained: {explained.class_name}  {explained.score:.1%}"
    return ExplanationTarget(
        result=result,
        name=explained.class_name,
        heading=f"Predicted: {result.best.class_name}  {result.best.score:.1%}{other}",
        score=logit,
        layer="final",
        bars_title="likeliest classes",
        bars=tuple((score.class_name, score.score) for score in shown),
        bar=shown.index(explained),
    )


def _shown(result: Classification, wanted: str) -> list[Score]:
    """The likeliest classes, the wanted one among them."""
    best, rest = result.top[:SHOWN], result.top[SHOWN:]
    others = [score for score in rest if score.class_id == wanted]
    return [*best[:-1], *others] if others else [*best]
