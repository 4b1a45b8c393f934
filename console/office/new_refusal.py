"""New refusals of contractors, and the decision required before the list of refusals may be used."""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import yaml
from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.terminal.prompts import checked_line
from idtone.core.translation import Message, template
from idtone.member.customers.refused.customer_identity import CustomerIdentity, parse_customer
from idtone.office.authority.typed_dates import in_japan, parse_day, parse_day_after
from idtone.office.refused.change_refusals import Refusals
from idtone.office.refused.refusal_basis import BASIS_WORDS, FIELDS, read_basis, record_basis
from idtone.office.refused.refusal_key import RefusalKey

from ..access.rights import Right
from ..form_errors import Fields, FormField, any_text, labels_of, one_of
from ..page import Method, Page, Visit
from ..uploads import Upload
from .common_parts import WHY, do_act, do_act_on_file, files_of
from .refusals import PATH as REFUSALS
from .refusals import refusals

BASIS: Final = f"{REFUSALS}/basis"
_KEY_LIMIT: Final = 100_000
"""Maximum size of a key file, in bytes."""
_IDENTITY: Final = ("name", "kana", "latin", "born", "corporate_number", "address")
_DECISION: Final[Fields] = {
    "basis": FormField(template("Legal basis"), one_of(BASIS_WORDS)),
    "decided": FormField(template("Decided on"), parse_day),
    **{name: FormField(label) for name, label in FIELDS.items()},
}
_REFUSAL: Final[Fields] = {
    "kind": FormField(template("Kind"), any_text),
    "name": FormField(template("Name, as in the identity document or the register"), any_text),
    "reference": FormField(template("Reference")),
    "since": FormField(template("First day"), parse_day, is_required=False),
    "until": FormField(template("Last day"), parse_day),
    **WHY,
    "passphrase": FormField(template("Its passphrase"), any_text),
}


async def basis(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    found = await visit.in_thread(read_basis, files_of(visit).folder)
    return visit.render(
        "office_refusal_basis.html",
        status,
        problem=problem,
        found=found,
        words=BASIS_WORDS,
        labels=FIELDS,
        today=in_japan(datetime.now(UTC)).date().isoformat(),
    )


async def decide(visit: Visit) -> web.StreamResponse:
    folder = files_of(visit).folder

    def act() -> None:
        record_basis(
            folder,
            visit.field("basis"),
            visit.field("decided"),
            visit.fields or {},
            datetime.now(UTC),
            labels_of(_DECISION),
        )

    return await do_act(visit, act, basis, BASIS, _DECISION)


async def add(visit: Visit) -> web.StreamResponse:
    """Refuse a contractor. The form uploads the key for refusals, which the console does not keep."""
    folder = files_of(visit).folder

    def act(upload: Upload) -> str:
        given = {name: value.strip() for name, value in upload.fields.items()}
        now = datetime.now(UTC)
        since = parse_day(given["since"], Message("First day")) if given.get("since") else in_japan(now).date()
        until = parse_day_after(given["until"], Message("Last day"))
        key = RefusalKey.load(upload.file, lambda _: given["passphrase"])
        case, why = (
            checked_line(given["reference"], Message("Reference")),
            checked_line(given["why"], Message("Reason")),
        )
        Refusals(folder).enter(key, _identity(given), case, since, until, why, now)
        return REFUSALS

    needs = Message("choose the file of the key of the refusals")
    return await do_act_on_file(visit, _KEY_LIMIT, act, refusals, _REFUSAL, needs)


def _identity(given: Mapping[str, str]) -> CustomerIdentity:
    """The identity entered in the form, checked like an identity file. Raises DocumentError."""
    content = {"kind": given.get("kind", ""), **{name: given[name] for name in _IDENTITY if given.get(name)}}
    return parse_customer(yaml.safe_dump({"customer": content}, allow_unicode=True), str(Message("the form")))


PAGES = (
    Page(BASIS, basis, Right.OFFICE),
    Page(BASIS, decide, Right.OFFICE, Method.POST),
    Page(REFUSALS + "/add", add, Right.OFFICE, Method.POST, uploads=True),
)
