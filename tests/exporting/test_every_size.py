"""Every model in every format, compared on images: for `make test-all` alone, since it takes long."""

from importlib.util import find_spec
from pathlib import Path

import official
import pytest
from exported_models import IMAGE_SIZE

from mobilevit.exporting.export import export
from mobilevit.formats.table import FORMATS
from mobilevit.models.table import MODELS
from mobilevit.weights.creating import create

NEEDED = {package for row in FORMATS.values() for package in row.packages}
MISSING = sorted(package for package in NEEDED if find_spec(package) is None)


@pytest.mark.every_size
@pytest.mark.skipif(bool(MISSING), reason=f'extra "export" lacks {MISSING}')
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("architecture", MODELS)
def test_gives_the_models_answers(architecture: str, name: str, photos: Path, tmp_path: Path) -> None:
    """With the weights of the reference outputs; a file beyond the limits would be a ParityError."""
    classes = official.num_classes(architecture)
    model = create(architecture, num_classes=classes)
    model.load_state_dict(official.state(architecture, classes))
    (exported,) = export(model, [name], verify=photos, output=tmp_path, image_size=IMAGE_SIZE)
    assert exported.parity is not None
    assert (exported.parity.generated, exported.path.exists()) == (0, True)
