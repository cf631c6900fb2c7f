from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import official
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mobilevit import class_tables
from mobilevit.errors import UsageError, WeightsError
from mobilevit.models.anchor_sizes import PAPER_SIZES
from mobilevit.models.table import MODELS
from mobilevit.spec import ClassLabel, ModelSpec, Preprocessing, Provenance, labels
from mobilevit.weights import model_file, sources
from mobilevit.weights.catalog import Entry
from mobilevit.weights.checkpoint import USUAL
from mobilevit.weights.creating import create, load, spec_of
from mobilevit.weights.layouts import preprocessing, shapes

Filled = Callable[..., dict[str, Tensor]]

ANIMALS = labels(["bee", "cow", "dog", "emu"])


@pytest.fixture(scope="module")
def animals(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of four classes that expects BGR."""
    path = tmp_path_factory.mktemp("animals") / "animals.safetensors"
    spec = ModelSpec("mobilevit_xxs", "classification", ANIMALS, Preprocessing(96, 108, channel_order="bgr"))
    model_file.save(path, filled(num_classes=4), spec)
    return path


@pytest.mark.parametrize("name", MODELS)
def test_a_name_alone_gives_the_published_model(name: str) -> None:
    model, row = create(name), MODELS[name]
    assert {key: value.shape for key, value in model.state_dict().items()} == shapes(
        name, official.num_classes(name), True
    )
    assert model.training
    expected = ModelSpec(name, row.task, USUAL[row.task].classes(), preprocessing(name, "ours"))
    assert spec_of(model) == expected
    if row.task == "classification":
        assert expected == ModelSpec(name, "classification", class_tables.imagenet1k())


@pytest.mark.parametrize("name", ["mobilevit_xxs", "ssdlite_mobilevit_xxs", "deeplabv3_mobilevit_xxs"])
def test_finite_weights_with_an_output_that_is_not_are_damaged(filled: Filled, tmp_path: Path, name: str) -> None:
    """One bit, the sign of a variance, makes everything NaN; the file of another program carries no checksum."""
    tensors = dict(filled(name, "cvnets"))
    key = next(key for key in tensors if key.endswith("running_var"))
    tensors[key] = -1000 * tensors[key]
    path = tmp_path / "foreign.safetensors"
    save_file(tensors, path)
    with pytest.raises(WeightsError, match=r"foreign\.safetensors' are damaged: .*not finite"):
        load(path)
    with pytest.raises(WeightsError, match=r"foreign\.safetensors' are damaged: .*not finite"):
        create(name, weights=path)


def test_aliases_and_misspelled_names() -> None:
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
        model = create("mobilevit_xxs", num_classes=0, weights=weights).eval()
        assert spec_of(model).classes == ()
        assert model(torch.zeros(2, 3, 32, 48)).shape == (2, 320)


def test_pooled_features_are_those_that_the_classifier_sees(animals: Path) -> None:
    image = torch.rand(1, 3, 64, 64)
    whole = load(animals)
    with torch.inference_mode():
        features = create("mobilevit_xxs", num_classes=0, weights=animals).eval()(image)
        torch.testing.assert_close(whole.classifier(features), whole(image))  # type: ignore[operator]


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
    model = create("mobilevit_xxs", weights=animals, **arguments)  # type: ignore[arg-type]
    assert model.training
    assert spec_of(model) == spec_of(load(animals))
    assert _equal(model, load(animals))
    assert caplog.text == ""


def test_another_number_of_classes_starts_the_classifier_anew_and_says_so(
    animals: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, trained = create("mobilevit_xxs", num_classes=7, weights=animals), load(animals)
    assert model.classifier.weight.shape == (7, 320)  # type: ignore[union-attr]
    assert _equal(model.backbone, trained.backbone) and _equal(model.final, trained.final)  # type: ignore[arg-type]
    assert spec_of(model).preprocessing.channel_order == "bgr"
    assert "new classifier for 7 classes: the weights have 4 others (bee, cow, dog, ...)" in caplog.text


def test_classes_that_the_weights_know_keep_their_rows_in_the_new_order(
    animals: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image, wanted = torch.rand(1, 3, 64, 64), labels(["Dog", "bee"])
    model = create("mobilevit_xxs", classes=wanted, weights=animals).eval()
    with torch.inference_mode():
        torch.testing.assert_close(model(image), load(animals)(image)[:, [2, 0]])
    assert spec_of(model).classes == wanted
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
    model = create("mobilevit_xxs", classes=labels(names), weights=animals)
    assert spec_of(model).classes == labels(names)
    assert "new classifier" in caplog.text


def test_as_many_other_classes_start_the_classifier_anew(animals: Path, caplog: pytest.LogCaptureFixture) -> None:
    create("mobilevit_xxs", classes=labels(["a", "b", "c", "d"]), weights=animals)
    assert "new classifier" in caplog.text


def test_a_classifier_where_the_weights_have_none(filled: Filled, tmp_path: Path) -> None:
    save_file(filled(layout="timm", num_classes=0), tmp_path / "headless.safetensors")
    model = create("mobilevit_xxs", num_classes=2, weights=tmp_path / "headless.safetensors")
    assert spec_of(model).classes == labels(["class_0", "class_1"])


def test_weights_of_another_model_or_another_ablation_are_an_error(animals: Path) -> None:
    with pytest.raises(WeightsError, match=r"are for mobilevit_xxs, not for mobilevit_s.*: use `model=mobilevit_xxs`"):
        create("mobilevit_s", weights=animals)
    with pytest.raises(WeightsError, match="are for mobilevit_xs, not for mobilevit_s"):
        create("mobilevit_s", weights="cvnets/mobilevit_xs")
    with pytest.raises(WeightsError, match=r"trained with patch_sizes=\(2, 2, 2\), not \(4, 4, 4\)"):
        create("mobilevit_xxs", weights=animals, patch_sizes=(4, 4, 4))
    with pytest.raises(WeightsError, match="trained with fuse_input=True, not False"):
        create("mobilevit_xxs", weights=animals, fuse_input=False)


def test_ablations_survive_their_file(tmp_path: Path) -> None:
    model = create("mobilevit_xxs", num_classes=2, patch_sizes=(8, 4, 2), fuse_input=False)
    model_file.save(tmp_path / "ablation.safetensors", model.state_dict(), spec_of(model))
    again = load(tmp_path / "ablation.safetensors")
    assert spec_of(again) == spec_of(model) and _equal(again, model)
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(again(image), model.eval()(image))


def test_a_loaded_model_is_ready_to_use_and_can_be_trained_on(animals: Path) -> None:
    model = load(str(animals))
    assert not model.training
    assert not any(tensor.is_meta for tensor in model.state_dict().values())
    assert all(parameter.requires_grad for parameter in model.parameters())
    animals.with_name("copy.safetensors").write_bytes(animals.read_bytes())
    copy = load(animals.with_name("copy.safetensors"))
    animals.with_name("copy.safetensors").write_bytes(b"")  # what is loaded does not hang on the file
    assert _equal(model, copy)


@pytest.mark.parametrize("name", ["none", "imagenet", "imagenette2", "mobilevit_m"])
def test_names_that_mean_no_weights_by_themselves(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        load(name)


def test_a_model_without_spec_is_told_apart() -> None:
    with pytest.raises(UsageError, match="Linear has no spec"):
        spec_of(nn.Linear(1, 1))


def test_loading_draws_no_weights_that_the_file_replaces(tmp_path: Path) -> None:
    path = tmp_path / "saved.safetensors"
    model = create("mobilevit_xxs")
    model_file.save(path, model.state_dict(), spec_of(model))
    before = torch.get_rng_state()
    load(path)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture(scope="module")
def detector(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of four animals that expects BGR."""
    path = tmp_path_factory.mktemp("detector") / "animals.safetensors"
    expects = Preprocessing(96, channel_order="bgr", fit="stretch")
    spec = ModelSpec("ssdlite_mobilevit_xxs", "detection", ANIMALS, expects, provenance=Provenance("farm", "CC0", "9"))
    model_file.save(path, filled("ssdlite_mobilevit_xxs", num_classes=4), spec)
    return path


@pytest.fixture(scope="module")
def segmenter(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("segmenter") / "animals.safetensors"
    spec = ModelSpec("deeplabv3_mobilevit_s_os8", "segmentation", ANIMALS)
    model_file.save(path, filled("deeplabv3_mobilevit_s_os8", num_classes=4), spec)
    return path


@pytest.mark.parametrize("name", ["ssdlite_mobilevit_xxs", "deeplabv3_mobilevit_xxs"])
def test_other_tasks_start_on_the_backbone_of_a_classifier(
    animals: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    model = create(name, classes=labels("xy"), weights=animals)
    assert _equal(model.backbone, load(animals).backbone)  # type: ignore[arg-type]
    expected = replace(preprocessing(name, "ours"), channel_order="bgr")
    assert spec_of(model).preprocessing == expected
    assert spec_of(model).classes == labels("xy")
    assert f"only the backbone of weights '{animals}' is used: they are for mobilevit_xxs" in caplog.text
    assert "classifier" not in caplog.text


def test_a_backbone_brings_its_terms_but_not_its_score(detector: Path) -> None:
    origin = spec_of(create("deeplabv3_mobilevit_xxs", weights=detector)).provenance
    assert origin == Provenance("farm", "CC0", "", "only the backbone, of ssdlite_mobilevit_xxs")


def test_the_packaged_weights_start_a_detector_offline() -> None:
    spec = spec_of(create("ssdlite_mobilevit_xxs", num_classes=3, weights="imagenette"))
    assert (spec.preprocessing.image_size, spec.preprocessing.fit, len(spec.classes)) == (320, "stretch", 3)


def test_a_backbone_of_another_size_is_an_error_before_anything_is_fetched(animals: Path) -> None:
    for weights in (animals, "timm/mobilevit_xs.cvnets_in1k"):
        with pytest.raises(WeightsError, match=r"are for mobilevit_xx?s, not for ssdlite_mobilevit_s or another model"):
            create("ssdlite_mobilevit_s", weights=weights)


@pytest.mark.parametrize(
    ("name", "weights", "file"),
    [
        ("ssdlite_mobilevit_xs", "imagenet", "mobilevit_xs.cvnets_in1k"),
        ("ssdlite_mobilevit_xs", "coco", "ssd_mobilevit_xs_320.pt"),
        ("deeplabv3_mobilevit_s", "voc", "cvnets/segmentation/deeplabv3_mobilevit_s.pt"),
        ("deeplabv3_mobilevit_s_os8", "voc", "deeplabv3-mobilevitv1.pt"),
        ("mobilevit_s", "coco", "ssd_mobilevit_s_320.pt"),
    ],
)
def test_keywords_mean_the_published_weights_of_the_same_size(
    monkeypatch: pytest.MonkeyPatch, name: str, weights: str, file: str
) -> None:
    def fetch(entry: Entry) -> Path:
        raise WeightsError(entry.source.url)

    monkeypatch.setattr(sources.download, "fetch", fetch)
    with pytest.raises(WeightsError, match=file):
        create(name, weights=weights)


def test_only_a_classifier_can_do_without_classes() -> None:
    for name in ("ssdlite_mobilevit_xxs", "deeplabv3_mobilevit_xxs"):
        with pytest.raises(UsageError, match="num_classes is 0"):
            create(name, num_classes=0)


def test_a_detector_keeps_the_rows_of_classes_that_it_knows(detector: Path, caplog: pytest.LogCaptureFixture) -> None:
    image, trained = torch.rand(1, 3, 64, 64), load(detector)
    model = create("ssdlite_mobilevit_xxs", classes=labels(["dog", "bee"]), weights=detector).eval()
    with torch.inference_mode():
        ours, theirs = model(image), trained(image)
    torch.testing.assert_close(ours.scores, theirs.scores[..., [0, 3, 1]])  # the background is first
    torch.testing.assert_close(ours.locations, theirs.locations)
    assert "classifier kept: all 2 classes" in caplog.text


def test_a_detector_of_other_classes_keeps_what_they_share(detector: Path, caplog: pytest.LogCaptureFixture) -> None:
    image, trained = torch.rand(1, 3, 64, 64), load(detector)
    model = create("ssdlite_mobilevit_xxs", classes=labels(["dog", "wolf"]), weights=detector).eval()
    with torch.inference_mode():
        ours, theirs = model(image), trained(image)
    torch.testing.assert_close(ours.locations, theirs.locations)
    torch.testing.assert_close(ours.scores[..., 0], theirs.scores[..., 0])
    assert ours.scores.shape[-1] == 3 and not torch.allclose(ours.scores[..., 1], theirs.scores[..., 3])
    assert "new classifier for 2 classes: the weights have 4 others" in caplog.text
    assert spec_of(model).preprocessing.channel_order == "bgr"


def test_a_segmenter_keeps_the_rows_of_both_its_heads(segmenter: Path) -> None:
    image, trained = torch.rand(1, 3, 64, 64), load(segmenter)
    model = create("deeplabv3_mobilevit_s_os8", classes=labels(["emu", "cow"]), weights=segmenter).eval()
    with torch.inference_mode():
        torch.testing.assert_close(model(image).logits, trained(image).logits[:, [3, 1]])
    rows = trained.auxiliary.classifier.weight[[3, 1]]  # type: ignore[union-attr]
    assert torch.equal(model.auxiliary.classifier.weight, rows)  # type: ignore[union-attr]


def test_anchors_of_ones_own_travel_with_the_model(tmp_path: Path) -> None:
    own = tuple(tuple((0.5 * w, 0.5 * h) for w, h in level) for level in PAPER_SIZES)
    model, paper = create("ssdlite_mobilevit_xxs", num_classes=2, anchors=own), create("ssdlite_mobilevit_xxs")
    assert spec_of(model).anchors == own
    model_file.save(tmp_path / "own.safetensors", model.state_dict(), spec_of(model))
    image = torch.rand(1, 3, 320, 320)
    with torch.inference_mode():
        expected = paper.eval()(image).anchors
        for again in (
            load(tmp_path / "own.safetensors"),
            create("ssdlite_mobilevit_xxs", weights=tmp_path / "own.safetensors"),
        ):
            assert spec_of(again).anchors == own
            found = again.eval()(image).anchors
            torch.testing.assert_close(found[:2400, 2:], 0.5 * expected[:2400, 2:])
            torch.testing.assert_close(found[:, :2], expected[:, :2])
        back = create("ssdlite_mobilevit_xxs", weights=tmp_path / "own.safetensors", anchors=PAPER_SIZES)
        assert torch.equal(back.eval()(image).anchors, expected)


def test_anchors_that_cannot_be_are_misuse() -> None:
    with pytest.raises(UsageError, match="6, 6, 6, 6, 6, 4 pairs"):
        create("ssdlite_mobilevit_xxs", anchors=(((0.1, 0.1),),))
    with pytest.raises(UsageError, match="mobilevit_xs is a model for classification: it has no anchors"):
        create("mobilevit_xs", anchors=PAPER_SIZES)


def _equal(one: nn.Module, other: nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_labels_with_names_are_matched_by_them_too(filled: Filled, tmp_path: Path) -> None:
    save_file(filled(layout="timm"), tmp_path / "timm.safetensors")
    wanted = (ClassLabel("fish-01", "tench"), ClassLabel("n03425413", "petrol station"))
    model = create("mobilevit_xxs", classes=wanted, weights=tmp_path / "timm.safetensors")
    assert torch.equal(model.classifier.bias, filled()["classifier.bias"][[0, 571]])  # type: ignore[union-attr,arg-type]
