"""Disclosure of evidence, which takes two people: request, approval, pack, receipt and confirmation.

This module also lists a year's disclosures. The acts and rules are the same as in `idtone ledger`. No address contains
a telephone number.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Any, Final, cast

from aiohttp import web

from idtone.core.errors import IdtoneError, LedgerError, UsageError
from idtone.core.japan_time import JAPAN
from idtone.core.paper.content import Paper
from idtone.core.settings.settings import Settings
from idtone.core.translation import Message, template, translated
from idtone.ledger.commands.options import disclosing_person, responsible_person
from idtone.ledger.disclosure.deliveries import disclosure_of_pack, record_delivery
from idtone.ledger.disclosure.disclosure_index import COLUMNS, IndexEntry, all_entries, figures
from idtone.ledger.disclosure.disclosure_papers import receipt_sheet
from idtone.ledger.disclosure.disclosure_request import RequestState
from idtone.ledger.disclosure.disclosures import Disclosure, disclosures_in
from idtone.ledger.disclosure.legal_basis import TEXT_LIMIT, load_legal_bases
from idtone.ledger.disclosure.pack_file import zip_octets
from idtone.ledger.disclosure.request_approval import approval, record_answer, refusal
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import NumberRole
from idtone.ledger.keys.key_ring import KeyRing, own_key
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.office.authority.typed_dates import parse_day
from idtone.operations.make_pack import approved_pack, request_pack, require_keys

from .. import long_reads
from ..access.rights import Right
from ..downloads import PDF, ZIP, download, download_csv
from ..form_errors import Fields, FormErrors, FormField, any_text, errors_of
from ..listing import listing
from ..pack_cache import PackCache
from ..page import Method, Page, Visit
from ..threads import Reads
from ..uploads import Upload, receive_upload
from .disclosure_form import facts_of, read_form
from .masked_reader import reader_for

PATH: Final = "/evidence/exports"
DISCLOSURES: Final = "/evidence/disclosures"
PACK_CACHE: Final = web.AppKey("pack_cache", PackCache)
FILE_LIMIT: Final = 50_000_000
"""Maximum size of an uploaded pack or scan, in bytes."""
FIELDS: Final = {
    "case": template("Case"),
    "basis": template("Legal basis"),
    "authority": template("Office that asks"),
    "reference": template("Number of its document"),
    "scope": template("What was asked"),
    "received": template("When the demand arrived"),
    "deadline": template("Answer wanted by"),
    "court": template("Court"),
    "valid-until": template("Warrant valid until"),
    "why": template("Why it cannot wait for a document"),
    "sealed": template("Leave the telephone numbers sealed"),
    "by": template("Received by"),
    "on": template("Day on the document"),
}
"""Labels that the pages use for the commands' options."""
LABELS: Final = {name.replace("-", "_"): words for name, words in FIELDS.items()} | {
    "calls": template("Calls, by their ids")
}
_ON: Final[Fields] = {"on": FormField(FIELDS["on"], parse_day)}
_DELIVERY: Final[Fields] = {"by": FormField(FIELDS["by"], any_text), **_ON}
_CONFIRMATION: Final[Fields] = {"reference": FormField(FIELDS["reference"], any_text), **_ON}
STATES: Final = {
    RequestState.OPEN: template("waiting for an approval"),
    RequestState.APPROVED: template("approved"),
    RequestState.REFUSED: template("turned down"),
    RequestState.EXPIRED: template("expired"),
    RequestState.EXPORTED: template("given out"),
}
_OPTION: Final = re.compile(r"--([a-z-]+)")


def in_fields(error: object) -> str:
    """A command's error in the visitor's language, naming form fields instead of options."""
    text = translated(error if isinstance(error, str) else str(error))
    return _OPTION.sub(lambda match: f"“{translated(FIELDS[match[1]])}”" if match[1] in FIELDS else match[0], text)


def _person_may(visit: Visit) -> bool:
    return visit.may(Right.REQUEST_EXPORTS) or visit.may(Right.APPROVE_EXPORTS)


def _refused(visit: Visit) -> web.Response:
    return visit.render("problem.html", HTTPStatus.FORBIDDEN, problem=Message("Your role does not allow this."))


async def list_exports(visit: Visit) -> web.StreamResponse:
    """Show the disclosures that are waiting for someone to act, followed by the others, newest first."""
    now, trouble = datetime.now(UTC), None
    try:
        entries = await visit.in_thread(_entries, visit, now)
    except IdtoneError as error:
        entries, trouble = [], error
    today = now.astimezone(JAPAN).date()
    waiting = [each for each in entries if each.state in (RequestState.OPEN, RequestState.APPROVED)]
    overdue = [each for each in entries if each.export and each.export.overdue(today)]
    seen = {id(each) for each in (*waiting, *overdue)}
    others = [each for each in reversed(entries) if id(each) not in seen]
    return visit.render(
        "evidence_exports.html",
        states=STATES,
        trouble=trouble,
        waiting=listing(visit, waiting, LISTED, name="waiting"),
        overdue=listing(visit, overdue, LISTED, name="overdue"),
        others=listing(visit, others, LISTED),
    )


