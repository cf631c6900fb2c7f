"""Small valid inputs of every kind that the package opens, and what opens each."""

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, features
from safetensors.torch import save

from mobilevit import tasks
from mobilevit.datasets.options import ReadOptions
from mobilevit.formats.manifest import Manifest, TensorInfo
from mobilevit.images.decoding import decode, header
from mobilevit.images.video import Location, Video, locate
from mobilevit.images.video_writer import VideoWriter
from mobilevit.spec import Preprocessing, Step
from mobilevit.weights.creating import create, load, spec_of

Files = dict[str, bytes]  # content by path below a folder
Opener = Callable[[Path], object]  # of the folder


@dataclass(frozen=True)
class Seed:
    """A folder of files of which some are mutated, and what is then asked of the package."""

    name: str
    files: Files
    mutated: tuple[str, ...]
    open: Opener


def seeds() -> list[Seed]:
    """All kinds, the same in every process."""
    return [*_images(), *_annotations(), *_masks(), *_weights(), *_manifests(), *_videos()]


def _images() -> Iterator[Seed]:
    for name, content in _encoded().items():
        yield Seed(f"image {name}", {name: content}, (name,), _decoded(name))


def _decoded(name: str) -> Opener:
    def opened(folder: Path) -> None:
        header(folder / name)
        decode(folder / name)

    return opened


def _encoded() -> Files:
    rng = np.random.default_rng(0)
    color = Image.fromarray(rng.integers(0, 256, (40, 56, 3), dtype=np.uint8))
    gray16 = Image.fromarray(rng.integers(0, 65536, (40, 56), dtype=np.uint16))
    real = Image.fromarray(rng.random((40, 56), dtype=np.float32))
    exif = Image.Exif()
    exif[0x0112] = 6
    made: Files = {}

    def add(name: str, image: Image.Image, kind: str, **options: object) -> None:
        file = io.BytesIO()
        image.save(file, kind, **options)
        made[name] = file.getvalue()

    add("baseline.jpg", color, "JPEG", exif=exif)
    add("progressive.jpg", color, "JPEG", progressive=True)
    add("cmyk.jpg", color.convert("CMYK"), "JPEG")
    add("color.png", color, "PNG")
    add("palette.png", color.quantize(16), "PNG", transparency=0)
    add("gray16.png", gray16, "PNG")
    add("alpha.png", color.convert("RGBA"), "PNG")
    add("lossy.webp", color, "WEBP")
    add("lossless.webp", color, "WEBP", lossless=True)
    add("animated.webp", color, "WEBP", save_all=True, append_images=[color.rotate(90), color.rotate(180)])
    add("animated.gif", color.quantize(16), "GIF", save_all=True, append_images=[color.quantize(8)])
    add("plain.bmp", color, "BMP")
    add("lzw.tiff", color, "TIFF", compression="tiff_lzw")
    add("deflate.tiff", gray16, "TIFF", compression="tiff_deflate")
    add("real.tiff", real, "TIFF")
    add("several.mpo", color, "MPO", save_all=True, append_images=[color])
    if features.check("avif"):
        add("still.avif", color, "AVIF")
    return made


