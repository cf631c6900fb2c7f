"""The catalog of public weights: source, expected input, score and license of each."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mobilevit.models.table import MODELS
from mobilevit.spec import Preprocessing

if TYPE_CHECKING:
    from mobilevit.weights.layouts import Layout


@dataclass(frozen=True)
class Hub:
    """A file in a repository of the Hugging Face Hub."""

    repository: str
    file: str

    @property
    def url(self) -> str:
        return f"https://huggingface.co/{self.repository}/resolve/main/{self.file}"


@dataclass(frozen=True)
class Https:
    """A file at any other URL."""

    url: str

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Packaged:
    """A file in `weights/files`, which is part of the package and works offline."""

    file: str

    @property
    def url(self) -> str:
        return f"mobilevit package, weights/files/{self.file}"


@dataclass(frozen=True)
class Entry:
    """One weight file. Its task is that of its architecture."""

    name: str
    architecture: str
    source: Hub | Https | Packaged
    layout: "Layout"
    score: str
    license: str
    preprocessing: Preprocessing | None = None  # None: as usual for the layout, or as the file's own spec says
    sha256: str | None = None  # None: not published; the first download's is recorded and holds from then on

    @property
    def task(self) -> str:
        return MODELS[self.architecture].task


APPLE = "Apple sample code license: see LICENSE of github.com/apple/ml-cvnets; not the license of this package"
OURS = "Apache-2.0; trained on images of ImageNet, whose own terms are non-commercial research"
CVNETS = "https://docs-assets.developer.apple.com/ml-research/models/cvnets"
CVNETS_V2 = "https://docs-assets.developer.apple.com/ml-research/models/cvnets-v2"
RGB_CVNETS = Preprocessing(image_size=256, resize_px=288, interpolation="bilinear", channel_order="rgb")

# fmt: off
ENTRIES = (
    # the official weights, with their stem flipped to RGB by timm; scores as timm measured them
    Entry("timm/mobilevit_xxs.cvnets_in1k", "mobilevit_xxs", Hub("timm/mobilevit_xxs.cvnets_in1k", "model.safetensors"), "timm", "68.936 % top-1, 88.942 % top-5, ImageNet-1k val", APPLE),  # noqa: E501
    Entry("timm/mobilevit_xs.cvnets_in1k", "mobilevit_xs", Hub("timm/mobilevit_xs.cvnets_in1k", "model.safetensors"), "timm", "74.618 % top-1, 92.350 % top-5, ImageNet-1k val", APPLE),  # noqa: E501
    Entry("timm/mobilevit_s.cvnets_in1k", "mobilevit_s", Hub("timm/mobilevit_s.cvnets_in1k", "model.safetensors"), "timm", "78.298 % top-1, 94.168 % top-5, ImageNet-1k val", APPLE),  # noqa: E501
    # the official weights where their authors published them
    Entry("cvnets/mobilevit_xxs", "mobilevit_xxs", Https(f"{CVNETS}/classification/mobilevit_xxs.pt"), "cvnets", "69.0 % top-1, ImageNet-1k val", APPLE),  # noqa: E501
    Entry("cvnets/mobilevit_xs", "mobilevit_xs", Https(f"{CVNETS}/classification/mobilevit_xs.pt"), "cvnets", "74.7 % top-1, ImageNet-1k val", APPLE),  # noqa: E501
    Entry("cvnets/mobilevit_s", "mobilevit_s", Https(f"{CVNETS}/classification/mobilevit_s.pt"), "cvnets", "78.3 % top-1, ImageNet-1k val", APPLE),  # noqa: E501
    # the same once more, for transformers
    Entry("apple/mobilevit-xx-small", "mobilevit_xxs", Hub("apple/mobilevit-xx-small", "pytorch_model.bin"), "transformers", "69.0 % top-1, ImageNet-1k val", APPLE),  # noqa: E501
    Entry("apple/mobilevit-x-small", "mobilevit_xs", Hub("apple/mobilevit-x-small", "pytorch_model.bin"), "transformers", "74.7 % top-1, ImageNet-1k val", APPLE),  # noqa: E501
    Entry("apple/mobilevit-small", "mobilevit_s", Hub("apple/mobilevit-small", "pytorch_model.bin"), "transformers", "78.3 % top-1, ImageNet-1k val", APPLE),  # noqa: E501
    # trained again by its authors with RangeAugment, on RGB
    Entry("cvnets/mobilevit_s_range_augment", "mobilevit_s", Https(f"{CVNETS_V2}/examples/range_augment/classification/mobilevit_small.pt"), "cvnets", "78.2 % top-1, ImageNet-1k val", APPLE, RGB_CVNETS),  # noqa: E501
    # official models for detection
    Entry("cvnets/ssd_mobilevit_xxs_320", "ssdlite_mobilevit_xxs", Https(f"{CVNETS}/detection/ssd_mobilevit_xxs_320.pt"), "cvnets", "19.9 % mAP, COCO val2017", APPLE),  # noqa: E501
    Entry("cvnets/ssd_mobilevit_xs_320", "ssdlite_mobilevit_xs", Https(f"{CVNETS}/detection/ssd_mobilevit_xs_320.pt"), "cvnets", "24.8 % mAP, COCO val2017", APPLE),  # noqa: E501
    Entry("cvnets/ssd_mobilevit_s_320", "ssdlite_mobilevit_s", Https(f"{CVNETS}/detection/ssd_mobilevit_s_320.pt"), "cvnets", "27.9 % mAP, COCO val2017", APPLE),  # noqa: E501
    # official models for segmentation, then the same for transformers, then one of a later recipe with another head
    Entry("cvnets/deeplabv3_mobilevit_xxs", "deeplabv3_mobilevit_xxs", Https(f"{CVNETS}/segmentation/deeplabv3_mobilevit_xxs.pt"), "cvnets", "72.8 % mIoU, Pascal VOC 2012 val", APPLE),  # noqa: E501
    Entry("cvnets/deeplabv3_mobilevit_xs", "deeplabv3_mobilevit_xs", Https(f"{CVNETS}/segmentation/deeplabv3_mobilevit_xs.pt"), "cvnets", "77.1 % mIoU, Pascal VOC 2012 val", APPLE),  # noqa: E501
    Entry("cvnets/deeplabv3_mobilevit_s", "deeplabv3_mobilevit_s", Https(f"{CVNETS}/segmentation/deeplabv3_mobilevit_s.pt"), "cvnets", "79.3 % mIoU, Pascal VOC 2012 val", APPLE),  # noqa: E501
    Entry("apple/deeplabv3-mobilevit-xx-small", "deeplabv3_mobilevit_xxs", Hub("apple/deeplabv3-mobilevit-xx-small", "pytorch_model.bin"), "transformers", "73.6 % mIoU, Pascal VOC 2012 val", APPLE),  # noqa: E501
    Entry("apple/deeplabv3-mobilevit-x-small", "deeplabv3_mobilevit_xs", Hub("apple/deeplabv3-mobilevit-x-small", "pytorch_model.bin"), "transformers", "77.1 % mIoU, Pascal VOC 2012 val", APPLE),  # noqa: E501
    Entry("apple/deeplabv3-mobilevit-small", "deeplabv3_mobilevit_s", Hub("apple/deeplabv3-mobilevit-small", "pytorch_model.bin"), "transformers", "79.1 % mIoU, Pascal VOC 2012 val", APPLE),  # noqa: E501
    Entry("cvnets/deeplabv3_mobilevit_s_os8", "deeplabv3_mobilevit_s_os8", Https(f"{CVNETS_V2}/segmentation/pascalvoc/deeplabv3-mobilevitv1.pt"), "cvnets", "79.44 % mIoU, Pascal VOC 2012 val", APPLE),  # noqa: E501
    # ours, in the package
    Entry("imagenette", "mobilevit_xxs", Packaged("mobilevit_xxs_imagenette.safetensors"), "ours", "82.6 % top-1, 97.8 % top-5, Imagenette val at 128 px", OURS),  # noqa: E501
)
# fmt: on

CATALOG = {entry.name: entry for entry in ENTRIES}

# The weights that the name of a model stands for. Where hubs hold the same ones: timm's safetensors need no pickle,
# are RGB as they come, and have a score measured by a third party with exactly this preprocessing.
PUBLISHED = {
    "mobilevit_xxs": CATALOG["timm/mobilevit_xxs.cvnets_in1k"],
    "mobilevit_xs": CATALOG["timm/mobilevit_xs.cvnets_in1k"],
    "mobilevit_s": CATALOG["timm/mobilevit_s.cvnets_in1k"],
    "ssdlite_mobilevit_xxs": CATALOG["cvnets/ssd_mobilevit_xxs_320"],
    "ssdlite_mobilevit_xs": CATALOG["cvnets/ssd_mobilevit_xs_320"],
    "ssdlite_mobilevit_s": CATALOG["cvnets/ssd_mobilevit_s_320"],
    "deeplabv3_mobilevit_xxs": CATALOG["cvnets/deeplabv3_mobilevit_xxs"],
    "deeplabv3_mobilevit_xs": CATALOG["cvnets/deeplabv3_mobilevit_xs"],
    "deeplabv3_mobilevit_s": CATALOG["cvnets/deeplabv3_mobilevit_s"],
    "deeplabv3_mobilevit_s_os8": CATALOG["cvnets/deeplabv3_mobilevit_s_os8"],
}

# Words for the published weights of the same variant, by the task that they were trained for.
KEYWORDS = {"imagenet": "classification", "coco": "detection", "voc": "segmentation"}