LISTED: Final[Mapping[str, Callable[[IndexEntry], object]]] = {
    "time": lambda each: each.at,
    "case": lambda each: each.case,
    "state": lambda each: each.state,
    "basis": lambda each: each.basis and (each.basis.law or each.basis.basis),
    "calls": lambda each: each.calls,
    "by": lambda each: each.persons()["requested"],
}


def _entries(visit: Visit, now: datetime) -> list[IndexEntry]:
    with visit.console.reader() as reader:
        return all_entries(reader.acts(), now)


def _in_words(problem: object) -> object:
    """The problem, naming form fields instead of command options."""
    if isinstance(problem, FormErrors):
        return problem.in_words(lambda field, error: f"{translated(LABELS[field])}: {in_fields(error)}")
    return problem and in_fields(problem)


def _asked(visit: Visit, given: Mapping[str, str], problem: IdtoneError | None = None) -> web.Response:
    """The page with the request form."""
    status = HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK
    bases = load_legal_bases(visit.console.settings.ledger.legal_bases).bases
    return visit.render(
        "evidence_request.html",
        status,
        given=given,
        problem=_in_words(problem),
        bases=bases,
        fields=FIELDS,
        labels=LABELS,
        limit=TEXT_LIMIT,
        needs={name: " ".join(map(str, rule.needs)) for name, rule in bases.items()},
    )


async def ask(visit: Visit) -> web.StreamResponse:
    """Show the form for requesting a disclosure, filled in from the record of the call in the address, if any."""
    call = visit.query("call")[:255]
    filled = await visit.in_thread(_of_call, visit, call) if call else {}
    return _asked(visit, {"sealed": "yes", **{name: translated(value) for name, value in filled.items()}})


def _of_call(visit: Visit, call: str) -> Mapping[str, str]:
    with visit.console.reader() as reader:
        return facts_of(reader, call)


async def request(visit: Visit) -> web.StreamResponse:
    given = visit.fields or {}
    try:
        act = await visit.in_thread(_request, visit.console.settings, given)
    except IdtoneError as error:
        return _asked(visit, given, error)
    return visit.redirect(f"{PATH}/{act}")


def _request(settings: Settings, given: Mapping[str, str]) -> str:
    require_keys(settings)
    person = responsible_person(settings.ledger)
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        demand = read_form(settings, reader, given, datetime.now(UTC))
    return str(request_pack(settings, person, demand.case, demand.calls, demand.sealed, demand.basis)["request"])


async def show(visit: Visit) -> web.StreamResponse:
    return await _shown(visit)


async def _shown(visit: Visit, problem: object = None) -> web.Response:
    now, user = datetime.now(UTC), visit.user
    assert user
    entry = _entry(await visit.in_thread(_entries, visit, now), visit.part("act"))
    calls = await visit.in_thread(_calls, visit, entry)
    status = HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK
    return visit.render(
        "evidence_export.html",
        status,
        states=STATES,
        entry=entry,
        calls=calls,
        problem=problem if isinstance(problem, FormErrors) else problem and in_fields(problem),
        may_request=visit.may(Right.REQUEST_EXPORTS),
        may_approve=visit.may(Right.APPROVE_EXPORTS),
        is_asker=_is_user(entry.request and entry.request.by, user.name),
        is_approver=_is_user(entry.request and entry.request.approval and entry.request.approval.by, user.name),
        is_kept=visit.request.app[PACK_CACHE].get(entry.act, user.name) is not None,
        today=now.astimezone(JAPAN).date(),
        roles=(NumberRole.FORWARDING, NumberRole.CALLER, NumberRole.CALLED),
    )


def _is_user(person: Any, name: str) -> bool:
    return person is not None and person.is_by_console and person.name == name


def _entry(entries: Sequence[IndexEntry], act: str) -> IndexEntry:
    """The entry for the disclosure with this id or request id. Raises HTTPNotFound."""
    for each in entries:
        if act in (each.act, each.request and each.request.act):
            return each
    raise web.HTTPNotFound


def _calls(visit: Visit, entry: IndexEntry) -> list[Any]:
    """The calls in a request. Only visitors who may open numbers see the last digits of the numbers."""
    with reader_for(visit) as reader:
        wanted = entry.request.calls if entry.request else ()
        return [record for call_id in wanted if (record := reader.record(call_id))]


