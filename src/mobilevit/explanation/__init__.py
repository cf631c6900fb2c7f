"""Where a model looks: Grad-CAM, and attention folded back onto the image."""

from mobilevit.explanation.explaining import Explanation as Explanation
from mobilevit.explanation.explaining import explain as explain
