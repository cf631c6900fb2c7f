"""A program: runs blocks in the present folder, in order, and stops at the first that fails.

    python run_blocks.py < [[place, language, text], ...] as JSON

Commands run in a shell each, the Python of a document in one namespace, as a reader would type it.
"""

import json
import subprocess
import sys
from typing import Any


def main() -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for place, language, text in json.load(sys.stdin):
        print(f"== {place}\n{text}", flush=True)
        if language == "python":
            exec(compile(text, place, "exec"), namespace)
        else:
            subprocess.run(["bash", "-euo", "pipefail", "-c", text], check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
