"""The signed list of licensed operators, and the page that verifies badges."""

from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.terminal.spreadsheet_csv import csv_lines
from idtone.core.translation import Message
from idtone.office.authority.operator_list_table import operator_rows
from idtone.registry.stopping_conditions import STEPS

from ..office.office_files import OfficeFiles
from ..page import Method, Page, Visit
from ..uploads import receive_upload

PATH: Final = "/public/operators"
BADGE_LIMIT: Final = 1_000_000
"""Maximum size of a badge in bytes."""
_KINDS: Final = {".json": "application/json", ".yaml": "text/yaml", ".svg": "image/svg+xml"}


async def operators(visit: Visit) -> web.StreamResponse:
    published = await visit.in_thread(_files(visit).published)
    wanted = visit.query("name").casefold()
    found = [
        operator
        for operator in published.operators
        if wanted in f"{operator['name']['ja']}\n{operator['name']['en']}\n{operator['member']}".casefold()
    ]
    return visit.render(
        "operators.html",
        problem=None,
        listed=published.listed,
        found=found,
        count=len(published.operators),
        wanted=visit.query("name"),
        times=_time,
        steps=STEPS,
        proof=sorted(name for name in published.files if name.startswith("proof/")),
    )


async def table(visit: Visit) -> web.StreamResponse:
    """Send the list as CSV for spreadsheets, with a byte order mark that lets Excel recognize UTF-8."""
    rows = operator_rows((await visit.in_thread(_files(visit).published)).operators)
    headers = {"Content-Disposition": 'attachment; filename="operators.csv"'}
    return web.Response(text="\ufeff" + csv_lines(rows), content_type="text/csv", charset="utf-8", headers=headers)


async def file(visit: Visit) -> web.StreamResponse:
    """Send a signed file as published."""
    octets = (await visit.in_thread(_files(visit).published)).files.get(visit.part("name"))
    if octets is None:
        return web.Response(status=HTTPStatus.NOT_FOUND)
    return web.Response(body=octets, content_type=_KINDS[Path(visit.part("name")).suffix])


async def badge(visit: Visit) -> web.StreamResponse:
    """Show which operator the uploaded badge belongs to."""
    try:
        async with receive_upload(visit, BADGE_LIMIT) as upload:
            upload.need("badge", Message("choose the file of the badge"))
            octets = await visit.in_thread(upload.file.read_bytes)
    except IdtoneError as error:
        return visit.render("badge.html", HTTPStatus.BAD_REQUEST, problem=error)
    published = await visit.in_thread(_files(visit).published)
    operator = published.of_badge(octets)
    is_stopped = operator is not None and operator["member"] in published.stopped
    return visit.render("badge.html", operator=operator, is_stopped=is_stopped, problem=None, times=_time)


def _files(visit: Visit) -> OfficeFiles:
    assert visit.console.office_files is not None, "these pages are for the association's folder"
    return visit.console.office_files


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


PAGES = (
    Page(PATH, operators, None),
    Page(PATH + "/table.csv", table, None),
    Page(PATH + "/files/{name:.+}", file, None),
    Page(PATH + "/badge", badge, None, Method.POST, uploads=True),
)
