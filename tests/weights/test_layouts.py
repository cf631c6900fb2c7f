from pathlib import Path

import official
import pytest

from mobilevit.errors import UsageError
from mobilevit.models.table import MODELS, build
from mobilevit.weights.layouts import LAYOUTS, Layout, key_map, preprocessing
from mobilevit.weights.recognition import Recognized, expected

KEYS = Path(__file__).parents[2] / "../shared/reference/keys"
CLASSIFIERS = {"mobilevit_xxs": "xx_small", "mobilevit_xs": "x_small", "mobilevit_s": "small"}
COUNTS = {  # tensors, by task and layout
    **{("classification", layout): 311 for layout in ("ours", "cvnets", "timm")},
    ("classification", "transformers"): 347,
    **{("detection", layout): 394 for layout in ("ours", "cvnets")},
    **{("segmentation", layout): 341 for layout in ("ours", "cvnets")},
    ("segmentation", "transformers"): 377,
}

# model and layout -> the list of its keys
REFERENCES: dict[tuple[str, Layout], str] = {
    ("deeplabv3_mobilevit_s_os8", "cvnets"): "keys_cvnets04_deeplabv3_small.txt",
    **{(name, "timm"): f"keys_timm_{name}.txt" for name in CLASSIFIERS},
}
for name, size in CLASSIFIERS.items():
    REFERENCES |= {
        (name, "cvnets"): f"keys_cvnets_cls_{size}.txt",
        (name, "transformers"): f"keys_hf_cls_{size}.txt",
        (f"ssdlite_{name}", "cvnets"): f"keys_cvnets_ssdlite_{size}.txt",
        (f"deeplabv3_{name}", "cvnets"): f"keys_cvnets_deeplabv3_{size}.txt",
        (f"deeplabv3_{name}", "transformers"): f"keys_hf_deeplabv3_{size}.txt",
    }

# one literal row of each kind: ours, cvnets, timm, transformers
ROWS = [
    (
        "backbone.stem.conv.weight",
        "conv_1.block.conv.weight",
        "stem.conv.weight",
        "mobilevit.conv_stem.convolution.weight",
    ),
    (
        "backbone.stages.1.2.depthwise.norm.running_var",
        "layer_2.2.block.conv_3x3.block.norm.running_var",
        "stages.1.2.conv2_kxk.bn.running_var",
        "mobilevit.encoder.layer.1.layer.2.conv_3x3.normalization.running_var",
    ),
    (
        "backbone.stages.3.1.project_in.weight",
        "layer_4.1.local_rep.conv_1x1.block.conv.weight",
        "stages.3.1.conv_1x1.weight",
        "mobilevit.encoder.layer.3.conv_1x1.convolution.weight",
    ),
    (
        "backbone.stages.3.1.transformer.3.feed_forward.reduce.bias",
        "layer_4.1.global_rep.3.pre_norm_ffn.4.bias",
        "stages.3.1.transformer.3.mlp.fc2.bias",
        "mobilevit.encoder.layer.3.transformer.layer.3.output.dense.bias",
    ),
    (
        "backbone.stages.4.1.transformer.3.weight",
        "layer_5.1.global_rep.3.weight",
        "stages.4.1.norm.weight",
        "mobilevit.encoder.layer.4.layernorm.weight",
    ),
    (
        "final.norm.num_batches_tracked",
        "conv_1x1_exp.block.norm.num_batches_tracked",
        "final_conv.bn.num_batches_tracked",
        "mobilevit.conv_1x1_exp.normalization.num_batches_tracked",
    ),
    ("classifier.bias", "classifier.fc.bias", "head.fc.bias", "classifier.bias"),
]


# and of the heads: model, ours, cvnets, transformers
HEAD_ROWS = [
    ("ssdlite_mobilevit_s", "backbone.stem.conv.weight", "encoder.conv_1.block.conv.weight", ""),
    ("ssdlite_mobilevit_s", "extras.1.depthwise.norm.bias", "extra_layers.os_128.dw_conv.block.norm.bias", ""),
    ("ssdlite_mobilevit_s", "extras.3.conv.weight", "extra_layers.os_-1.1.block.conv.weight", ""),
    ("ssdlite_mobilevit_s", "heads.0.project.conv.weight", "ssd_heads.0.proj_layer.block.conv.weight", ""),
    ("ssdlite_mobilevit_s", "heads.4.predict.bias", "ssd_heads.4.loc_cls_layer.pw_conv.block.conv.bias", ""),
    ("ssdlite_mobilevit_s", "heads.5.predict.weight", "ssd_heads.5.loc_cls_layer.block.conv.weight", ""),
    (
        "deeplabv3_mobilevit_xs",
        "pyramid.branches.2.norm.running_mean",
        "seg_head.aspp.aspp_layer.convs.2.block.norm.running_mean",
        "segmentation_head.aspp.convs.2.normalization.running_mean",
    ),
    (
        "deeplabv3_mobilevit_xs",
        "pyramid.pooled.conv.weight",
        "seg_head.aspp.aspp_layer.convs.4.aspp_pool.conv_1x1.block.conv.weight",
        "segmentation_head.aspp.convs.4.conv_1x1.convolution.weight",
    ),
    (
        "deeplabv3_mobilevit_xs",
        "classifier.bias",
        "seg_head.classifier.classifier.block.conv.bias",
        "segmentation_head.classifier.convolution.bias",
    ),
    ("deeplabv3_mobilevit_s_os8", "classifier.bias", "seg_head.classifier.block.conv.bias", ""),
    ("deeplabv3_mobilevit_s_os8", "auxiliary.classifier.bias", "seg_head.aux_head.2.block.conv.bias", ""),
]