def _annotations() -> Iterator[Seed]:
    image = _encoded()["baseline.jpg"]
    box = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [2, 3, 20, 22], "iscrowd": 0, "area": 440}
    outline = [2.5, 3, 22, 3, 22, 25, 2, 25]
    coco = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 40, "height": 56} for n in (1, 2)],
        "annotations": [box, {**box, "id": 2, "image_id": 2, "segmentation": [outline]}],
        "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}],
    }
    corners = "<xmin>2</xmin><ymin>3</ymin><xmax>22</xmax><ymax>25</ymax>"
    voc = (
        '<?xml version="1.0" encoding="utf-8"?><annotation><filename>{0}.jpg</filename><size><width>40</width>'
        f"<height>56</height></size><object><name>cat</name><bndbox>{corners}</bndbox></object></annotation>"
    )
    labelme = {
        "imagePath": "1.jpg",
        "shapes": [{"label": "cat", "shape_type": "rectangle", "points": [[2, 3], [22, 25]]}],
    }
    via_box = {"shape_attributes": {"name": "rect", "x": 2, "y": 3, "width": 20, "height": 22}}
    via = {
        f"{n}.jpg": {"filename": f"{n}.jpg", "regions": [via_box | {"region_attributes": {"label": "cat"}}]}
        for n in "12"
    }
    createml = [
        {
            "image": f"{n}.jpg",
            "annotations": [{"label": "cat", "coordinates": {"x": 12, "y": 14, "width": 20, "height": 22}}],
        }
        for n in "12"
    ]
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"])
    writer.writerows([[f"{n}.jpg", 40, 56, "cat", 2, 3, 22, 25] for n in "12"])
    yolo = "train: images\nval: images\nnames: [cat, dog]\n"
    line = "0 0.5 0.5 0.3 0.3\n1 0.2 0.2 0.1 0.1 0.3 0.1 0.3 0.4\n"

    def folder(*named: str) -> Files:
        return {f"{where}{n}.jpg": image for where in named for n in "12"}

    def text(content: object) -> bytes:
        return (content if isinstance(content, str) else json.dumps(content)).encode()

    yield _dataset("coco", {**folder("train/", "val/"), "train.json": text(coco), "val.json": text(coco)}, "train.json")
    yield _dataset(
        "voc",
        {**folder("JPEGImages/"), **{f"Annotations/{n}.xml": text(voc.format(n)) for n in "12"}},
        "Annotations/1.xml",
    )
    labels = {f"labels/{n}.txt": text(line) for n in "12"}
    yield _dataset("yolo", {**folder("images/"), **labels, "data.yaml": text(yolo)}, "data.yaml", "labels/1.txt")
    both = {f"{n}.json": text({**labelme, "imagePath": f"{n}.jpg"}) for n in "12"}
    yield _dataset("labelme", {**folder(""), **both}, "1.json")
    yield _dataset("via", {**folder(""), "via_region_data.json": text(via)}, "via_region_data.json")
    yield _dataset(
        "createml", {**folder(""), "_annotations.createml.json": text(createml)}, "_annotations.createml.json"
    )
    yield _dataset("cvat", {**folder(""), "annotations.xml": text(_cvat())}, "annotations.xml")
    yield _dataset("label studio", {**folder(""), "project.json": text(_label_studio())}, "project.json")
    region = ['{"name": "rect", "x": 2, "y": 3, "width": 20, "height": 22}', '{"label": "cat"}']
    lines = io.StringIO()
    csv.writer(lines).writerow(["filename", "file_size", "region_shape_attributes", "region_attributes"])
    csv.writer(lines).writerows([[f"{n}.jpg", 7, *region] for n in "12"])
    yield _dataset("via table", {**folder(""), "via.csv": text(lines.getvalue())}, "via.csv")
    yield _dataset("csv", {**folder(""), "_annotations.csv": text(table.getvalue())}, "_annotations.csv")


def _cvat() -> str:
    shapes = (
        '<box label="cat" xtl="2" ytl="3" xbr="22" ybr="25" rotation="30.5"/>'
        '<polygon label="dog" points="2.5,3;22,3;22,25"/><ellipse label="cat" cx="9" cy="9" rx="5" ry="3"/>'
    )
    images = "".join(f'<image id="{n}" name="{n}.jpg" width="40" height="56">{shapes}</image>' for n in "12")
    return f"<annotations><version>1.1</version>{images}</annotations>"


def _label_studio() -> list[dict[str, object]]:
    size = {"original_width": 40, "original_height": 56, "image_rotation": 0}
    values: list[dict[str, object]] = [
        {"x": 5, "y": 5.5, "width": 50, "height": 40, "rotation": 10, "rectanglelabels": ["cat"]},
        {"points": [[5, 5], [50, 5], [50, 45.5]], "polygonlabels": ["dog"]},
    ]
    results = [{**size, "id": str(place), "value": value} for place, value in enumerate(values)]
    return [
        {"id": n, "annotations": [{"result": results}], "data": {"image": f"/data/upload/1/cb0618f0-{n}.jpg"}}
        for n in "12"
    ]


