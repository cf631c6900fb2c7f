import argparse
import json
import logging
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mobilevit import class_tables
from mobilevit.errors import WeightsError
from mobilevit.models.table import MODELS
from mobilevit.spec import Preprocessing
from mobilevit.weights import checkpoint

Filled = Callable[..., dict[str, Tensor]]


@pytest.mark.parametrize(
    ("layout", "preprocessing"),
    [
        ("cvnets", Preprocessing(256, 288, interpolation="bilinear", channel_order="bgr")),
        ("timm", Preprocessing(256, 284, interpolation="bicubic", channel_order="rgb")),
        ("transformers", Preprocessing(256, 288, interpolation="bilinear", channel_order="bgr")),
        ("ours", Preprocessing(256, 288, interpolation="bilinear", channel_order="rgb")),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_foreign_file_is_read_with_its_layouts_preprocessing_and_that_is_said(
    filled: Filled, tmp_path: Path, caplog: pytest.LogCaptureFixture, layout: str, preprocessing: Any, suffix: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    (torch.save if suffix == ".pt" else save_file)(filled(layout=layout), path)
    state, spec = checkpoint.read(path)
    assert (spec.architecture, spec.preprocessing) == ("mobilevit_xxs", preprocessing)
    assert spec.classes == class_tables.imagenet1k()
    assert all(torch.equal(state[key], tensor) for key, tensor in filled().items())
    assert f"mobilevit_xxs in {layout} layout" in caplog.text
    assert f"input {preprocessing.channel_order.upper()}" in caplog.text


@pytest.mark.parametrize(
    ("architecture", "layout", "preprocessing", "classes", "data"),
    [
        (
            "ssdlite_mobilevit_xs",
            "cvnets",
            Preprocessing(320, 320, channel_order="bgr", fit="stretch"),
            "coco80",
            "COCO",
        ),
        (
            "deeplabv3_mobilevit_xs",
            "cvnets",
            Preprocessing(512, 512, channel_order="bgr", fit="stretch"),
            "voc21",
            "VOC",
        ),
        (
            "deeplabv3_mobilevit_xs",
            "transformers",
            Preprocessing(512, 544, channel_order="bgr", fit="crop"),
            "voc21",
            "VOC",
        ),
        (
            "deeplabv3_mobilevit_s_os8",
            "cvnets",
            Preprocessing(512, 512, channel_order="rgb", fit="stretch"),
            "voc21",
            "VOC",
        ),
    ],
)
def test_files_of_other_tasks_bring_their_classes_and_preprocessing(
    filled: Filled,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    architecture: str,
    layout: str,
    preprocessing: Preprocessing,
    classes: str,
    data: str,
) -> None:
    torch.save(filled(architecture, layout), tmp_path / "weights.pt")
    state, spec = checkpoint.read(tmp_path / "weights.pt")
    assert (spec.architecture, spec.task) == (architecture, MODELS[architecture].task)
    assert (spec.preprocessing, spec.classes) == (preprocessing, getattr(class_tables, classes)())
    assert all(torch.equal(state[key], tensor) for key, tensor in filled(architecture).items())
    assert data in caplog.text


def _prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + key: tensor for key, tensor in state.items()}


WRAPPED: dict[str, tuple[Callable[[Any, Any], Any], bool]] = {  # what training programs write; whether EMA is in it
    "cvnets": (lambda last, _: {"model_state_dict": last, "epoch": 3, "optim_state_dict": {"state": {}}}, False),
    "cvnets with EMA": (lambda last, ema: {"model_state_dict": last, "ema_state_dict": ema, "metric": 78.3}, True),
    "timm": (lambda last, _: {"state_dict": last, "args": argparse.Namespace(lr=0.1), "arch": "mobilevit_xxs"}, False),
    "timm with EMA": (lambda last, ema: {"state_dict": last, "state_dict_ema": ema, "metric": 0.7}, True),
    "timm without EMA": (lambda last, _: {"state_dict": last, "state_dict_ema": None}, False),
    "parallel": (lambda last, _: {"model": _prefixed("module.", last)}, False),
    "compiled": (lambda last, _: _prefixed("module._orig_mod.", last), False),
    "averaged by torch": (lambda last, _: {"n_averaged": torch.tensor(4), **_prefixed("module.", last)}, False),
    "under a name of its own": (lambda last, _: {"net": last, "epoch": 3, "optimizer": {"state": {0: {}}}}, False),
    "Lightning": (
        lambda last, _: {"state_dict": {**_prefixed("model.", last), "loss.weight": torch.ones(2)}, "epoch": 3},
        False,
    ),
    "a pair with EMA": (lambda last, ema: {"net": last, "net_ema": ema, "step": 7}, True),
    "model and EMA": (lambda last, ema: {"model": last, "ema": ema, "optimizer": {"lr": 0.1}}, True),
    "EMA beside": (lambda last, ema: {**last, **_prefixed("ema.", ema)}, True),
    "parameters": (lambda last, _: {k: nn.Parameter(t, requires_grad=False) for k, t in last.items()}, False),
}


@pytest.mark.parametrize(("wrap", "averaged"), WRAPPED.values(), ids=WRAPPED)
def test_training_checkpoints_are_unwrapped_and_the_averaged_weights_preferred(
    filled: Filled, tmp_path: Path, caplog: pytest.LogCaptureFixture, wrap: Any, averaged: bool
) -> None:
    last = filled(layout="cvnets")
    ema = {key: tensor / 2 if tensor.is_floating_point() else tensor for key, tensor in last.items()}
    torch.save(wrap(last, ema), tmp_path / "checkpoint.pt")
    state = checkpoint.open_checkpoint(tmp_path / "checkpoint.pt").state
    key = "classifier.fc.bias"
    assert torch.equal(state["classifier.bias"], ema[key] if averaged else last[key])
    assert ("averaged (EMA)" in caplog.text or "'ema." in caplog.text or "ema.'" in caplog.text) == averaged


@pytest.mark.parametrize("layout", ["ours", "cvnets", "timm", "transformers"])
@pytest.mark.parametrize(
    "prefix", ["net.", "backbone.", "student.", "module.", "model.", "_orig_mod.", "model.net._orig_mod.", "a.b.c."]
)
def test_any_prefix_is_taken_off(filled: Filled, tmp_path: Path, layout: str, prefix: str) -> None:
    path = tmp_path / "prefixed.safetensors"
    save_file(_prefixed(prefix, filled(layout=layout, num_classes=2)), path)
    opened = checkpoint.open_checkpoint(path)
    assert opened.recognized.layout == layout
    assert opened.state["classifier.bias"].equal(filled(num_classes=2)["classifier.bias"])


@pytest.mark.parametrize(
    ("architecture", "layout"),
    [
        ("ssdlite_mobilevit_xxs", "cvnets"),
        ("ssdlite_mobilevit_xxs", "ours"),
        ("deeplabv3_mobilevit_xxs", "transformers"),
    ],
)
def test_a_prefix_of_other_tasks(filled: Filled, tmp_path: Path, architecture: str, layout: str) -> None:
    path = tmp_path / "prefixed.safetensors"
    save_file(_prefixed("student.", filled(architecture, layout)), path)
    assert checkpoint.open_checkpoint(path).recognized.architecture == architecture


def test_covers_inside_of_keys_are_taken_off(filled: Filled, tmp_path: Path) -> None:
    inside = {key.replace("backbone.", "backbone._orig_mod.module."): t for key, t in filled(num_classes=2).items()}
    save_file(inside, tmp_path / "compiled.safetensors")
    assert checkpoint.open_checkpoint(tmp_path / "compiled.safetensors").recognized.layout == "ours"


def test_two_models_in_one_file_are_not_guessed_between(filled: Filled, tmp_path: Path) -> None:
    both = _prefixed("student.", filled(layout="timm")) | _prefixed("teacher.", filled("mobilevit_xs", "timm"))
    save_file(both, tmp_path / "both.safetensors")
    with pytest.raises(WeightsError, match=r"several models, below 'student\.' and 'teacher\.'"):
        checkpoint.open_checkpoint(tmp_path / "both.safetensors")


def test_what_does_not_fit_below_a_prefix_is_said_of_the_prefix(filled: Filled, tmp_path: Path) -> None:
    part = {key: t for key, t in _prefixed("net.", filled(layout="timm")).items() if "stages.2" not in key}
    save_file(part, tmp_path / "part.safetensors")
    with pytest.raises(WeightsError, match=r"below the prefix 'net\.' of its keys, recognized as .*\n.*missing"):
        checkpoint.open_checkpoint(tmp_path / "part.safetensors")


NAMES = ["sparrow", "wren", "robin"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"id2label": {"0": "sparrow", "1": "wren", "2": "robin"}}, NAMES),
        ({"id2label": {"2": "robin", "0": "sparrow", "1": "wren"}}, NAMES),
        ({"label2id": {"robin": 2, "sparrow": 0, "wren": 1}}, NAMES),
        ({"id2label": {"0": "sparrow", "1": "wren"}}, None),
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}}, None),
        ({"id2label": {"0": "sparrow", "1": 5, "2": None}}, None),
        ({"id2label": ["sparrow", "wren", "robin"]}, None),
        ({"label2id": {"sparrow": True, "wren": 1, "robin": 2}}, None),
        ([], None),
        ({"id2label": {"0": "bird", "1": "bird", "2": "robin"}}, ["bird", "bird", "robin"]),
    ],
    ids=str,
)
def test_the_config_beside_a_transformers_file_names_its_classes(
    filled: Filled, tmp_path: Path, config: Any, expected: list[str] | None
) -> None:
    save_file(filled(layout="transformers", num_classes=3), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    classes = checkpoint.read(tmp_path / "model.safetensors")[1].classes
    assert [label.name for label in classes] == (expected or ["class_0", "class_1", "class_2"])
    assert len({label.id for label in classes}) == 3


@pytest.mark.parametrize("text", ["{", "[" * 10**5, '{"id2label": NaN}', "\xff"])
def test_a_config_that_is_none_is_told_and_left(filled: Filled, tmp_path: Path, text: str) -> None:
    save_file(filled(layout="transformers", num_classes=3), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    assert checkpoint.read(tmp_path / "model.safetensors")[1].classes[0].name == "class_0"


def test_transformers_model_without_classifier_lacks_a_prefix(filled: Filled, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    whole = filled(layout="transformers", num_classes=0)
    save_file({key.removeprefix("mobilevit."): tensor for key, tensor in whole.items()}, path)
    state, spec = checkpoint.read(path)
    assert spec.classes == ()
    assert torch.equal(state["backbone.stem.conv.weight"], filled()["backbone.stem.conv.weight"])


def test_classes_of_which_only_the_number_is_known_are_numbered(filled: Filled, tmp_path: Path) -> None:
    save_file(filled(layout="timm", num_classes=3), tmp_path / "three.safetensors")
    _, spec = checkpoint.read(tmp_path / "three.safetensors")
    assert [label.name for label in spec.classes] == ["class_0", "class_1", "class_2"]


class _Attack:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


WRITERS: dict[str, Callable[[Any, Path], object]] = {
    "torch": torch.save,
    "pickle 2": lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2)),
    "pickle": lambda content, path: path.write_bytes(pickle.dumps(content)),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("inside", [False, True])
def test_a_pickle_that_would_run_code_is_refused_and_runs_none(
    filled: Filled, tmp_path: Path, writer: str, inside: bool
) -> None:
    victim, path = tmp_path / "victim", tmp_path / "attack.pt"
    attack = _Attack(victim)
    WRITERS[writer]({**filled(layout="cvnets", num_classes=2), "extra": attack} if inside else attack, path)
    with pytest.raises(WeightsError, match=r"attack\.pt is refused: .*any code.*safetensors") as caught:
        checkpoint.read(path)
    assert writer == "pickle" or f"{os.name}.system" in str(caught.value) or inside
    assert not victim.exists()


def test_the_attack_of_these_tests_is_a_real_one(tmp_path: Path) -> None:
    torch.save(_Attack(tmp_path / "victim"), tmp_path / "attack.pt")
    torch.load(tmp_path / "attack.pt", weights_only=False)
    assert (tmp_path / "victim").exists()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (torch.zeros(3), "contains a Tensor, not a state dict"),
        ([torch.zeros(3)], "contains a list, not a state dict"),
        ({}, "is not a state dict"),
        ({"epoch": 3, "classifier.weight": torch.zeros(3)}, "1 entries other than tensors (epoch)"),
        ({3: torch.zeros(3)}, "entries other than tensors (3)"),
        ({"a": torch.zeros(3)}, "not a MobileViT"),
        (nn.Linear(2, 2), "is refused"),
    ],
)
def test_torch_files_of_something_else_are_named(tmp_path: Path, content: Any, what: str) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(WeightsError) as caught:
        checkpoint.read(tmp_path / "other.pt")
    assert what in str(caught.value) and "other.pt" in str(caught.value)


