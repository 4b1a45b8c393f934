"""The list of licensed operators, as the association has signed it, and the verification of a badge."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from idtone.authority.evaluation.results import published_files
from idtone.authority.workspace import Workspace
from idtone.errors import IdtoneError
from idtone.registry.trust import tuf_roles

from ..page import Method, Page, Visit
from ..uploads import received

PATH: Final = "/public/operators"
BADGE_LIMIT: Final = 1_000_000
"""Bytes."""
_KINDS: Final = {".json": "application/json", ".yaml": "text/yaml", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Published:
    """What the association's site offers: the list, and the files that belong to it, by name."""

    listed: Mapping[str, Any]
    files: Mapping[str, bytes]

    @classmethod
    def read(cls, office: Path) -> Published:
        """Raises TrustError if nothing was published, or a file is not what was published."""
        workspace = Workspace(office)
        octets = workspace.repository.listed()
        listed = json.loads(octets)
        files = {tuf_roles.OPERATORS_FILE: octets}
        files |= {f"proof/{name}": each for name, each in workspace.repository.proof().items()}
        files |= {f"evaluation/{name}": each for name, each in published_files(workspace, listed["operators"]).items()}
        return cls(listed, files)

    def of_badge(self, octets: bytes) -> Mapping[str, Any] | None:
        """The operator whose badge in force this is; None if it is forged, changed or out of date."""
        sha256, now = hashlib.sha256(octets).hexdigest(), datetime.now(UTC)
        for operator in self.listed["operators"]:
            evaluation = operator.get("evaluation")
            if evaluation and evaluation["badge"] == sha256:
                start, until = (datetime.fromisoformat(evaluation[f"valid_{end}"]) for end in ("from", "until"))
                return operator if start <= now < until else None
        return None


async def operators(visit: Visit) -> web.StreamResponse:
    published = await visit.in_thread(Published.read, _office(visit))
    wanted = visit.query("name").casefold()
    found = [
        operator
        for operator in published.listed["operators"]
        if wanted in f"{operator['name']['ja']}\n{operator['name']['en']}\n{operator['member']}".casefold()
    ]
    return visit.render(
        "operators.html",
        listed=published.listed,
        found=found,
        wanted=visit.query("name"),
        times=_time,
        proof=sorted(name for name in published.files if name.startswith("proof/")),
    )


async def file(visit: Visit) -> web.StreamResponse:
    """A signed file, as it was published."""
    octets = (await visit.in_thread(Published.read, _office(visit))).files.get(visit.part("name"))
    if octets is None:
        return web.Response(status=HTTPStatus.NOT_FOUND)
    return web.Response(body=octets, content_type=_KINDS[Path(visit.part("name")).suffix])


async def badge(visit: Visit) -> web.StreamResponse:
    """Whose badge was uploaded."""
    try:
        async with received(visit.request, BADGE_LIMIT) as upload:
            octets = await visit.in_thread(upload.file.read_bytes)
    except IdtoneError as error:
        return visit.render("badge.html", HTTPStatus.BAD_REQUEST, operator=None, problem=error, times=_time)
    published = await visit.in_thread(Published.read, _office(visit))
    operator = published.of_badge(octets)
    return visit.render("badge.html", operator=operator, problem=None, times=_time)


def _office(visit: Visit) -> Path:
    assert visit.console.office is not None, "these pages are for the association's folder"
    return visit.console.office


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


PAGES = (
    Page(PATH, operators, None),
    Page(PATH + "/files/{name:.+}", file, None),
    Page(PATH + "/badge", badge, None, Method.POST, uploads=True),
)
