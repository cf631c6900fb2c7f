"""How fast are the exported files? Each beside what timm's model becomes by its own means, on the same runtime.

    python benchmarks/runtimes.py FOLDER

writes both models into FOLDER in every format that runs on this system (minutes; what is there already is kept), and
times them in turns with timm in eager mode. Both have the same random weights. timm's own means are
`create_model(..., exportable=True)` with `timm.utils.onnx.onnx_export`, and for ExecuTorch and LiteRT the runtimes'
converters as they stand. A ratio is the median of the ratios within a round. timm 1.0.31 comes into an environment of
its own, beside torchvision 0.28.0: `pip install --no-deps timm==1.0.31 torchvision==0.28.0`.

What was measured, and what each change brought: docs/benchmarks.md.
"""

import statistics
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import eager
import numpy as np
import record
import torch
import tyro
from torch import Tensor, nn
from turns import Player, Prepared, ratio

from mobilevit import tasks
from mobilevit.exporting.folding import graph_of
from mobilevit.exporting.manifests import draft
from mobilevit.files import make_folder, write_atomically
from mobilevit.formats.graph import Graph
from mobilevit.formats.litert_program import ChannelsLast
from mobilevit.formats.manifest import manifest_path
from mobilevit.formats.table import FORMATS, adapter, open_exported
from mobilevit.weights.creating import create

EAGER = ("timm", "timm, channels_last", "mobilevit, fused")
PACKAGES = ("torch", "timm", "torchvision", "onnxruntime", "openvino", "executorch", "ai-edge-litert")
GOAL = (
    "timm's eager time over the best exported file: 3.0 on one thread, 2.2 on two; timm's ExecuTorch file over ours: "
    "1.4 and 1.25; timm's file over ours in ONNX 1.10, OpenVINO 1.05, LiteRT 1.10"
)


@dataclass(frozen=True)
class Options:
    """What to time."""

    folder: Annotated[Path, tyro.conf.Positional]  # of the exported files
    model: str = "mobilevit_s"  # one of the classifiers
    image_size: int = 256  # side of the images
    threads: tuple[int, ...] = (1, 2)  # numbers of threads to try
    rounds: int = 30  # turns of each
    passes: int = 3  # timed passes in a turn; its time is their median
    formats: tuple[str, ...] = ("onnx", "openvino", "executorch", "litert")
    exportable: bool = True  # timm's model as it writes itself for exports; else as it is for training
    results: bool = False  # write benchmarks/results/runtimes.json too


def main(options: Options) -> None:
    models = eager.Options(model=options.model, image_size=options.image_size)
    graph = _graph(models)
    for who in ("mobilevit", "timm"):
        for name in options.formats:
            _export(who, name, graph, models, options)
    print(f"{options.model}, {options.image_size} px, batch 1, {options.rounds} rounds, torch {torch.__version__}\n")
    rows = [row for threads in options.threads for row in _print_rows(threads, options, models)]
    if options.results:
        record.write("runtimes", {"models": rows}, packages=PACKAGES, goal=GOAL)


def _print_rows(threads: int, options: Options, models: eager.Options) -> list[record.Row]:
    prepared: dict[str, Callable[[], Prepared]] = {name: partial(eager.prepare, name, models) for name in EAGER}
    for name in options.formats:
        for who in ("timm", "mobilevit"):
            path = options.folder / f"{who}{FORMATS[name].suffix}"
            prepared[f"{who}, {name}"] = partial(_prepare, path, threads, options.image_size)
    with ExitStack() as stack:
        players = {
            name: stack.enter_context(Player(prepare, threads, options.passes)) for name, prepare in prepared.items()
        }
        for player in players.values():
            player.output()
        for _ in range(options.rounds):
            for player in players.values():
                player.take_turn()
        rows = [_row(threads, name, players) for name in players]
    record.print_rows(rows)
    return rows


def _row(threads: int, name: str, players: Mapping[str, Player]) -> record.Row:
    player, peer = players[name], players.get(name.replace("mobilevit", "timm"))
    return {
        "threads": threads,
        "model": name,
        "latency_ms": round(statistics.median(player.times_ms), 1),
        "fastest_ms": round(min(player.times_ms), 1),
        "timm_eager_over_it": round(ratio(players["timm"], player), 2),
        "timm_file_over_it": None if peer in (None, player) else round(ratio(peer, player), 2),
    }


def _prepare(path: Path, threads: int, image_size: int) -> Prepared:
    """An exported file in the process where it is timed."""
    runner = open_exported(path, threads=threads)
    images = np.random.default_rng(0).integers(0, 256, (1, 3, image_size, image_size), np.uint8)
    return torch.from_numpy(runner(images)["probabilities"]), partial(runner, images)


def _graph(models: eager.Options) -> Graph:
    """What is exported of ours."""
    model = create(models.model, num_classes=eager.CLASSES)
    model.load_state_dict(eager.ours(models).state_dict())
    return graph_of(model, tasks.get("classification"), models.image_size)


def _export(who: str, name: str, graph: Graph, models: eager.Options, options: Options) -> None:
    """A file with the manifest by which it is opened; where it is there already it stays."""
    path = make_folder(options.folder) / f"{who}{FORMATS[name].suffix}"
    if not manifest_path(path).exists():
        if who == "timm":
            model = eager.timm_model(models, exportable=options.exportable).eval()
            EXPORTS[name](model, path, models.image_size)
        else:
            adapter(name).write(graph, path, "fp32")
        write_atomically(manifest_path(path), draft(graph, name, "fp32", path, descriptions={}).to_json())


def _onnx(model: nn.Module, path: Path, image_size: int) -> None:
    from timm.utils.onnx import onnx_export

    names = {"input_names": ["images"], "output_names": ["probabilities"]}
    onnx_export(model, str(path), torch.rand(2, 3, image_size, image_size), use_dynamo=True, **names)


def _openvino(model: nn.Module, path: Path, image_size: int) -> None:
    import openvino

    path.mkdir()
    source = path / "model.onnx"
    _onnx(model, source, image_size)
    openvino.save_model(openvino.convert_model(source), path / "model.xml", compress_to_fp16=False)
    source.unlink()


def _executorch(model: nn.Module, path: Path, image_size: int) -> None:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    with torch.no_grad():
        program = torch.export.export(model, (torch.rand(1, 3, image_size, image_size),))
    edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path.write_bytes(edge.to_executorch().buffer)


def _litert(model: nn.Module, path: Path, image_size: int) -> None:
    import litert_torch

    program = ChannelsLast(Single(model), ("probabilities",)).eval()
    images = torch.rand(1, image_size, image_size, 3)
    litert_torch.convert(program, sample_kwargs={"images": images}).export(str(path))


class Single(nn.Module):
    """A model whose output is a tuple of one."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (self.model(images),)


EXPORTS = {"onnx": _onnx, "openvino": _openvino, "executorch": _executorch, "litert": _litert}


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
