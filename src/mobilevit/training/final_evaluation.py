"""The end of a run: evaluation of the best model, and the report."""

import platform

import torch

from mobilevit.evaluation import evaluate_runner
from mobilevit.formats.torch import TorchRunner
from mobilevit.reporting import report
from mobilevit.tasks.program import Program
from mobilevit.training.callbacks import Callback
from mobilevit.training.checkpoint import TrainingProgress
from mobilevit.training.loop import Parts
from mobilevit.training.runfolder import RunFolder
from mobilevit.weights.creating import load, spec_of


def finish(parts: Parts, folder: RunFolder, progress: TrainingProgress, callback: Callback) -> None:
    """Evaluate best.safetensors, exactly as `mobilevit evaluate` does, and write report.html.

    If no epoch has a score, last.safetensors is evaluated instead.
    """
    if progress.best_score is None:
        callback.notice("no epoch has a score, so there is no best.safetensors, and the report shows the last epoch")
    best = load(folder.last if progress.best_score is None else folder.best).to(parts.device)
    spec = spec_of(best)
    runner = TorchRunner(Program(best, spec, parts.task), spec, parts.device)
    evaluation = evaluate_runner(
        runner,
        parts.task,
        parts.dataset,
        "val",
        batch_size=parts.config.scale.batch_size,
        num_workers=parts.num_workers,
        progress=callback.validating,
    )
    evaluation.save(folder.path)
    report.write(
        folder.path,
        task=parts.task,
        dataset=parts.dataset,
        spec=spec,
        history=progress.history,
        evaluation=evaluation,
        facts=_facts(parts, progress),
    )


def _facts(parts: Parts, progress: TrainingProgress) -> dict[str, str]:
    return {
        "command": progress.command,
        "started from": parts.config.weights,
        report.TRAINED_ON: ", ".join(parts.config.train_on),
        "best epoch": "not measured"
        if progress.best_score is None
        else f"{progress.best_epoch + 1} of {len(progress.history)}",
        **({"truncated training images": f"{progress.truncated:,}"} if parts.config.allow_truncated else {}),
        "training time": f"{progress.seconds / 60:.1f} min",
        "device": f"{parts.device} ({torch.get_num_threads()} threads, {platform.machine()})",
        "versions": f"torch {torch.__version__}, Python {platform.python_version()}",
    }
