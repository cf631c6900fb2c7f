"""How much each part does: on a GPU, to rehearse on a CPU, and to try the script itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Numbers of images, sides and repetitions."""

    patience: float  # factor for the time that a check may take
    compared_px: int  # side of the images on which two devices are compared
    compared: int  # how many of them
    agreeing: int  # images of val on which precisions must agree
    run: int  # images of the run that is stopped and resumed
    models: tuple[str, ...]  # that are timed
    step_px: int  # side of the images of a timed step
    step_batch: int  # images of a timed step
    rounds: int  # turns of each model
    passes: int  # steps in a turn
    inference_batches: tuple[int, ...]
    loader_px: tuple[int, ...]  # sides of the images that the loader makes
    loader_batches: int  # of `step_batch` images, that it is timed over
    scales_px: tuple[int, ...]  # sides that a compiled model sees in turns; none: nothing is compiled
    learn: int | None  # training images of the last part; None: all
    learn_px: int  # base side of its multi-scale sampler
    learn_batch: int  # images of its batch at that side


XXS, S = "mobilevit_xxs", "mobilevit_s"

SIZES = {
    "full": Sizes(
        patience=1.0, compared_px=128, compared=8, agreeing=256, run=200, models=(XXS, S), step_px=256, step_batch=128,
        rounds=7, passes=6, inference_batches=(1, 256), loader_px=(128, 256), loader_batches=40,
        scales_px=(192, 256, 320), learn=None, learn_px=128, learn_batch=128,
    ),
    "small": Sizes(
        patience=4.0, compared_px=64, compared=4, agreeing=8, run=24, models=(XXS,), step_px=64, step_batch=8,
        rounds=3, passes=2, inference_batches=(1, 4), loader_px=(64, 128), loader_batches=4,
        scales_px=(32, 64, 96), learn=96, learn_px=64, learn_batch=16,
    ),
    "least": Sizes(
        patience=20.0, compared_px=64, compared=2, agreeing=2, run=12, models=(XXS,), step_px=32, step_batch=4,
        rounds=1, passes=1, inference_batches=(1, 2), loader_px=(32,), loader_batches=2,
        scales_px=(), learn=12, learn_px=32, learn_batch=4,
    ),
}  # fmt: skip
