import json
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from mobilevit.errors import OutputError, WeightsError
from mobilevit.models.anchor_sizes import PAPER_SIZES
from mobilevit.spec import ClassLabel, ModelSpec, Preprocessing, Provenance, labels
from mobilevit.weights import containers, model_file
from mobilevit.weights.download import PACKAGED

Filled = Callable[..., dict[str, Tensor]]

SPEC = ModelSpec(
    "mobilevit_xxs",
    "classification",
    (ClassLabel("n01440764", "tench"), ClassLabel("крыша", 'a "roof", 屋根')),
    Preprocessing(128, 144, interpolation="bicubic", channel_order="bgr"),
    provenance=Provenance("mobilevit train images", "CC0", "93.1 % top-1", "a test"),
)


@pytest.fixture(scope="module")
def saved(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "best.safetensors"
    model_file.save(path, filled(num_classes=2), SPEC)
    return path


def test_what_is_loaded_is_what_was_saved(filled: Filled, saved: Path) -> None:
    state, spec = model_file.load(saved)
    assert spec == SPEC
    assert all(torch.equal(state[key], tensor) for key, tensor in filled(num_classes=2).items())


def test_a_reader_without_the_package_finds_the_spec_in_the_header(saved: Path) -> None:
    content = saved.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    spec = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["mobilevit_spec"])
    assert (spec["architecture"], spec["classes"][1]["id"]) == ("mobilevit_xxs", "крыша")
    assert spec["preprocessing"]["channel_order"] == "bgr"


def test_a_header_whose_length_begins_as_a_pickle_does_is_a_header(filled: Filled, tmp_path: Path) -> None:
    path, tensors, starts = tmp_path / "model.safetensors", filled(num_classes=2), set()
    for letters in range(0, 256, 8):  # safetensors fills a header up to a multiple of 8
        spec = replace(SPEC, provenance=Provenance(note="x" * letters))
        model_file.save(path, tensors, spec)
        starts.add(path.read_bytes()[0])
        assert model_file.load(path)[1] == spec
    assert 0x80 in starts