@pytest.mark.parametrize(("architecture", "layout"), official.layouts())
def test_every_tensor_has_one_name_and_no_name_two_tensors(architecture: str, layout: Layout) -> None:
    names = [name for parts in key_map(architecture, layout, 1000, True).values() for name in parts]
    auxiliary = 8 if architecture == "deeplabv3_mobilevit_s_os8" else 0
    assert len(names) == len(set(names)) == COUNTS[MODELS[architecture].task, layout] + auxiliary


@pytest.mark.parametrize("architecture", MODELS)
def test_our_names_and_shapes_are_those_of_the_model(architecture: str) -> None:
    state = build(architecture, 10).state_dict()
    assert expected(Recognized("ours", architecture, 10)) == {key: tuple(value.shape) for key, value in state.items()}


@pytest.mark.parametrize("architecture", MODELS)
def test_a_fresh_model_gets_the_images_of_its_row(architecture: str) -> None:
    row, usual = MODELS[architecture], preprocessing(architecture, "ours")
    assert (usual.image_size, usual.fit, usual.channel_order) == (row.image_size, row.fit, "rgb")


def test_a_layout_that_a_model_does_not_have_is_misuse() -> None:
    with pytest.raises(UsageError, match="ssdlite_mobilevit_xs has no timm layout: choose one of ours, cvnets"):
        preprocessing("ssdlite_mobilevit_xs", "timm")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_literal_rows(row: tuple[str, str, str, str]) -> None:
    for layout, name in zip(LAYOUTS, row, strict=True):
        assert key_map("mobilevit_s", layout, 1000, True)[row[0]] == (name,)


@pytest.mark.parametrize("row", HEAD_ROWS, ids=lambda row: f"{row[0]} {row[1]}")
def test_literal_rows_of_the_heads(row: tuple[str, str, str, str]) -> None:
    architecture, ours, cvnets, transformers = row
    assert key_map(architecture, "cvnets", 10, True)[ours] == (cvnets,)
    if transformers:
        assert key_map(architecture, "transformers", 10, True)[ours] == (transformers,)


def test_transformers_keeps_query_key_and_value_apart() -> None:
    key = "backbone.stages.2.1.transformer.1.attention.qkv.bias"
    attention = "mobilevit.encoder.layer.2.transformer.layer.1.attention.attention"
    names = key_map("mobilevit_xxs", "transformers", 1000, True)[key]
    assert names == tuple(f"{attention}.{part}.bias" for part in ("query", "key", "value"))
    assert expected(Recognized("transformers", "mobilevit_xxs", 1000))[names[0]] == (64,)


@pytest.mark.parametrize(("architecture", "layout"), REFERENCES)
def test_names_and_shapes_equal_the_reference(architecture: str, layout: Layout) -> None:
    if not KEYS.is_dir():
        pytest.skip(f"{KEYS} is not on this machine")
    text = (KEYS / REFERENCES[architecture, layout]).read_text()
    lines = [line.split("\t") for line in text.splitlines() if line and line[0] != "#"]
    found = expected(Recognized(layout, architecture, official.num_classes(architecture)))
    assert {key: str(shape) for key, shape in found.items()} == {line[0]: line[1] for line in lines}


@pytest.mark.parametrize("architecture", CLASSIFIERS)
def test_the_same_tensors_are_paired_as_in_the_reference(architecture: str) -> None:
    if not KEYS.is_dir():
        pytest.skip(f"{KEYS} is not on this machine")
    maps = [key_map(architecture, layout, 1000, True) for layout in ("cvnets", "timm", "transformers")]
    found = {tuple(" + ".join(names[key]) for names in maps) for key in maps[0]}
    lines = (KEYS / f"keymap_cvnets_timm_hf_{CLASSIFIERS[architecture]}.tsv").read_text().splitlines()[1:]
    assert found == {(row[0], row[2], row[3]) for row in (line.split("\t") for line in lines)}