async def _act(visit: Visit, do: Callable[[Settings], object], fields: Fields | None = None) -> web.StreamResponse:
    try:
        errors_of(fields or {}, visit.fields or {}).check()
        await visit.in_thread(do, visit.console.settings)
    except IdtoneError as error:
        return await _shown(visit, error)
    return visit.redirect(f"{PATH}/{visit.part('act')}")


async def approve(visit: Visit) -> web.StreamResponse:
    act = visit.part("act")

    def do(settings: Settings) -> None:
        require_keys(settings)
        key_ring = KeyRing.of(settings.ledger, settings.node)
        asked = approval(settings, key_ring, responsible_person(settings.ledger), act, datetime.now(UTC))
        record_answer(settings, key_ring, asked.step)

    return await _act(visit, do)


async def refuse(visit: Visit) -> web.StreamResponse:
    if not _person_may(visit):
        return _refused(visit)
    act, why = visit.part("act"), visit.field("why")

    def do(settings: Settings) -> None:
        require_keys(settings)
        step = refusal(settings, responsible_person(settings.ledger), act, why, datetime.now(UTC))
        record_answer(settings, KeyRing.of(settings.ledger, settings.node), step)

    return await _act(visit, do, {"why": FormField(template("Why"), any_text)})


async def make(visit: Visit) -> web.StreamResponse:
    """Create the pack and keep it in memory for download."""
    if not _person_may(visit):
        return _refused(visit)
    assert visit.user
    settings, act = visit.console.settings, visit.part("act")

    def do() -> tuple[str, bytes]:
        require_keys(settings)
        made = approved_pack(settings, responsible_person(settings.ledger), act)
        return made.record, zip_octets(made.files)

    try:
        record, octets = await visit.in_thread(do)
    except IdtoneError as error:
        return await _shown(visit, error)
    visit.request.app[PACK_CACHE].keep(record, visit.user.name, octets)
    return visit.redirect(f"{PATH}/{record}")


async def pack(visit: Visit) -> web.StreamResponse:
    """Send the pack to the person who created it. Raises HTTPNotFound for anyone else."""
    assert visit.user
    act = visit.part("act")
    octets = visit.request.app[PACK_CACHE].get(act, visit.user.name)
    if octets is None:
        raise web.HTTPNotFound
    return download(f"{act}.zip", octets, ZIP)


async def sheet(visit: Visit) -> web.StreamResponse:
    """Send the receipt for the uploaded pack or the pack in memory, which the receiving officer signs."""
    settings = visit.console.settings

    async def do(upload: Upload) -> web.StreamResponse:
        assert visit.user
        act = visit.part("act")
        kept = visit.request.app[PACK_CACHE].get(act, visit.user.name)
        made = await visit.in_thread(_sheet, settings, visit, act, upload, kept)
        return download(f"receipt-{act}.pdf", made, PDF)

    return await _uploaded(visit, do)


def _sheet(settings: Settings, visit: Visit, act: str, upload: Upload, kept: bytes | None) -> bytes:
    with visit.console.reader() as reader:
        known, key = disclosures_in(reader.acts()), own_key(settings.ledger, settings.node, reader.origin())
    octets = upload.file.read_bytes()
    if octets:
        export, name = _made_by(upload, known, key), upload.name
    elif kept is not None:
        export, name, octets = _known(known, act), f"{act}.zip", kept
    else:
        raise UsageError("Choose the pack that was made here.")
    if export.act != act:
        raise UsageError("This is the pack of another disclosure: {act}", act=export.act)
    return _pdf(receipt_sheet(export, name, hashlib.sha256(octets).hexdigest(), str(key), datetime.now(UTC)))


def _made_by(upload: Upload, known: Mapping[str, Disclosure], key: Any) -> Disclosure:
    """The uploaded pack's disclosure. Raises UsageError, which does not mention the temporary file."""
    try:
        return disclosure_of_pack(upload.file, known, key, FILE_LIMIT)
    except IdtoneError as error:
        raise UsageError(
            "This is not a pack that was made here, or it was changed. Choose the pack as it was made."
        ) from error


def _known(known: Mapping[str, Disclosure], act: str) -> Disclosure:
    if act not in known:
        raise UsageError("there is no disclosure {export}", export=act)
    return known[act]


def _pdf(paper: Paper) -> bytes:
    from idtone.core.paper.pdf import as_pdf  # takes time and memory that other pages do not need

    return as_pdf(paper)