def test_half_precision_halves_the_file_and_loads_as_float32(filled: Filled, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    model_file.save(path, model_file.in_half(filled(num_classes=2)), SPEC)
    assert path.stat().st_size < 0.52 * saved.stat().st_size
    state, _ = model_file.load(path)
    assert {tensor.dtype for tensor in state.values()} == {torch.float32, torch.int64}
    torch.testing.assert_close(state["final.conv.weight"], filled()["final.conv.weight"], rtol=1e-3, atol=1e-6)


def test_values_that_half_precision_cannot_hold_are_refused() -> None:
    with pytest.raises(WeightsError, match="float16"):
        model_file.in_half({"final.norm.running_var": torch.tensor([1e6])})


def test_saving_leaves_the_old_file_or_the_new_one_and_no_other(filled: Filled, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for _ in range(2):
        model_file.save(path, filled(num_classes=2), SPEC)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]
    with pytest.raises(OutputError, match="cannot write"):
        model_file.save(tmp_path / "no folder" / "model.safetensors", filled(num_classes=2), SPEC)


def test_a_missing_file_offers_its_neighbors(saved: Path) -> None:
    with pytest.raises(WeightsError, match=r"not found: .*bset\.safetensors: did you mean .*best\.safetensors\?"):
        model_file.load(saved.with_name("bset.safetensors"))
    with pytest.raises(WeightsError, match="not found"):
        model_file.load("/no/such/folder/model.safetensors")


def test_a_folder_offers_the_models_in_it(saved: Path) -> None:
    with pytest.raises(WeightsError, match=r"is a folder, .* did you mean .*best\.safetensors\?"):
        model_file.load(saved.parent)


def test_a_device_is_no_model_file() -> None:
    with pytest.raises(WeightsError, match="not a regular file"):
        model_file.load(os.devnull)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"),
        (b"just some notes\nof mine\n", "a text file"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01", "neither a safetensors file nor a torch file"),
        (struct.pack("<Q", 2**60) + b"{}", "claims a header of 1,152,921,504,606,846,976 bytes"),
        (struct.pack("<Q", 500) + b'{"a": ', "claims a header of 500 bytes"),
        (struct.pack("<Q", 60_000) + b'{"a":' * 12_000, "not JSON"),
        (struct.pack("<Q", 200_000) + b"{" + b"[" * 199_999, "not JSON"),
    ],
)
def test_other_content_is_named(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        model_file.load(path)
    assert what in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    "entries",
    [
        {"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 2**40]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}},
        {"a": {"dtype": "F33", "shape": [2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}},
        {f"a{place}": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for place in range(2000)},
        {"a": {"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]}},
        {"__metadata__": {"mobilevit_spec": 3}, "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}},
    ],
    ids=["huge", "beyond", "backwards", "type", "negative", "hole", "overlapping", "empty", "text"],
)
def test_a_header_that_lies_is_an_error(tmp_path: Path, entries: dict[str, Any]) -> None:
    header = json.dumps(entries).encode()
    path = tmp_path / "lies.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(WeightsError, match=r"lies\.safetensors"):
        model_file.load(path)


def test_a_torch_file_and_a_file_without_spec_lead_to_convert(filled: Filled, tmp_path: Path) -> None:
    torch_file, bare = tmp_path / "model.pt", tmp_path / "model.safetensors"
    torch.save(filled(layout="cvnets"), torch_file)
    save_file(filled(layout="timm"), bare)
    with pytest.raises(WeightsError, match=r"torch file, .*mobilevit convert"):
        model_file.load(torch_file)
    with pytest.raises(WeightsError, match=r"no spec.*mobilevit_xxs in timm layout, 1000 classes.*mobilevit convert"):
        model_file.load(bare)


def test_tensors_of_another_model_are_listed(filled: Filled, tmp_path: Path) -> None:
    path = tmp_path / "wrong.safetensors"
    save_file(filled("mobilevit_xs", num_classes=2), path, model_file.header(SPEC))
    with pytest.raises(WeightsError, match=r"wrong\.safetensors: recognized as mobilevit_xxs .*\n.*misshapen: "):
        model_file.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "resnet50"},
        {"architecture": ["mobilevit_xxs"]},
        {"task": "detection"},
        {"format": 99},
        {"classes": [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}]},
        {"classes": "ab"},
        {"patch_sizes": [2, 2]},
        {"patch_sizes": [2, 2, 0]},
        {"patch_sizes": ["2", "2", "2"]},
        {"patch_sizes": 2},
        {"fuse_input": "yes"},
        {"preprocessing": {"image_size": 10**9}},
        {"preprocessing": {"image_size": "256"}},
        {"preprocessing": {"resize_px": True}},
        {"preprocessing": {"channel_order": "rbg"}},
        {"preprocessing": {"interpolation": ["bilinear"]}},
        {"preprocessing": {"color": "red"}},
        {"provenance": {"score": 3}},
        {"preprocessing": {"fit": "squeeze"}},
        {"anchors": [[[0.1, 0.1]]]},
        {"architecture": "ssdlite_mobilevit_xxs", "task": "detection", "classes": []},
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_spec_with_a_value_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    spec = {**json.loads(SPEC.to_json()), **change}
    with pytest.raises(WeightsError):
        model_file.read_spec(json.dumps(spec))


@pytest.mark.parametrize("side", [0, -0.1, float("nan"), float("inf"), 5.0, "0.1", True, None])
def test_anchors_that_cannot_be_are_refused(side: Any) -> None:
    spec = json.loads(ModelSpec("ssdlite_mobilevit_xs", "detection", labels("ab"), anchors=PAPER_SIZES).to_json())
    assert model_file.read_spec(json.dumps(spec)).anchors == PAPER_SIZES
    spec["anchors"][2][1][0] = side
    with pytest.raises(WeightsError, match="anchors"):
        model_file.read_spec(json.dumps(spec))


@pytest.mark.parametrize("text", ["", "null", "3", "[]", "{}", "[" * 100_000, '{"format": 1, "classes": [null]}'])
def test_a_spec_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(WeightsError, match="spec"):
        model_file.read_spec(text)


def id_as_kept(label: tuple[str, str]) -> str:
    return ClassLabel(*label).id


@given(
    st.lists(st.tuples(st.text(), st.text()), max_size=3, unique_by=id_as_kept),
    st.integers(32, 8192),
    st.text(),
)
def test_any_spec_survives_its_text(classes: list[tuple[str, str]], image_size: int, note: str) -> None:
    spec = ModelSpec(
        "mobilevit_s",
        "classification",
        tuple(ClassLabel(*label) for label in classes),
        Preprocessing(image_size=image_size),
        patch_sizes=(2, 4, 8),
        fuse_input=False,
        provenance=Provenance(note=note),
    )
    assert model_file.read_spec(spec.to_json()) == spec


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_loads_or_is_a_weights_error(saved: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(saved.read_bytes())
    cut = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, 60_000))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(bytes(content[:cut]))
    try:
        state, spec = model_file.load(path)
    except WeightsError as error:
        assert "damaged.safetensors" in str(error)
    else:
        assert len(state) == 311 and len(spec.classes) == 2


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_with_a_flipped_bit_is_refused_or_the_same(
    filled: Filled, saved: Path, tmp_path: Path, data: st.DataObject
) -> None:
    """The same where the bit was in the name of the checksum: the one text whose loss nothing tells."""
    content = bytearray(saved.read_bytes())
    header_bytes = 8 + struct.unpack("<Q", content[:8])[0]
    place = data.draw(st.one_of(st.integers(0, header_bytes), st.integers(header_bytes, len(content) - 1)))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "flipped.safetensors"
    path.write_bytes(content)
    try:
        state, spec = model_file.load(path)
    except WeightsError as error:
        assert "flipped.safetensors" in str(error)
    else:
        assert b"mobilevit_checksum" not in content and spec == SPEC
        assert not [key for key, tensor in filled(num_classes=2).items() if not torch.equal(state[key], tensor)]


def test_a_flipped_bit_in_a_weight_is_damage(saved: Path, tmp_path: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1
    path = tmp_path / "flipped.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"flipped\.safetensors is damaged: .*checksum"):
        model_file.load(path)


def test_a_file_without_a_checksum_is_read(filled: Filled, tmp_path: Path) -> None:
    path = tmp_path / "older.safetensors"
    save_file(filled(num_classes=2), path, model_file.header(SPEC))
    assert model_file.load(path)[1] == SPEC


def test_the_checksum_is_of_the_content_and_not_of_its_order(filled: Filled) -> None:
    texts, tensors = {"a": "1", "b": "2"}, filled(num_classes=2)
    turned = dict(reversed(texts.items())), dict(reversed(tensors.items()))
    assert containers.checksum(texts, tensors) == containers.checksum(*turned)
    assert containers.checksum({**texts, "b": "3"}, tensors) != containers.checksum(texts, tensors)


def test_the_packaged_file_carries_its_checksum() -> None:
    texts, tensors = containers.read_safetensors(PACKAGED / "mobilevit_xxs_imagenette.safetensors")
    assert texts[containers.CHECKSUM_KEY] == containers.checksum(texts, tensors)


def test_a_model_of_pooled_features_has_no_classes(filled: Filled, tmp_path: Path) -> None:
    path = tmp_path / "features.safetensors"
    model_file.save(path, filled(num_classes=0), ModelSpec("mobilevit_xxs", "classification", labels([])))
    state, _ = model_file.load(path)
    assert "classifier.weight" not in state
