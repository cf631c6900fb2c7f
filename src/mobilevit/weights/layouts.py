"""Tensor names in four state-dict layouts: literal tables, expanded over the model, used in both directions.

ours: the model's `state_dict()`. cvnets: the official code. timm and transformers: the hubs. The tensors are equal
but for one thing: transformers keeps the rows of `qkv` as three tensors.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple, get_args

import torch

from mobilevit.errors import UsageError, unknown
from mobilevit.models.table import MODELS
from mobilevit.models.variants import Variant
from mobilevit.spec import ChannelOrder, Preprocessing
from mobilevit.weights.blank import blank

Layout = Literal["ours", "cvnets", "timm", "transformers"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

STEM_KEY = "backbone.stem.conv.weight"  # ours; its second axis is the image's channels


def layout_named(name: str) -> Layout:
    """`name` as a layout; UsageError where there is none of that name."""
    for layout in LAYOUTS:
        if layout == name:
            return layout
    raise unknown("layout", name, LAYOUTS)


class LayoutRow(NamedTuple):
    """The name of one module in each layout, "" if it has none.

    `{...}` is filled by `_modules`; "(a,b)" is one tensor split into rows.
    """

    ours: str
    cvnets: str
    timm: str
    transformers: str


# fmt: off
PARTS = (  # of a convolution with BatchNorm: fills {part}
    LayoutRow("conv", "conv", "conv", "convolution"),
    LayoutRow("norm", "norm", "bn", "normalization"),
)
STEM = (
    LayoutRow("stem.{part}", "conv_1.block.{part}", "stem.{part}", "conv_stem.{part}"),
)
MOBILENET = (  # stages 1 and 2
    LayoutRow("stages.{s}.{b}.expand.{part}", "layer_{n}.{b}.block.exp_1x1.block.{part}", "stages.{s}.{b}.conv1_1x1.{part}", "encoder.layer.{s}.layer.{b}.expand_1x1.{part}"),  # noqa: E501
    LayoutRow("stages.{s}.{b}.depthwise.{part}", "layer_{n}.{b}.block.conv_3x3.block.{part}", "stages.{s}.{b}.conv2_kxk.{part}", "encoder.layer.{s}.layer.{b}.conv_3x3.{part}"),  # noqa: E501
    LayoutRow("stages.{s}.{b}.reduce.{part}", "layer_{n}.{b}.block.red_1x1.block.{part}", "stages.{s}.{b}.conv3_1x1.{part}", "encoder.layer.{s}.layer.{b}.reduce_1x1.{part}"),  # noqa: E501
)
MOBILEVIT = (  # stages 3, 4 and 5
    LayoutRow("stages.{s}.0.expand.{part}", "layer_{n}.0.block.exp_1x1.block.{part}", "stages.{s}.0.conv1_1x1.{part}", "encoder.layer.{s}.downsampling_layer.expand_1x1.{part}"),  # noqa: E501
    LayoutRow("stages.{s}.0.depthwise.{part}", "layer_{n}.0.block.conv_3x3.block.{part}", "stages.{s}.0.conv2_kxk.{part}", "encoder.layer.{s}.downsampling_layer.conv_3x3.{part}"),  # noqa: E501
    LayoutRow("stages.{s}.0.reduce.{part}", "layer_{n}.0.block.red_1x1.block.{part}", "stages.{s}.0.conv3_1x1.{part}", "encoder.layer.{s}.downsampling_layer.reduce_1x1.{part}"),  # noqa: E501
    LayoutRow("stages.{s}.1.local.{part}", "layer_{n}.1.local_rep.conv_3x3.block.{part}", "stages.{s}.1.conv_kxk.{part}", "encoder.layer.{s}.conv_kxk.{part}"),  # noqa: E501
    LayoutRow("stages.{s}.1.project_in", "layer_{n}.1.local_rep.conv_1x1.block.conv", "stages.{s}.1.conv_1x1", "encoder.layer.{s}.conv_1x1.convolution"),  # noqa: E501
    LayoutRow("stages.{s}.1.transformer.{depth}", "layer_{n}.1.global_rep.{depth}", "stages.{s}.1.norm", "encoder.layer.{s}.layernorm"),  # noqa: E501
    LayoutRow("stages.{s}.1.project_out.{part}", "layer_{n}.1.conv_proj.block.{part}", "stages.{s}.1.conv_proj.{part}", "encoder.layer.{s}.conv_projection.{part}"),  # noqa: E501
    LayoutRow("stages.{s}.1.fusion.{part}", "layer_{n}.1.fusion.block.{part}", "stages.{s}.1.conv_fusion.{part}", "encoder.layer.{s}.fusion.{part}"),  # noqa: E501
)
TRANSFORMER = (  # each layer of a transformer; names continue the prefixes of TRANSFORMER_PREFIX
    LayoutRow("norm1", "pre_norm_mha.0", "norm1", "layernorm_before"),
    LayoutRow("attention.qkv", "pre_norm_mha.1.qkv_proj", "attn.qkv", "attention.attention.(query,key,value)"),
    LayoutRow("attention.proj", "pre_norm_mha.1.out_proj", "attn.proj", "attention.output.dense"),
    LayoutRow("norm2", "pre_norm_ffn.0", "norm2", "layernorm_after"),
    LayoutRow("feed_forward.expand", "pre_norm_ffn.1", "mlp.fc1", "intermediate.dense"),
    LayoutRow("feed_forward.reduce", "pre_norm_ffn.4", "mlp.fc2", "output.dense"),
)
TRANSFORMER_PREFIX = LayoutRow("stages.{s}.1.transformer.{l}.", "layer_{n}.1.global_rep.{l}.", "stages.{s}.1.transformer.{l}.", "encoder.layer.{s}.transformer.layer.{l}.")  # noqa: E501
CLASSIFIER = (
    LayoutRow("final.{part}", "conv_1x1_exp.block.{part}", "final_conv.{part}", "mobilevit.conv_1x1_exp.{part}"),
    LayoutRow("classifier", "classifier.fc", "head.fc", "classifier"),
)
DETECTOR = (
    *(LayoutRow(f"extras.{i}.depthwise.{{part}}", f"extra_layers.os_{stride}.dw_conv.block.{{part}}", "", "") for i, stride in enumerate((64, 128, 256))),  # noqa: E501
    *(LayoutRow(f"extras.{i}.pointwise.{{part}}", f"extra_layers.os_{stride}.pw_conv.block.{{part}}", "", "") for i, stride in enumerate((64, 128, 256))),  # noqa: E501
    LayoutRow("extras.3.conv", "extra_layers.os_-1.1.block.conv", "", ""),
    *(LayoutRow(f"heads.{i}.project.{{part}}", f"ssd_heads.{i}.proj_layer.block.{{part}}", "", "") for i in range(2)),
    *(LayoutRow(f"heads.{i}.depthwise.{{part}}", f"ssd_heads.{i}.loc_cls_layer.dw_conv.block.{{part}}", "", "") for i in range(5)),  # noqa: E501
    *(LayoutRow(f"heads.{i}.predict", f"ssd_heads.{i}.loc_cls_layer.pw_conv.block.conv", "", "") for i in range(5)),
    LayoutRow("heads.5.predict", "ssd_heads.5.loc_cls_layer.block.conv", "", ""),
)
PYRAMID = (
    *(LayoutRow(f"pyramid.branches.{i}.{{part}}", f"seg_head.aspp.aspp_layer.convs.{i}.block.{{part}}", "", f"segmentation_head.aspp.convs.{i}.{{part}}") for i in range(4)),  # noqa: E501
    LayoutRow("pyramid.pooled.{part}", "seg_head.aspp.aspp_layer.convs.4.aspp_pool.conv_1x1.block.{part}", "", "segmentation_head.aspp.convs.4.conv_1x1.{part}"),  # noqa: E501
    LayoutRow("pyramid.project.{part}", "seg_head.aspp.aspp_layer.project.block.{part}", "", "segmentation_head.aspp.project.{part}"),  # noqa: E501
)
SEGMENTER = (
    *PYRAMID,
    LayoutRow(
        "classifier", "seg_head.classifier.classifier.block.conv", "", "segmentation_head.classifier.convolution"
    ),
)
FINE_SEGMENTER = (  # of the official code's later versions
    *PYRAMID,
    LayoutRow("classifier", "seg_head.classifier.block.conv", "", ""),
    LayoutRow("auxiliary.conv.{part}", "seg_head.aux_head.0.block.{part}", "", ""),
    LayoutRow("auxiliary.classifier", "seg_head.aux_head.2.block.conv", "", ""),
)
# fmt: on


@dataclass(frozen=True)
class Family:
    """Models of all sizes with the same file structure: tensor names and expected images."""

    backbone: LayoutRow  # the prefix of its names
    head: tuple[LayoutRow, ...]
    # What public weights expect, and so what a file of unknown origin is taken to expect; "ours": what a fresh model
    # is given. A layout that is not here has no such model.
    preprocessing: Mapping[Layout, Preprocessing]


def _stretched(image_size: int, order: ChannelOrder) -> Preprocessing:
    return Preprocessing(image_size=image_size, resize_px=image_size, fit="stretch", channel_order=order)


FAMILIES = {  # by the name of a model where it stands apart, else by its task
    "classification": Family(
        backbone=LayoutRow("backbone.", "", "", "mobilevit."),
        head=CLASSIFIER,
        preprocessing={
            "ours": Preprocessing(),
            "cvnets": Preprocessing(image_size=256, resize_px=288, interpolation="bilinear", channel_order="bgr"),
            # timm's crop of 0.9 is written as the short side before the crop: floor(256 / 0.9)
            "timm": Preprocessing(image_size=256, resize_px=284, interpolation="bicubic", channel_order="rgb"),
            "transformers": Preprocessing(image_size=256, resize_px=288, interpolation="bilinear", channel_order="bgr"),
        },
    ),
    "detection": Family(
        backbone=LayoutRow("backbone.", "encoder.", "", ""),
        head=DETECTOR,
        preprocessing={"ours": _stretched(320, "rgb"), "cvnets": _stretched(320, "bgr")},
    ),
    "segmentation": Family(
        backbone=LayoutRow("backbone.", "encoder.", "", "mobilevit."),
        head=SEGMENTER,
        preprocessing={
            "ours": _stretched(512, "rgb"),
            "cvnets": _stretched(512, "bgr"),
            "transformers": Preprocessing(image_size=512, resize_px=544, interpolation="bilinear", channel_order="bgr"),
        },
    ),
    "deeplabv3_mobilevit_s_os8": Family(
        backbone=LayoutRow("backbone.", "encoder.", "", ""),
        head=FINE_SEGMENTER,
        preprocessing={"ours": _stretched(512, "rgb"), "cvnets": _stretched(512, "rgb")},
    ),
}


def family(architecture: str) -> Family:
    """The family of a model of the table."""
    return FAMILIES.get(architecture) or FAMILIES[MODELS[architecture].task]


def preprocessing(architecture: str, layout: Layout) -> Preprocessing:
    """The preprocessing that weights in `layout` expect; UsageError if a model has no such layout."""
    usual = family(architecture).preprocessing
    if layout not in usual:
        raise UsageError(f"{architecture} has no {layout} layout: choose one of {', '.join(usual)}")
    return usual[layout]


@cache
def key_map(architecture: str, layout: Layout, num_classes: int, fuse_input: bool) -> Mapping[str, tuple[str, ...]]:
    """Each of our keys to the keys in `layout` whose rows, one below the other, are that tensor."""
    names = {row.ours: getattr(row, layout) for row in _modules(architecture)}
    keys = (key.rpartition(".") for key in shapes(architecture, num_classes, fuse_input))
    return {f"{module}.{leaf}": tuple(f"{name}.{leaf}" for name in _split(names[module])) for module, _, leaf in keys}


@cache
def shapes(architecture: str, num_classes: int, fuse_input: bool) -> Mapping[str, torch.Size]:
    """Keys in the layout of this package, with tensor shapes, without allocating tensors."""
    model = blank(architecture, num_classes, fuse_input=fuse_input)
    return {key: tensor.shape for key, tensor in model.state_dict().items()}


def _modules(architecture: str) -> Iterator[LayoutRow]:
    """Every module that holds tensors, by its full name in each layout."""
    rows = family(architecture)
    yield from (_join(rows.backbone, row) for row in _backbone(MODELS[architecture].variant))
    yield from _filled(rows.head)


def _backbone(variant: Variant) -> Iterator[LayoutRow]:
    yield from _filled(STEM)
    for stage, blocks in enumerate((1, 3)):
        for block in range(blocks):
            yield from _filled(MOBILENET, s=stage, n=stage + 1, b=block)
    for stage, depth in enumerate(variant.depths, start=2):
        yield from _filled(MOBILEVIT, s=stage, n=stage + 1, depth=depth)
        layers = [_join(TRANSFORMER_PREFIX, row) for row in TRANSFORMER]
        for layer in range(depth):
            yield from _filled(layers, s=stage, n=stage + 1, l=layer)


def _filled(rows: tuple[LayoutRow, ...] | list[LayoutRow], **places: int) -> Iterator[LayoutRow]:
    """The rows with their placeholders filled; a row with {part} becomes one for each part."""
    for row in rows:
        for parts in PARTS if "{part}" in row.ours else PARTS[:1]:
            yield LayoutRow(*(name.format(part=part, **places) for name, part in zip(row, parts, strict=True)))


def _join(prefixes: LayoutRow, row: LayoutRow) -> LayoutRow:
    return LayoutRow(*(prefix + name for prefix, name in zip(prefixes, row, strict=True)))


def _split(name: str) -> list[str]:
    """ "attention.(query,key,value)" to its three names; any other name to itself."""
    stem, opening, inner = name.partition("(")
    return [stem + part for part in inner.removesuffix(")").split(",")] if opening else [name]
