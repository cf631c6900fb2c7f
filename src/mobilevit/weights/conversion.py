"""A file of weights in another layout, another channel order, or both."""

import io
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from mobilevit.errors import UsageError, unknown
from mobilevit.files import write_atomically
from mobilevit.spec import ChannelOrder, ModelSpec
from mobilevit.weights import containers, sources
from mobilevit.weights.layouts import Layout, layout_named, preprocessing
from mobilevit.weights.model_file import SPEC_KEY, header, in_half
from mobilevit.weights.recognition import Recognized
from mobilevit.weights.translation import flip_channels, from_ours

log = logging.getLogger("mobilevit")


def convert(
    source: str | Path,
    target: str | Path,
    *,
    layout: str,
    channel_order: ChannelOrder | None = None,
    half: bool = False,
) -> None:
    """Write the weights of `source` (a file, or a name of the catalog) to `target` in `layout`.

    `target` is a safetensors file (.safetensors) or a torch file (.pt, .pth). If `channel_order` differs from that of
    the source, the model's stem is flipped, so that outputs agree on flipped images. By default, the layout of this
    package keeps the order of the source, and the others use that of their programs: cvnets and transformers BGR, timm
    RGB. The spec is stored in both kinds of file, where other programs ignore it. `half` stores float16, which is read
    as float32 again.
    """
    target, known = Path(target), layout_named(layout)
    _check_arguments(Path(source), target, known, channel_order)
    state, spec = sources.read(source)
    present, usual = spec.preprocessing.channel_order, preprocessing(spec.architecture, known).channel_order
    order = channel_order or (present if known == "ours" else usual)
    if order != present:
        log.warning("stem flipped: %s expects %s, %s expects %s", target, order.upper(), source, present.upper())
        state, spec = (
            flip_channels(state),
            replace(spec, preprocessing=replace(spec.preprocessing, channel_order=order)),
        )
    tensors = from_ours(state, Recognized(known, spec.architecture, len(spec.classes), spec.fuse_input))
    write_atomically(target, WRITERS[target.suffix](in_half(tensors) if half else tensors, spec))


def _check_arguments(source: Path, target: Path, layout: Layout, channel_order: str | None) -> None:
    if channel_order is not None and channel_order not in get_args(ChannelOrder):
        raise unknown("channel order", channel_order, get_args(ChannelOrder))
    if target.suffix not in WRITERS:
        raise UsageError(f"{target} must end in {', '.join(WRITERS)}: the suffix selects the file format")
    if layout == "ours" and target.suffix != ".safetensors":
        raise UsageError(f"the layout 'ours' is a safetensors file: name it {target.with_suffix('.safetensors')}")
    if target.exists() and source.exists() and target.samefile(source):
        raise UsageError(f"{target} is the input file: choose another output file")


def _torch_file(tensors: Mapping[str, Tensor], spec: ModelSpec) -> bytes:
    """A plain state dict. An attribute of an OrderedDict survives `weights_only`, and no other program looks at it."""
    content = OrderedDict(tensors)
    setattr(content, SPEC_KEY, spec.to_json())
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _safetensors_file(tensors: Mapping[str, Tensor], spec: ModelSpec) -> bytes:
    return containers.safetensors_bytes(header(spec), tensors)


WRITERS = {".safetensors": _safetensors_file, ".pt": _torch_file, ".pth": _torch_file}
