"""One part in a process of its own: python -m gpu_parts gpu_parts.PART SETTINGS.json"""

import json
import sys
from importlib import import_module
from pathlib import Path

from gpu_parts.session import Session

if __name__ == "__main__":
    module = sys.argv[1]
    session = Session(module.rpartition(".")[2], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
    session.run(import_module(module).checks(session.sizes))