async def receive(visit: Visit) -> web.StreamResponse:
    """Record that the receiving office signed for the pack, with the digest of the uploaded scan, if any."""
    settings, act = visit.console.settings, visit.part("act")

    def record(upload: Upload) -> None:
        errors_of(_DELIVERY, upload.fields).check()
        person, now, scan = disclosing_person(settings.ledger), datetime.now(UTC), upload.file.read_bytes()
        proof = {"scan": hashlib.sha256(scan).hexdigest()} if scan else {}
        with visit.console.reader() as reader:
            known = disclosures_in(reader.acts())
        export, by, day = _known(known, act), upload.fields["by"], date.fromisoformat(upload.fields["on"])
        record_delivery(
            settings,
            known,
            lambda id_: steps.export_received(id_, now, person, export.act, export.sha256, by, day, proof),
        )

    async def do(upload: Upload) -> web.StreamResponse:
        await visit.in_thread(record, upload)
        return visit.redirect(f"{PATH}/{act}")

    return await _uploaded(visit, do)


async def _uploaded(visit: Visit, do: Callable[[Upload], Any]) -> web.StreamResponse:
    """Receive a form with a file and run `do`, if the visitor may disclose evidence."""
    if not _person_may(visit):
        return _refused(visit)
    try:
        async with receive_upload(visit, FILE_LIMIT) as upload:
            return cast(web.StreamResponse, await do(upload))
    except IdtoneError as error:
        return await _shown(visit, error)


async def confirm(visit: Visit) -> web.StreamResponse:
    """Record that the requesting office has confirmed its demand in writing."""
    if not _person_may(visit):
        return _refused(visit)
    act, reference, on = visit.part("act"), visit.field("reference"), visit.field("on")

    def do(settings: Settings) -> None:
        person, now, day = disclosing_person(settings.ledger), datetime.now(UTC), date.fromisoformat(on)
        with visit.console.reader() as reader:
            known = disclosures_in(reader.acts())
        record_delivery(settings, known, lambda id_: steps.export_confirmed(id_, now, person, act, reference, day))

    return await _act(visit, do, _CONFIRMATION)


def _year(visit: Visit) -> int:
    """The year in the address, or the current year in Japan if the address has no valid year."""
    text = visit.query("year")
    if re.fullmatch("[0-9]{4}", text) and int(text) >= 2000:
        return int(text)
    return datetime.now(JAPAN).year


async def disclosures(visit: Visit) -> web.StreamResponse:
    year, now, trouble = _year(visit), datetime.now(UTC), None
    try:
        entries = await visit.read(Reads.SEARCH, long_reads.disclosures, visit.console.settings, year, now)
    except LedgerError as error:
        entries, trouble = [], error
    return visit.render(
        "evidence_disclosures.html",
        states=STATES,
        trouble=trouble,
        year=year,
        list=listing(visit, entries, LISTED),
        figures=figures(entries),
        today=now.astimezone(JAPAN).date(),
    )


async def disclosures_csv(visit: Visit) -> web.StreamResponse:
    year, now = _year(visit), datetime.now(UTC)
    entries = await visit.read(Reads.SEARCH, long_reads.disclosures, visit.console.settings, year, now)
    today = now.astimezone(JAPAN).date()
    rows = [each.row(each.at.astimezone(UTC).isoformat(timespec="milliseconds"), today) for each in entries]
    return download_csv(f"disclosures-{year}.csv", COLUMNS, rows)


async def disclosures_pdf(visit: Visit) -> web.StreamResponse:
    year = _year(visit)
    made = await visit.read(Reads.EXPORT, long_reads.disclosures_pdf, visit.console.settings, year, datetime.now(UTC))
    return download(f"disclosures-{year}.pdf", made, PDF)


PAGES = (
    Page(PATH, list_exports, Right.LOOK),
    Page(f"{PATH}/request", ask, Right.REQUEST_EXPORTS),
    Page(f"{PATH}/request", request, Right.REQUEST_EXPORTS, Method.POST),
    Page(f"{PATH}/{{act}}", show, Right.LOOK),
    Page(f"{PATH}/{{act}}/approve", approve, Right.APPROVE_EXPORTS, Method.POST, by_second=True),
    Page(f"{PATH}/{{act}}/refuse", refuse, Right.LOOK, Method.POST),
    Page(f"{PATH}/{{act}}/make", make, Right.LOOK, Method.POST),
    Page(f"{PATH}/{{act}}/pack", pack, Right.LOOK),
    Page(f"{PATH}/{{act}}/receipt", sheet, Right.LOOK, Method.POST, uploads=True),
    Page(f"{PATH}/{{act}}/received", receive, Right.LOOK, Method.POST, uploads=True),
    Page(f"{PATH}/{{act}}/confirmed", confirm, Right.LOOK, Method.POST),
    Page(DISCLOSURES, disclosures, Right.LOOK),
    Page(f"{DISCLOSURES}.csv", disclosures_csv, Right.LOOK),
    Page(f"{DISCLOSURES}.pdf", disclosures_pdf, Right.LOOK),
)
