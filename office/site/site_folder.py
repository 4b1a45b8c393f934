"""Writes the public site's folder: pages, sounds, scripts, the signed statement and number tables.

index.html …          pages in Japanese; en/ the same in English; posters/ and badges/ (QR codes) to print
sounds/               the sounds
metadata/             the signed metadata of the registry, as TUF clients ask for them
statement/            statement.json, figures.json, versions.json for the page, and written.json for the next run
numbers/              the tables, by their content
test-number/          the dialplan of the test number, and the texts to record for it
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, ValidationError

from idtone.core.errors import UsageError
from idtone.core.files import make_public_folder, reading, replace_durably, writing_into
from idtone.core.yaml_documents import Model

from .number_table import NumberTable, file_name
from .site_pages import SiteFacts, badge_codes, pages, posters
from .site_sounds import dialplan_sounds

STATEMENT: Final = "statement/statement.json"
FIGURES: Final = "statement/figures.json"
_SCRIPTS: Final = (
    "badge-page.js", "figures-page.js", "icon.svg", "number-page.js", "number.js", "oprf.js", "report-page.js",
    "site-files.js", "site.css", "trust.js", "widget.js",
)  # fmt: skip
WRITTEN: Final = "statement/written.json"
"""File that lists all files idtone has written to the folder. Only these files are ever deleted."""
_NAME: Final = r"^([A-Za-z0-9_-][A-Za-z0-9._-]*/)?[A-Za-z0-9_-][A-Za-z0-9._-]*$"
_DIALPLAN: Final = ("test-number.conf", "announcements.txt")


class _Written(Model):
    """Names of files in the folder: those `made` by the last run and those `kept` from the run before."""

    made: tuple[Annotated[str, Field(pattern=_NAME)], ...]
    kept: tuple[Annotated[str, Field(pattern=_NAME)], ...]


def site_files(
    facts: SiteFacts,
    metadata: Mapping[str, bytes],
    statement: bytes,
    numbers: NumberTable,
    figures: bytes | None,
    sounds: Mapping[str, bytes],
    recognise: str | None,
    municipalities: Sequence[Mapping[str, str]],
) -> dict[str, bytes]:
    """Collect the contents of all the site's files, by name.

    `recognise` is the sound detector's script with its profiles.
    """
    made = {name: text.encode() for name, text in (*pages(facts), *posters(facts, municipalities), *badge_codes(facts))}
    made |= {name: _static(name) for name in _SCRIPTS}
    if recognise is not None:
        made["recognise.js"] = recognise_script(recognise).encode()
    made |= {f"sounds/{name}": octets for name, octets in sounds.items()}
    made |= {f"test-number/{name}": _static(name) for name in _DIALPLAN}
    made |= {f"test-number/{name}": octets for name, octets in dialplan_sounds().items()}
    made |= {f"metadata/{name}": octets for name, octets in metadata.items()}
    made |= {f"numbers/{file_name(file.octets)}": file.octets for file in numbers.files.values()}
    made[STATEMENT] = statement
    made["statement/versions.json"] = json.dumps({"root": facts.roots}).encode() + b"\n"
    if figures is not None:
        made[FIGURES] = figures
    return made


def recognise_script(detector: str) -> str:
    """Combine the detector and the page's script into a plain script without modules.

    A page opened from a file cannot load modules.
    """
    return f"(() => {{\n{detector}{_static('recognise-page.js').decode()}}})();\n"


def write_site(folder: Path, made: Mapping[str, bytes]) -> None:
    """Write the site's files, with the statement last. Raises UsageError.

    Visitors see the old edition until all files are written. Files from earlier runs are deleted if they are no longer
    needed. Tables and metadata are kept for one more run because a visitor may have started with the old edition. All
    other files in the folder are kept.
    """
    last = ("metadata/timestamp.json", STATEMENT)
    with writing_into(folder, UsageError):
        before = _written(folder / WRITTEN)
        old = {*before.made, *before.kept} - made.keys()
        kept = {name for name in before.made if name in old and name.startswith(("numbers/", "metadata/"))}
        _note(folder, made, old)
        for name in [*(each for each in made if each not in last), *(each for each in last if each in made)]:
            path = folder / name
            make_public_folder(path.parent)
            if not path.exists() or path.read_bytes() != made[name]:
                replace_durably(path, made[name])
        for name in old - kept:
            (folder / name).unlink(missing_ok=True)
        _note(folder, made, kept)


def _written(path: Path) -> _Written:
    try:
        return _Written.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return _Written(made=(), kept=())
    except ValidationError as error:
        raise UsageError("{path}: is damaged; write the site into a new folder", path=path) from error


def _note(folder: Path, made: Iterable[str], kept: Iterable[str]) -> None:
    make_public_folder((folder / WRITTEN).parent)
    content = {"made": sorted(made), "kept": sorted(kept)}
    replace_durably(folder / WRITTEN, json.dumps(content, indent=0).encode() + b"\n")


def read_municipalities(path: Path) -> list[dict[str, str]]:
    """Read a CSV file with the columns `name` and `contact`, which may come from Excel. Raises UsageError."""
    with reading(path, UsageError):
        octets = path.read_bytes()
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = octets.decode("cp932", "replace")
    rows = [
        {name: (row.get(name) or "").strip() for name in ("name", "contact")}
        for row in csv.DictReader(io.StringIO(text))
    ]
    if not rows or not all(row["name"] for row in rows):
        raise UsageError("{path}: has no column `name`, or a row without a name", path=path)
    return rows


def size_without_sounds(made: Mapping[str, bytes]) -> int:
    """Size of the site's web pages in bytes.

    Number tables, sounds, and files for print or for a telephone system do not count.
    """
    apart = ("sounds/", "numbers/", "posters/", "badges/", "test-number/")
    return sum(len(octets) for name, octets in made.items() if not name.startswith(apart))


def _static(name: str) -> bytes:
    return files(__package__).joinpath("static", name).read_bytes()
