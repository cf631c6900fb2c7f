"""A tiny model and a folder of small images."""

import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mobilevit.spec import Preprocessing, labels
from mobilevit.weights.creating import create, spec_of

IMAGE_SIZE = 64


@pytest.fixture(scope="session")
def model() -> nn.Module:
    """Three classes at 64 px, with BatchNorm statistics that folding has to get right."""
    torch.manual_seed(0)
    model = create("mobilevit_xxs", classes=labels(["cat", "dog", "owl"]))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    model.spec = replace(spec_of(model), preprocessing=Preprocessing(IMAGE_SIZE, 72))  # type: ignore[assignment]
    return model.eval()


def image(seed: int, size: tuple[int, int] = (80, 64)) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """photos/{0..4}.png, photos/more/5.png, a broken image, and a file that is none."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number in range(5):
        image(number, (80 + number, 64)).save(folder / f"{number}.png")
    image(5).save(folder / "more" / "5.png")
    (folder / "3.png").write_bytes(b"this is no image")
    (folder / "notes.txt").write_text("no image either, by name")
    return folder


@pytest.fixture
def images_by_class(tmp_path: Path) -> Path:
    """train and val folders of cat, dog and owl, two images each."""
    for split in ("train", "val"):
        for place, name in enumerate(("cat", "dog", "owl")):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for number in range(2):
                image(10 * place + number).save(folder / f"{number}.png")
    return tmp_path / "data"


@pytest.fixture(scope="session")
def web() -> Iterator[str]:
    """The URL of a server with images and with every kind of trouble."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Web(BaseHTTPRequestHandler):
    """/image.png, /moved (leads there), /text, and trouble: /loop, /to-file, /to-ftp, /large, /slow, /short, 404."""

    def do_GET(self) -> None:
        redirections = {
            "/moved": "/image.png",
            "/loop": "/loop",
            "/to-file": "file:///etc/passwd",
            "/to-ftp": "ftp://host/a",
        }
        if self.path in redirections:
            self._begin(302, Location=redirections[self.path])
        elif self.path == "/image.png":
            png = BytesIO()
            image(1).save(png, "PNG")
            self._begin(200)
            self.wfile.write(png.getvalue())
        elif self.path == "/text":
            self._begin(200)
            self.wfile.write(b"<html>please log in</html>")
        elif self.path == "/short":
            self._begin(200, **{"Content-Length": "1000"})
            self.wfile.write(b"too little")
        elif self.path in ("/large", "/slow"):
            self._never_end(b"x" * (2**16 if self.path == "/large" else 1))
        else:
            self._begin(404)

    def _begin(self, code: int, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _never_end(self, piece: bytes) -> None:
        self._begin(200)
        try:
            while True:
                self.wfile.write(piece)
                self.wfile.flush()
                if len(piece) == 1:
                    time.sleep(0.05)
        except OSError:
            pass  # the other side has had enough

    def log_message(self, *_: object) -> None:
        """Says nothing."""
