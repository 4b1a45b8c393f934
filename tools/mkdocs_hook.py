"""An mkdocs hook that adds files outside docs/ to the site if pages link to them, such as config/idtone.yaml.

In the repository, such a link leads out of docs/. On the site it leads to a copy under `source/`. A link to a folder is
replaced by the name of the folder.
"""

import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
LINK = re.compile(r"\[([^]]+)\]\((\.\./[^)#]+)\)")


def linked_outside_docs(page: Path, target: str) -> Path | None:
    """File or folder of the repository that a page links to, or None if it is in docs/ or outside the repository."""
    path = Path(os.path.normpath(page.parent / target))
    return None if path.is_relative_to(DOCS) or not path.is_relative_to(ROOT) else path.relative_to(ROOT)


def site_path(source: Path) -> str:
    """Path of the copied file on the site.

    Its suffix makes it text, because an HTML file must not become a page of the site.
    """
    return f"source/{source}" if source.suffix == ".zip" else f"source/{source}.txt"


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File  # needed only to build a site

    for page in DOCS.rglob("*.md"):
        for _, target in LINK.findall(page.read_text("utf-8")):
            source = linked_outside_docs(page, target)
            if source and (ROOT / source).is_file() and site_path(source) not in files.src_uris:
                files.append(File.generated(config, site_path(source), content=(ROOT / source).read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    here = Path(page.file.src_uri).parent

    def replaced(found: re.Match[str]) -> str:
        source = linked_outside_docs(DOCS / page.file.src_uri, found[2])
        if source is None:
            return found[0]
        if not (ROOT / source).is_file():
            return found[1]
        return f"[{found[1]}]({os.path.relpath(site_path(source), here)})"

    return LINK.sub(replaced, markdown)
