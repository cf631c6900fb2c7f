import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mobilevit import class_tables
from mobilevit.errors import UsageError, WeightsError
from mobilevit.models.table import MODELS
from mobilevit.spec import ClassLabel, ModelSpec, Preprocessing, labels
from mobilevit.weights import model_file
from mobilevit.weights.creating import create, load, spec_of

Filled = Callable[..., dict[str, Tensor]]

ANIMALS = labels(["bee", "cow", "dog", "emu"])


@pytest.fixture(scope="module")
def animals(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of four classes that expects BGR."""
    path = tmp_path_factory.mktemp("animals") / "animals.safetensors"
    spec = ModelSpec("mobilevit_xxs", "classification", ANIMALS, Preprocessing(96, 108, channel_order="bgr"))
    model_file.save(path, filled(num_classes=4), spec)
    return path


@pytest.mark.parametrize(("name", "parameters"), [*zip(MODELS, (1_272_024, 2_317_848, 5_578_632), strict=True)])
def test_a_name_alone_gives_the_published_network(name: str, parameters: int) -> None:
    network = create(name)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert network.training
    assert spec_of(network) == ModelSpec(name, "classification", class_tables.imagenet1k())


def test_aliases_and_misspelt_names() -> None:
    assert spec_of(create("apple/mobilevit-xx-small", num_classes=2)).architecture == "mobilevit_xxs"
    with pytest.raises(UsageError, match="did you mean mobilevit_xs"):
        create("mobilevit-xs")
    with pytest.raises(UsageError, match="did you mean imagenet"):
        create("mobilevit_xs", weights="imagnet")


def test_classes_by_number_and_by_label() -> None:
    assert spec_of(create("mobilevit_xxs", num_classes=3)).classes == labels(["class_0", "class_1", "class_2"])
    assert spec_of(create("mobilevit_xxs", classes=ANIMALS)).classes == ANIMALS
    assert create("mobilevit_xxs", classes=ANIMALS)(torch.zeros(2, 3, 32, 32)).shape == (2, 4)


def test_no_classes_give_pooled_features(animals: Path) -> None:
    for weights in ("none", animals):
        network = create("mobilevit_xxs", num_classes=0, weights=weights).eval()
        assert spec_of(network).classes == ()
        assert network(torch.zeros(2, 3, 32, 48)).shape == (2, 320)


def test_pooled_features_are_those_that_the_classifier_sees(animals: Path) -> None:
    picture = torch.rand(1, 3, 64, 64)
    whole = load(animals)
    with torch.inference_mode():
        features = create("mobilevit_xxs", num_classes=0, weights=animals).eval()(picture)
        torch.testing.assert_close(whole.classifier(features), whole(picture))  # type: ignore[operator]


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_classes": -1},
        {"num_classes": 2.5},
        {"num_classes": "2"},
        {"classes": ["cat", "dog"]},
        {"num_classes": 3, "classes": ANIMALS},
        {"num_classes": 0, "classes": ANIMALS},
        {"classes": labels(["bee", "bee"])},
    ],
)
def test_contradictions_are_misuse(arguments: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        create("mobilevit_xxs", **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", [{}, {"num_classes": 4}, {"classes": ANIMALS}])
def test_the_weights_bring_their_classes_and_preprocessing(
    animals: Path, caplog: pytest.LogCaptureFixture, arguments: dict[str, object]
) -> None:
    network = create("mobilevit_xxs", weights=animals, **arguments)  # type: ignore[arg-type]
    assert network.training
    assert spec_of(network) == spec_of(load(animals))
    assert _equal(network, load(animals))
    assert caplog.text == ""


def test_another_number_of_classes_starts_the_classifier_anew_and_says_so(
    animals: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network, trained = create("mobilevit_xxs", num_classes=7, weights=animals), load(animals)
    assert network.classifier.weight.shape == (7, 320)  # type: ignore[union-attr]
    assert _equal(network.backbone, trained.backbone) and _equal(network.final, trained.final)  # type: ignore[arg-type]
    assert spec_of(network).preprocessing.channel_order == "bgr"
    assert "new classifier for 7 classes: the weights have 4 others (bee, cow, dog, ...)" in caplog.text


def test_classes_that_the_weights_know_keep_their_rows_in_the_new_order(
    animals: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture, wanted = torch.rand(1, 3, 64, 64), labels(["Dog", "bee"])
    network = create("mobilevit_xxs", classes=wanted, weights=animals).eval()
    with torch.inference_mode():
        torch.testing.assert_close(network(picture), load(animals)(picture)[:, [2, 0]])
    assert spec_of(network).classes == wanted
    assert "classifier kept: all 2 classes are among the 4 of the weights" in caplog.text


def test_folders_of_wnids_and_of_names_keep_the_same_rows_of_imagenet(filled: Filled, tmp_path: Path) -> None:
    path = tmp_path / "timm.safetensors"
    save_file(filled(layout="timm"), path)
    by_name = create("mobilevit_xxs", classes=labels(["gas_pump", "tench"]), weights=path)
    by_wnid = create("mobilevit_xxs", classes=labels(["n03425413", "n01440764"]), weights=path)
    assert _equal(by_name, by_wnid)
    assert torch.equal(by_name.classifier.bias, filled()["classifier.bias"][[571, 0]])  # type: ignore[union-attr,arg-type]


@pytest.mark.parametrize("names", [["bee", "wolf"], ["bee", "Bee"]])
def test_one_class_that_is_unknown_or_doubled_starts_the_classifier_anew(
    animals: Path, caplog: pytest.LogCaptureFixture, names: list[str]
) -> None:
    network = create("mobilevit_xxs", classes=labels(names), weights=animals)
    assert spec_of(network).classes == labels(names)
    assert "new classifier" in caplog.text


def test_as_many_other_classes_start_the_classifier_anew(animals: Path, caplog: pytest.LogCaptureFixture) -> None:
    create("mobilevit_xxs", classes=labels(["a", "b", "c", "d"]), weights=animals)
    assert "new classifier" in caplog.text


def test_a_classifier_where_the_weights_have_none(filled: Filled, tmp_path: Path) -> None:
    save_file(filled(layout="timm", num_classes=0), tmp_path / "headless.safetensors")
    network = create("mobilevit_xxs", num_classes=2, weights=tmp_path / "headless.safetensors")
    assert spec_of(network).classes == labels(["class_0", "class_1"])


def test_weights_of_another_model_or_another_ablation_are_an_error(animals: Path) -> None:
    with pytest.raises(WeightsError, match="are of mobilevit_xxs, not of mobilevit_s"):
        create("mobilevit_s", weights=animals)
    with pytest.raises(WeightsError, match="are of mobilevit_xs, not of mobilevit_s"):
        create("mobilevit_s", weights="cvnets/mobilevit_xs")
    with pytest.raises(WeightsError, match=r"trained with patch_sizes=\(2, 2, 2\), not \(4, 4, 4\)"):
        create("mobilevit_xxs", weights=animals, patch_sizes=(4, 4, 4))
    with pytest.raises(WeightsError, match="trained with fuse_input=True, not False"):
        create("mobilevit_xxs", weights=animals, fuse_input=False)


def test_ablations_survive_their_file(tmp_path: Path) -> None:
    network = create("mobilevit_xxs", num_classes=2, patch_sizes=(8, 4, 2), fuse_input=False)
    model_file.save(tmp_path / "ablation.safetensors", network.state_dict(), spec_of(network))
    again = load(tmp_path / "ablation.safetensors")
    assert spec_of(again) == spec_of(network) and _equal(again, network)
    picture = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(again(picture), network.eval()(picture))


def test_a_loaded_network_is_ready_to_use_and_can_be_trained_on(animals: Path) -> None:
    network = load(str(animals))
    assert not network.training
    assert not any(tensor.is_meta for tensor in network.state_dict().values())
    assert all(parameter.requires_grad for parameter in network.parameters())
    animals.with_name("copy.safetensors").write_bytes(animals.read_bytes())
    copy = load(animals.with_name("copy.safetensors"))
    animals.with_name("copy.safetensors").write_bytes(b"")  # what is loaded does not hang on the file
    assert _equal(network, copy)


@pytest.mark.parametrize("name", ["none", "imagenet", "imagenette2", "mobilevit_m"])
def test_names_that_mean_no_weights_by_themselves(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        load(name)


def test_a_network_without_spec_is_told_apart() -> None:
    with pytest.raises(UsageError, match="Linear carries no spec"):
        spec_of(nn.Linear(1, 1))


def test_creating_and_loading_is_quick(tmp_path: Path) -> None:
    create("mobilevit_xxs")  # tables are read, torch has warmed up
    start = time.process_time()
    network = create("mobilevit_xxs")
    model_file.save(tmp_path / "quick.safetensors", network.state_dict(), spec_of(network))
    load(tmp_path / "quick.safetensors")
    assert time.process_time() - start < 1.0


def _equal(one: nn.Module, other: nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_labels_with_names_are_matched_by_them_too(filled: Filled, tmp_path: Path) -> None:
    save_file(filled(layout="timm"), tmp_path / "timm.safetensors")
    wanted = (ClassLabel("fish-01", "tench"), ClassLabel("n03425413", "petrol station"))
    network = create("mobilevit_xxs", classes=wanted, weights=tmp_path / "timm.safetensors")
    assert torch.equal(network.classifier.bias, filled()["classifier.bias"][[0, 571]])  # type: ignore[union-attr,arg-type]
