"""A manifest that was changed: it says the same, or one error names what cannot be. Any key, any value."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobilevit.checksums import json_checksum
from mobilevit.errors import WeightsError
from mobilevit.formats.manifest import CHECKSUM_KEY, Manifest, TensorInfo, manifest_path, read_manifest, sha256_of
from mobilevit.formats.running import ExportedRunner
from mobilevit.formats.table import FORMATS, open_exported
from mobilevit.inference import Predictor
from mobilevit.spec import ModelSpec, Preprocessing, Step, labels
from mobilevit.weights.spec_checks import check_spec, read_spec

KINDS = {
    "classification": ("mobilevit_xxs", (TensorInfo("probabilities", ("batch", 3), "float32", ""),)),
    "detection": (
        "ssdlite_mobilevit_xxs",
        (TensorInfo("boxes", ("batch", 90, 4), "float32", ""), TensorInfo("scores", ("batch", 90, 3), "float32", "")),
    ),
    "segmentation": ("deeplabv3_mobilevit_xxs", (TensorInfo("class_map", ("batch", 64, 64), "int32", ""),)),
}


def manifest_of(task: str) -> Manifest:
    architecture, outputs = KINDS[task]
    spec = ModelSpec(architecture, task, labels(["cat", "dog", "owl"]), Preprocessing(64, 72))
    inputs = (TensorInfo("images", ("batch", 3, 64, 64), "float32", "NCHW"),)
    parity = {"limits": {"largest": 1e-4}, "outputs": {}, "agreement": 1.0}
    steps = (Step("center_crop", {"size": 64}, "Cut out."),), (Step("nms", {"iou_threshold": 0.5}, "Suppress."),)
    found = ({"score": 0.5}, parity, {"XNNPACK": 1}, {"torch": "2"}, 3)
    return Manifest("onnx", "fp32", "model.onnx", "0" * 64, spec, (64, 96), inputs, outputs, *steps, *found)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values in a document."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield (*path, key)
        yield from places(entry, (*path, key))


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value there; without it where that is `places`."""
    copy = json.loads(json.dumps(document))
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    if value is places:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return copy


deep: Any = []
for _ in range(200):
    deep = [deep]
VALUES = [places, None, True, -1, 0, 10**9, 10**40, 0.5, float("nan"), float("inf"), "", "x" * 10**6, [], {}, [1], deep]


def sealed(document: Any) -> str:
    """The text of a manifest with the checksum that fits, as only a program would write it."""
    content = {key: value for key, value in document.items() if key != CHECKSUM_KEY}
    with suppress(ValueError):  # NaN has none
        content[CHECKSUM_KEY] = json_checksum(content)
    return json.dumps(content)


@pytest.mark.parametrize("task", KINDS)
def test_any_change_is_refused(task: str) -> None:
    """Also to a value that could be: another order of the classes, another threshold, another proof."""
    document = json.loads(manifest_of(task).to_json())
    tried = 0
    for path in places(document):
        for value in VALUES:
            edited = changed(document, path, value)
            if edited != document:
                tried += 1
                with pytest.raises(WeightsError, match="manifest cannot be read"):
                    Manifest.from_json(json.dumps(edited))
    assert tried > 500


@pytest.mark.parametrize("task", KINDS)
@pytest.mark.parametrize("edit", ["reordered", "renamed", "renamed to a class there is", "threshold", "sum"])
def test_an_edit_that_fits_everything_else_is_refused(edit: str, task: str) -> None:
    document = json.loads(manifest_of(task).to_json())
    classes = document["spec"]["classes"]
    if edit == "reordered":
        classes.reverse()
    elif edit.startswith("renamed"):
        classes[0]["name"] = "wolf" if edit == "renamed" else "dog"
    elif edit == "threshold":
        document["thresholds"]["score"] = 0.01
    else:
        document["sha256"] = "1" * 64
    assert Manifest.from_json(sealed(document))
    with pytest.raises(WeightsError, match=r"was changed after it was written.*Export the model again"):
        Manifest.from_json(json.dumps(document))


def test_another_layout_of_the_text_is_no_change() -> None:
    """A program may write keys in another order, whole numbers without a point, and letters with escapes."""
    manifest = replace(
        manifest_of("detection"), thresholds={"score": 1.0, "iou": 0.5}, postprocessing=(Step("nms", {}, "Größe"),)
    )
    document = json.loads(manifest.to_json()) | {"thresholds": {"iou": 0.5, "score": 1}}
    for text in (json.dumps(document, sort_keys=True), json.dumps(document, indent=8, ensure_ascii=False)):
        assert Manifest.from_json(text) == manifest


def test_two_classes_of_one_id_are_refused_wherever_a_spec_is_read() -> None:
    document = json.loads(manifest_of("detection").to_json())
    document["spec"]["classes"][2] = {"id": "cat", "name": "tiger"}
    with pytest.raises(WeightsError, match=r"spec\.classes has two classes with the id 'cat'"):
        Manifest.from_json(sealed(document))
    with pytest.raises(WeightsError, match="two classes with the id 'cat'"):
        read_spec(json.dumps(document["spec"]))
    document["spec"]["classes"][2] = {"id": "n02", "name": "cat"}  # as ImageNet's two cranes
    assert Manifest.from_json(sealed(document)).spec == read_spec(json.dumps(document["spec"]))