def _dataset(name: str, files: Files, *mutated: str, task: str = "detection") -> Seed:
    def opened(folder: Path) -> None:
        chosen = tasks.get(task)
        tasks.recognize(folder)
        dataset = chosen.read(folder, ReadOptions())
        chosen.check(dataset, thorough=True)
        for samples in dataset.splits.values():
            for sample in samples:
                chosen.load_target(sample.target)

    return Seed(f"dataset {name}", files, mutated, opened)


def _masks() -> Iterator[Seed]:
    image = _encoded()["baseline.jpg"]
    values = np.zeros((56, 40), np.uint8)  # upright
    values[10:30, 10:30] = 1
    gray, palette = io.BytesIO(), io.BytesIO()
    Image.fromarray(values).save(gray, "PNG")
    indexed = Image.fromarray(values).convert("P")
    indexed.putpalette([0, 0, 0, 128, 0, 0])
    indexed.save(palette, "PNG")
    listed = b"background\ncat\nignore 255\n"
    files = {f"images/{n}.jpg": image for n in "123"}
    plain = {f"masks/{n}.png": gray.getvalue() for n in "123"}
    yield _dataset(
        "masks", {**files, **plain, "classes.txt": listed}, "masks/1.png", "classes.txt", task="segmentation"
    )
    colored = {f"masks/{n}.png": palette.getvalue() for n in "123"}
    labelmap = b"# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:128,0,0::\n"
    yield _dataset("labelmap", {**files, **colored, "labelmap.txt": labelmap}, "labelmap.txt", task="segmentation")


def _weights() -> Iterator[Seed]:
    model = create("mobilevit_xxs", num_classes=2)
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in model.state_dict().items()
    }
    archive = io.BytesIO()
    torch.save(state, archive)
    for name, content in (("foreign.safetensors", save(state)), ("checkpoint.pt", archive.getvalue())):
        yield Seed(f"weights {name}", {name: content}, (name,), _loaded(name))


def _loaded(name: str) -> Opener:
    return lambda folder: load(folder / name)


def _manifests() -> Iterator[Seed]:
    spec = replace(spec_of(create("mobilevit_xxs", num_classes=2)), preprocessing=Preprocessing(64, 72))
    manifest = Manifest(
        format="onnx",
        precision="fp32",
        file="model.onnx",
        sha256="0" * 64,
        spec=spec,
        image_sizes=(64,),
        inputs=(TensorInfo("images", ("batch", 3, 64, 64), "float32", "NCHW, red, green, blue, 0-255"),),
        outputs=(TensorInfo("probabilities", ("batch", 2), "float32", "of the classes, 0-1"),),
        preprocessing=(Step("center_crop", {"size": 64}, "Cut out the central square."),),
        postprocessing=(Step("top_k", {"k": 5}, "Report the classes."),),
    )

    def opened(folder: Path) -> None:
        Manifest.from_json((folder / "model.onnx.json").read_text(encoding="utf-8", errors="replace"))

    yield Seed("manifest", {"model.onnx.json": manifest.to_json().encode()}, ("model.onnx.json",), opened)


def _videos() -> Iterator[Seed]:
    """One MP4, made once by a test pattern of FFmpeg."""
    with tempfile.TemporaryDirectory() as folder:
        writer = VideoWriter(Path(folder) / "clip.mp4")
        for frame in Video(Location("pattern", "testsrc2=size=64x48:rate=10:duration=1", "lavfi")):
            writer.add(frame.image, frame)
        writer.close()
        content = (Path(folder) / "clip.mp4").read_bytes()
    yield Seed(
        "video", {"clip.mp4": content}, ("clip.mp4",), lambda folder: list(Video(locate(str(folder / "clip.mp4"))))
    )
