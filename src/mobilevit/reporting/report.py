"""report.html: one page that shows how a run went, and needs nothing but itself.

Knows the Task and Scores protocols, never which task it is.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import torch

from mobilevit import __version__
from mobilevit.datasets.finding import counted
from mobilevit.datasets.sample import Dataset, Sample
from mobilevit.errors import ImageError
from mobilevit.evaluation import Evaluation, in_order_of, samples_of
from mobilevit.files import write_atomically
from mobilevit.images.decoding import decode
from mobilevit.models.table import build
from mobilevit.reporting import markup
from mobilevit.reporting.images import figure_image, image_image
from mobilevit.reporting.plots import History, curves
from mobilevit.spec import ModelSpec
from mobilevit.tasks.base import Outputs, Task

COMMAND, TIME = "command", "training time"  # facts that stand at the head of the page
TRAINED_ON = "trained on"  # splits, with commas between
SIZE_NOTE = "The image size is the mean of each epoch, as the sampler drew it: a setting, no result."
TERMS = {  # of scores whose names do not say what they are
    "nll": "nll: mean of -log(probability of the true class). 0 is perfect, log(number of classes) is guessing.",
    "ece": "ece: expected calibration error, how far confidence and accuracy lie apart. 0 is perfect; of few images "
    "it is mostly noise.",
}


def write(
    folder: Path,
    *,
    task: Task,
    dataset: Dataset,
    spec: ModelSpec,
    history: History,
    evaluation: Evaluation,
    facts: Mapping[str, str],
    max_examples: int = 24,
) -> Path:
    """Write report.html into `folder`; its path. OutputError where that cannot be written.

    `history` has one row an epoch, as metrics.csv; `facts` are what else is known of the run, the command among them.
    The options of the run are taken from config.json, where the folder has one.
    """
    samples = samples_of(in_order_of(spec.classes, dataset, task), evaluation.split)
    gallery = Gallery(task, spec, dataset.root, samples)
    sections = [
        _curves(history),
        _scores(evaluation),
        *(markup.section(title, markup.table(rows)) for title, rows in evaluation.scores.tables().items()),
        gallery.section(
            "Worst mistakes",
            evaluation.metric.worst(max_examples // 2),
            "The worst comes first.",
        ),
        gallery.section("Examples", evaluation.metric.examples(max_examples), _examples_note(spec)),
        _configuration(folder / "config.json"),
        _environment(facts),
    ]
    page = Template(_resource("page.html")).substitute(
        title=markup.safe(folder.resolve().name),
        style=_resource("page.css"),
        kind=markup.safe(f"MobileViT · {spec.task}"),
        about=markup.safe(_about(evaluation, facts)),
        cards=markup.cards(_key_figures(folder, spec, evaluation, facts)),
        command=markup.code(facts[COMMAND]) if COMMAND in facts else "",
        sections="\n".join(filter(None, sections)),
        version=__version__,
    )
    write_atomically(folder / "report.html", page)
    return folder / "report.html"


def _examples_note(spec: ModelSpec) -> str:
    threshold, note = spec.score_threshold, "An even choice, right and wrong."
    return f"{note} Objects above a score of {threshold.value:g}: {threshold.reason}." if threshold else note


def _about(evaluation: Evaluation, facts: Mapping[str, str]) -> str:
    measured_on = f"{counted(evaluation.images, 'image')} of {evaluation.data} ({evaluation.split})"
    known = evaluation.split in facts.get(TRAINED_ON, "").split(", ")
    warning = ". It was trained on these images too: its scores say nothing of new ones" if known else ""
    return f"{measured_on}, {counted(len(evaluation.spec.classes), 'class')}{warning}"


def _key_figures(folder: Path, spec: ModelSpec, evaluation: Evaluation, facts: Mapping[str, str]) -> dict[str, str]:
    name, score = evaluation.scores.primary
    parameters = _parameters(spec)
    file = folder / "best.safetensors"
    size_bytes = file.stat().st_size if file.is_file() else 4 * parameters
    time = {TIME: facts[TIME]} if TIME in facts else {}
    return {
        markup.words(name): "not measured" if score is None else f"{score:.1%}",
        "model": spec.architecture,
        "parameters": f"{parameters / 1e6:.2f} M",
        "file": f"{size_bytes / 1e6:.1f} MB",
        "image": f"{spec.preprocessing.image_size} px",
        **({"shown above": f"{spec.score_threshold.value:g}"} if spec.score_threshold else {}),
        **time,
        "evaluated a second": f"{evaluation.images_per_second:,.0f}",
    }


def _parameters(spec: ModelSpec) -> int:
    with torch.device("meta"):  # shapes without memory
        model = build(spec.architecture, len(spec.classes), patch_sizes=spec.patch_sizes, fuse_input=spec.fuse_input)
    return sum(parameter.numel() for parameter in model.parameters())


def _curves(history: History) -> str:
    if len(history) < 2:  # a single point is no curve
        return ""
    image = figure_image(curves(history), "Loss, score and learning rate over the epochs")
    about = SIZE_NOTE if "image_size" in history[0] else ""
    return markup.section("Curves", f'<div class="wide">{image}</div>', about=about)


def _scores(evaluation: Evaluation) -> str:
    values = evaluation.scores.scalars()
    scalars = {markup.words(name): value for name, value in values.items()}
    terms = [line for name, line in TERMS.items() if name in values]
    plots = {title: figure_image(figure, title) for title, figure in evaluation.scores.plots().items()}
    return markup.section("Scores", markup.pairs(scalars) + markup.notes(terms) + markup.plots(plots))


@dataclass(frozen=True)
class Gallery:
    """Images of a split with results drawn on them."""

    task: Task
    spec: ModelSpec
    root: Path
    samples: Sequence[Sample]

    def section(self, title: str, chosen: Sequence[tuple[int, Outputs]], about: str) -> str:
        return markup.section(title, markup.grid(self._figures(chosen)), about=about)

    def _figures(self, chosen: Sequence[tuple[int, Outputs]]) -> Iterator[tuple[str, str]]:
        """An image and its caption each."""
        for index, outputs in chosen:
            sample = self.samples[index]
            name = str(sample.path.relative_to(self.root) if sample.path.is_relative_to(self.root) else sample.path)
            try:
                image = decode(sample.path)
            except ImageError:  # gone since it was evaluated
                continue
            result = self.task.decode(outputs, self.spec)[0].of(str(sample.path), image.size)
            drawn = self.task.draw(image, result, sample.target, self.spec.classes)
            yield image_image(drawn, name), name


def _configuration(path: Path) -> str:
    """Every option of the run: those of its own first, then each group's."""
    if not path.is_file():
        return ""
    options: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    groups = {name: value for name, value in options.items() if isinstance(value, dict)}
    plain = {name: value for name, value in options.items() if name not in groups}
    content = _settings(plain) + "".join(markup.heading(name) + _settings(values) for name, values in groups.items())
    return markup.folded("Configuration", content)


def _settings(options: Mapping[str, Any]) -> str:
    return markup.pairs({name: _exact(value) for name, value in options.items()})


def _exact(value: Any) -> Any:
    """An option as it was given: 0.9995 is not 1.000."""
    if isinstance(value, list):
        return ", ".join(str(_exact(each)) for each in value)
    return f"{value:g}" if isinstance(value, float) else value


def _environment(facts: Mapping[str, str]) -> str:
    return markup.section("Environment", markup.pairs({k: v for k, v in facts.items() if k not in (COMMAND, TIME)}))


def _resource(name: str) -> str:
    return resources.files("mobilevit.reporting").joinpath(name).read_text(encoding="utf-8")