@pytest.mark.parametrize("cut", [5, 1000, 100_000])
def test_a_torch_file_that_is_cut_short_is_damaged(filled: Filled, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "short.pt"
    torch.save(filled(num_classes=2), path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(WeightsError, match=r"short\.pt is (damaged|refused)"):
        checkpoint.read(path)


def test_a_tensor_that_claims_to_be_huge_allocates_nothing(filled: Filled, tmp_path: Path) -> None:
    one = torch.zeros(1)
    claim = {"classifier.fc.weight": one.expand(10**11, 320), "classifier.fc.bias": one.expand(10**11)}
    torch.save({**filled(layout="cvnets"), **claim}, tmp_path / "huge.pt")
    with pytest.raises(WeightsError, match="100,000,000,000 classes"):
        checkpoint.read(tmp_path / "huge.pt")


def test_files_too_large_for_any_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.pt"
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(3 * 2**30)  # sparse: takes no room
    with pytest.raises(WeightsError, match="refused"):
        checkpoint.read(path)


def test_the_log_is_quiet_about_files_that_say_themselves_what_they_are(
    filled: Filled, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = OrderedDict(filled(num_classes=0))
    spec = checkpoint.spec_for(checkpoint.Recognized("ours", "mobilevit_xxs", 0), "test")
    content.mobilevit_spec = spec.to_json()  # type: ignore[attr-defined]
    torch.save(content, tmp_path / "ours.pt")
    with caplog.at_level(logging.INFO):
        assert checkpoint.read(tmp_path / "ours.pt")[1] == spec
    assert caplog.text == ""


def test_a_spec_that_contradicts_the_tensors_is_an_error(filled: Filled, tmp_path: Path) -> None:
    spec = checkpoint.spec_for(checkpoint.Recognized("ours", "mobilevit_xxs", 5), "test")
    save_file(filled(layout="timm", num_classes=4), tmp_path / "m.safetensors", {"mobilevit_spec": spec.to_json()})
    with pytest.raises(WeightsError, match="its spec says mobilevit_xxs, 5 classes, but the tensors are"):
        checkpoint.read(tmp_path / "m.safetensors")
