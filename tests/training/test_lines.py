"""What a run says in lines, by a clock of the test's own."""

from mobilevit.training.callbacks import StepReport
from mobilevit.training.lines import LEAST_SECONDS, MOST_SECONDS, ProgressLines

STEPS = 1000


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def lines_of_an_epoch(seconds_per_step: float, *, within_epochs: bool = True) -> list[str]:
    heard: list[str] = []
    clock = Clock()
    lines = ProgressLines(heard.append, within_epochs=within_epochs, clock=clock)
    for epoch in range(2):
        for step in range(STEPS):
            clock.seconds += seconds_per_step
            lines.step(StepReport(epoch, 2, step, STEPS, 64, 1.5, 1e-3))
        lines.epoch({"epoch": epoch + 1, "train_loss": 1.5, "val_map": None, "seconds": clock.seconds})
    return heard


def test_a_short_epoch_is_one_line() -> None:
    header, first, second = lines_of_an_epoch(LEAST_SECONDS / STEPS / 2)
    assert header.split() == ["epoch", "train", "loss", "map", "time"]
    assert first.split() == ["1", "1.5000", "-", "0:00:15"], "a score that was not measured is a dash"
    assert second.split()[0] == "2"


def test_a_long_epoch_says_every_tenth() -> None:
    within = [line for line in lines_of_an_epoch(1.0) if "step" in line]
    assert 16 <= len(within) <= 20
    assert within[0] == "epoch 1/2, loss 1.500, step 100 of 1,000"


def test_a_very_long_epoch_gives_a_sign_of_life() -> None:
    within = [line for line in lines_of_an_epoch(MOST_SECONDS / 2) if "step" in line]
    assert len(within) >= STEPS - 2


def test_beside_a_bar_there_are_only_the_lines_of_epochs() -> None:
    assert len(lines_of_an_epoch(10.0, within_epochs=False)) == 3


def test_a_name_stays_on_its_line() -> None:
    heard: list[str] = []
    ProgressLines(heard.append).notice("cat\n\x1b[31m")
    assert heard == ["note: cat\\n\\x1b[31m"]