@pytest.mark.parametrize("task", KINDS)
def test_any_sealed_value_is_refused_by_its_key_or_harmless(task: str) -> None:
    document = json.loads(manifest_of(task).to_json())
    tried = refused = 0
    for path in places(document):
        if path == (CHECKSUM_KEY,):
            continue
        for value in VALUES:
            tried += 1
            try:
                manifest = Manifest.from_json(sealed(changed(document, path, value)))
                check_spec(manifest.spec)
                assert Manifest.from_json(manifest.to_json()) == manifest
            except WeightsError as error:
                refused += 1
                assert len(str(error)) < 1000
    assert tried > 500 and refused > tried / 2


@pytest.mark.parametrize("task", KINDS)
def test_what_a_manifest_says_survives_its_text(task: str) -> None:
    assert Manifest.from_json(manifest_of(task).to_json()) == manifest_of(task)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("spec", "classes", 1), places, r"spec\.classes are 2, but num_classes is 3"),
        (("spec", "classes", 1, "name"), 7, r"manifest\.spec\.classes\[1\]\.name is 7, expected a text"),
        (("spec", "color"), 1, r"manifest\.spec has a key \"color\" that is unknown"),
        (("postprocesing",), [], r"did you mean postprocessing\?"),
        (("sha256",), places, "manifest lacks the key sha256"),
        (("image_sizes", 0), "64", r"manifest\.image_sizes\[0\] is \"64\", expected a whole number"),
        (
            ("spec", "preprocessing", "image_size"),
            96,
            r"spec\.preprocessing\.image_size is 96, but image_sizes \[64, 96\]",
        ),
        (("parity",), deep, r"manifest\.parity is a list of 1, expected an object or a text"),
        (("parity", "agreement"), deep, r"manifest\.parity\.agreement .* levels of nesting"),
        (("thresholds", "score"), float("nan"), "NaN is no number of JSON"),
        (("inputs", 0, "name"), "pixels", "inputs are"),
        (("schema_version",), 2, r"manifest\.schema_version is not 1"),
        ((CHECKSUM_KEY,), places, "manifest lacks the key checksum"),
    ],
)
def test_the_key_is_named(path: tuple[Any, ...], value: Any, said: str) -> None:
    document = json.loads(manifest_of("segmentation").to_json())
    with pytest.raises(WeightsError, match=said):
        Manifest.from_json(json.dumps(changed(document, path, value)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "[" * 10**5,
        '{"a": 1e999}',
        '{"schema_version": 1, "schema_version": 1}',
        '{"schema_version":' * 10**5,
        '{"schema_version": 1, "spec": 3}',
    ],
)
def test_what_is_no_manifest(text: str) -> None:
    with pytest.raises(WeightsError, match="manifest cannot be read"):
        Manifest.from_json(text)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    exported = tmp_path / "model.onnx"
    exported.write_text("a model")
    with manifest_path(exported).open("wb") as file:
        file.truncate(2**33)
    with pytest.raises(WeightsError, match=r"8,589,934,592 bytes: that is no manifest"):
        read_manifest(exported)


def test_a_fault_names_the_file(tmp_path: Path) -> None:
    exported = tmp_path / "model.onnx"
    exported.write_text("a model")
    document = json.loads(manifest_of("detection").to_json()) | {"sha256": sha256_of(exported)}
    manifest_path(exported).write_text(sealed(document))
    assert read_manifest(exported).spec.task == "detection"
    manifest_path(exported).write_text(json.dumps(document | {"precision": 16}))
    with pytest.raises(WeightsError, match=r"model\.onnx\.json: .*manifest\.precision is 16"):
        read_manifest(exported)


@pytest.mark.parametrize("suffix", [row.suffix for row in FORMATS.values()])
def test_no_runtime_sees_a_file_that_was_damaged(suffix: str, tmp_path: Path) -> None:
    """A bit anywhere, an end that is missing, another model: a native runtime may end the process on any of them.

    The content is noise, which none of them takes: so each refusal comes before they are asked.
    """
    exported = tmp_path / f"model{suffix}"
    content = np.random.default_rng(0).bytes(3000)
    inner = exported / "model.bin" if suffix in (".openvino", ".mlpackage") else exported
    inner.parent.mkdir(exist_ok=True)
    inner.write_bytes(content)
    format_name = next(name for name, row in FORMATS.items() if row.suffix == suffix)
    manifest = replace(manifest_of("classification"), format=format_name, sha256=sha256_of(exported))
    manifest_path(exported).write_text(manifest.to_json())
    assert read_manifest(exported) == manifest
    flipped = [content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :] for at in (0, 4, 1501, 2999)]
    for damaged in (*flipped, content[:-1], content[:1000], b"", content + b"\0", content[::-1]):
        inner.write_bytes(damaged)
        for open_it in (open_exported, Predictor):
            with pytest.raises(WeightsError, match=r"is not what its manifest was .*export the model again"):
                open_it(exported)


@pytest.mark.parametrize(
    ("task", "outputs", "said"),
    [
        ("classification", [np.full((1, 3), np.nan, np.float32)], "probabilities that are not finite"),
        ("classification", [np.ones((1, 4), np.float32)], r"shape \[1, 4\], but its manifest says"),
        (
            "detection",
            [np.ones((1, 90, 4), np.float32), np.full((1, 90, 3), np.inf, np.float32)],
            "scores that are not",
        ),
        ("segmentation", [np.full((1, 64, 64), 3, np.int32)], "value 3, but its manifest lists 3 classes"),
        ("segmentation", [np.zeros((1, 32, 32), np.int32)], r"shape \[1, 32, 32\]"),
    ],
)
def test_a_runtimes_answer_is_what_the_manifest_says(task: str, outputs: list[Any], said: str) -> None:
    runner = ExportedRunner(manifest_of(task), "a runtime", lambda _: outputs)
    with pytest.raises(WeightsError, match=said):
        runner(np.zeros((1, 3, 64, 64), np.uint8))
