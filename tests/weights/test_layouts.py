from pathlib import Path

import pytest

from mobilevit.models.table import MODELS, build
from mobilevit.weights.layouts import LAYOUTS, Layout, key_map
from mobilevit.weights.recognition import Recognised, expected

KEYS = Path(__file__).parents[2] / "../shared/reference/keys"
SIZES = {"mobilevit_xxs": "xx_small", "mobilevit_xs": "x_small", "mobilevit_s": "small"}
COUNTS = {"ours": 311, "cvnets": 311, "timm": 311, "transformers": 347}

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


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("architecture", MODELS)
def test_every_tensor_has_one_name_and_no_name_two_tensors(architecture: str, layout: Layout) -> None:
    names = [name for parts in key_map(architecture, layout, 1000, True).values() for name in parts]
    assert len(names) == len(set(names)) == COUNTS[layout]


@pytest.mark.parametrize("architecture", MODELS)
def test_our_names_and_shapes_are_those_of_the_network(architecture: str) -> None:
    state = build(architecture, 10).state_dict()
    assert expected(Recognised("ours", architecture, 10)) == {key: tuple(value.shape) for key, value in state.items()}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_literal_rows(row: tuple[str, str, str, str]) -> None:
    for layout, name in zip(LAYOUTS, row, strict=True):
        assert key_map("mobilevit_s", layout, 1000, True)[row[0]] == (name,)


def test_transformers_keeps_query_key_and_value_apart() -> None:
    key = "backbone.stages.2.1.transformer.1.attention.qkv.bias"
    attention = "mobilevit.encoder.layer.2.transformer.layer.1.attention.attention"
    names = key_map("mobilevit_xxs", "transformers", 1000, True)[key]
    assert names == tuple(f"{attention}.{part}.bias" for part in ("query", "key", "value"))
    assert expected(Recognised("transformers", "mobilevit_xxs", 1000))[names[0]] == (64,)


@pytest.mark.parametrize("architecture", MODELS)
def test_names_and_shapes_equal_the_reference(architecture: str) -> None:
    if not KEYS.is_dir():
        pytest.skip(f"{KEYS} is not on this machine")
    size = SIZES[architecture]
    for layout, file in (
        ("cvnets", f"keys_cvnets_cls_{size}.txt"),
        ("timm", f"keys_timm_{architecture}.txt"),
        ("transformers", f"keys_hf_cls_{size}.txt"),
    ):
        lines = [line.split("\t") for line in (KEYS / file).read_text().splitlines() if line and line[0] != "#"]
        reference = {line[0]: line[1] for line in lines}
        found = expected(Recognised(layout, architecture, 1000))
        assert {key: str(shape) for key, shape in found.items()} == reference


@pytest.mark.parametrize("architecture", MODELS)
def test_the_same_tensors_are_paired_as_in_the_reference(architecture: str) -> None:
    if not KEYS.is_dir():
        pytest.skip(f"{KEYS} is not on this machine")
    maps = [key_map(architecture, layout, 1000, True) for layout in ("cvnets", "timm", "transformers")]
    found = {tuple(" + ".join(names[key]) for names in maps) for key in maps[0]}
    lines = (KEYS / f"keymap_cvnets_timm_hf_{SIZES[architecture]}.tsv").read_text().splitlines()[1:]
    assert found == {(row[0], row[2], row[3]) for row in (line.split("\t") for line in lines)}
