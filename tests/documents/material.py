"""What the documents name, made small: datasets, images, models; and what is shortened, or run elsewhere."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from blocks import ROOT
from PIL import Image
from safetensors.torch import save

from mobilevit.digit_scenes import write_scenes
from mobilevit.spec import Preprocessing, labels
from mobilevit.weights import model_file
from mobilevit.weights.creating import create, load, spec_of
from mobilevit.weights.recognition import Recognised
from mobilevit.weights.translation import from_ours

sys.path.append(str(ROOT / "tests" / "weights"))
from servers import Site, serve  # noqa: E402

FLOWERS = ("daisy", "rose")
TINY = "--epochs 1 --size-px 64 --batch-size 8"  # what a training is shortened by

NOT_RUN = {"docs/android.md": 4, "docs/ios.md": 4, "docs/training.md": 1, "docs/video.md": 1, "docs/weights.md": 1}

ELSEWHERE = {"docs/bad-input.md": "tests/cli/test_bad_input.py", "docs/python.md": "tests/exporting/test_docs.py"}

SHORTER: Mapping[str, Mapping[str, str]] = {}
