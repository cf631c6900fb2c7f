"""A hook of mkdocs: the site has the tree of the repository, so that links hold in both places.

Pages are the documents of the root, of docs/ and of benchmarks/; beside them stand the files that they link to. What
they do not link to is no part of the site.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGES = ("*.md", "docs/*.md", "benchmarks/*.md")
LINK = re.compile(r"\]\(([^)#\s:]+)(?:#[^)\s]*)?\)")  # of a file: one with a scheme has a colon


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """The theme's files as they are, and ours in place of those that mkdocs found in docs/."""
    root = Path(config.config_file_path).parent
    theme = [file for file in files if file.src_dir != config.docs_dir]
    pages = sorted(page for pattern in PAGES for page in root.glob(pattern))
    linked = {target for page in pages for target in _linked(page)} - set(pages)
    found = [path.relative_to(root).as_posix() for path in (*pages, *sorted(linked)) if path.is_relative_to(root)]
    return Files([*theme, *(File.generated(config, name, abs_src_path=str(root / name)) for name in found)])


def _linked(page: Path) -> Iterator[Path]:
    """The files that a document links to. Links that lead nowhere are left to mkdocs, which names them."""
    for match in LINK.finditer(page.read_text(encoding="utf-8")):
        target = (page.parent / match[1]).resolve()
        if target.is_file():
            yield target
