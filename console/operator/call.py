"""One call, with its steps, sound delivery, reasons for the decision, and proof.

Visitors who state a purpose can also see the call's numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from idtone.core.calls import Delivery, Party, Reason
from idtone.core.decision_words import RULES
from idtone.core.errors import LedgerError, UsageError
from idtone.core.persons import console_person
from idtone.core.signed_notes import VerifierKey
from idtone.core.translation import Message
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.legal_basis import TEXT_LIMIT
from idtone.ledger.disclosure.number_openings import purpose_objection
from idtone.ledger.disclosure.record_act import record_act
from idtone.ledger.disclosure.report_words import shown_details
from idtone.ledger.evidence.call_record import Record
from idtone.ledger.evidence.leaves import ACT_ID
from idtone.ledger.evidence.steps import NumberRole, Step, StepKind, numbers_opened
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store.proven_leaf import ProvenLeaf
from idtone.ledger.verification.proof_check import ProofCheck, check_proof

from ..access.rights import Right
from ..byte_ranges import range_response
from ..drawings.proof_tree import ProofTree, proof_tree
from ..drawings.timeline import Timeline, timeline
from ..drawings.wave import Wave, wave
from ..form_errors import FormErrors
from ..other_nodes import is_other_node
from ..page import Method, Page, Visit
from ..time_formats import format_to_millisecond
from ..words_for_codes import detail_words
from .call_query import CallQuery, path_of
from .call_words import (
    EXPLAINED,
    ROLES,
    STATES,
    CallState,
    direction_words,
    known_by_words,
    no_such_call,
    outcome_words,
    party_words,
    reason_words,
    state_of,
    step_words,
)
from .masked_reader import opening_reader
from .played_sound import PlayedSound, played_sound
from .selected_ledger import SelectedLedger, ledger_for


@dataclass(frozen=True, slots=True)
class _StepLine:
    number: int
    at: str
    after_ms: float
    words: str
    kind: str
    details: str


@dataclass(frozen=True, slots=True)
class _SoundFor:
    """The sound for one party, with evidence of its delivery."""

    party: str
    profile: str
    delivery: str
    known_by: str
    failed: str
    """Why playback of the sound failed."""
    sha256: str
    sound: PlayedSound | None
    wave: Wave | None
    path: str


@dataclass(frozen=True, slots=True)
class _Proven:
    check: ProofCheck
    tree: ProofTree


@dataclass(frozen=True, slots=True)
class _Proofs:
    """Proofs of the call's leaves. If this node cannot prove them, `problem` says why."""

    leaves: tuple[_Proven, ...] = ()
    log: VerifierKey | None = None
    problem: LedgerError | None = None


@dataclass(frozen=True, slots=True)
class _Call:
    record: Record
    state: CallState
    sounds: tuple[_SoundFor, ...]
    timeline: Timeline
    proofs: _Proofs
    node: str
    """Name of the other node that handled the call, or an empty string for this node."""


async def call(visit: Visit) -> web.StreamResponse:
    found = await visit.in_thread(_look, visit, visit.part("call_id"))
    return _unknown(visit) if found is None else _page(visit, found)


def _unknown(visit: Visit) -> web.Response:
    return visit.render("problem.html", HTTPStatus.NOT_FOUND, problem=no_such_call(visit.part("call_id")))


def _page(
    visit: Visit,
    found: _Call,
    numbers: dict[str, str] | None = None,
    problem: object = None,
    status: HTTPStatus = HTTPStatus.OK,
) -> web.Response:
    record, language = found.record, visit.language
    return visit.render(
        "call.html",
        status,
        call=found,
        record=record,
        at=format_to_millisecond(record.steps[0].at),
        state=STATES[found.state],
        state_explained=EXPLAINED.get(found.state),
        direction=direction_words(record.direction),
        outcome=outcome_words(record.outcome),
        reason=reason_words(record.reason),
        rules=[(rule.words, record.reason in set(map(str, rule.reasons))) for rule in RULES],
        knows_reason=record.reason in set(Reason),
        steps=[_step_line(number, step, record, language) for number, step in enumerate(record.steps, 1)],
        played_sounds=[(party_words(each.party, language), each) for each in found.sounds],
        party_words=lambda party: party_words(party, language),
        masked={ROLES[role]: str(number) for role, number in record.numbers.items()},
        numbers=numbers,
        problem=problem,
        may_open=visit.may(Right.OPEN_NUMBERS) and not found.node,
        may_request=visit.may(Right.REQUEST_EXPORTS) and not found.node,
        request_path=f"/evidence/exports/request?{urlencode({'call': record.call_id})}",
        purpose_limit=TEXT_LIMIT,
        numbers_path=path_of(record.call_id, "numbers"),
        proof_path=lambda index: path_of(record.call_id, "proof", leaf=str(index), node=found.node),
        all_calls=CallQuery({"node": found.node} if found.node else {}).address(),
        exact=format_to_millisecond,
    )


def _step_line(number: int, step: Step, record: Record, language: str) -> _StepLine:
    after_ms = round((step.at - record.steps[0].at) / timedelta(milliseconds=1), 1)
    details = {
        name: known_by_words(str(value), language) if name == "known_by" else value
        for name, value in shown_details(step).items()
    }
    text = " · ".join(detail_words(name, value) for name, value in details.items())
    return _StepLine(
        number, format_to_millisecond(step.at), after_ms, step_words(step.kind, language), step.kind.value, text
    )


def _look(visit: Visit, call_id: str) -> _Call | None:
    """The call, or None if it is not in the ledger. Raises LedgerError."""
    with ledger_for(visit).held() as ledger:
        record = None if call_id.startswith(ACT_ID) else ledger.reader.record(call_id)
        if record is None:
            return None
        proofs = _proofs(ledger, call_id)
    sounds = _sounds_for(visit.console.settings.sounds.directory, record, visit.language, ledger.node)
    return _Call(record, state_of(record), sounds, timeline(record), proofs, ledger.node)


def _proofs(ledger: SelectedLedger, call_id: str) -> _Proofs:
    try:
        log = ledger.log()
        witnesses = [VerifierKey.parse(entry.partition(" ")[2]) for entry in ledger.settings.ledger.witnesses]
        checks = [check_proof(each, log, witnesses) for each in _leaves(ledger, call_id)]
    except LedgerError as error:
        return _Proofs(problem=error)
    return _Proofs(tuple(_Proven(check, proof_tree(check)) for check in checks), log)


def _leaves(ledger: SelectedLedger, call_id: str) -> Sequence[ProvenLeaf]:
    """The call's leaves with their proofs, as `idtone ledger prove` returns them. Raises LedgerError."""
    return ledger.reader.proofs(call_id, ledger.cosigned())


def _sounds_for(directory: Path, record: Record, language: str, node: str = "") -> tuple[_SoundFor, ...]:
    """The sounds intended for or played to each party."""
    started = {_party(step): step for step in record.steps if step.kind is StepKind.SOUND_STARTED}
    failed = {_party(step): step for step in record.steps if step.kind is StepKind.SOUND_FAILED}
    found = []
    for party in Party:
        if party not in record.profiles and party not in started and party not in failed:
            continue
        step = started.get(party)
        profile, sha256, file_format = (
            str(step.details.get(name, "")) if step else "" for name in ("profile", "sha256", "format")
        )
        sound = played_sound(directory, profile, sha256, file_format) if sha256 else None
        found.append(
            _SoundFor(
                party=party,
                profile=profile or record.profiles.get(party, ""),
                delivery=record.delivery.get(party, Delivery.NOT_KNOWN),
                known_by=known_by_words(record.known_by.get(party, ""), language),
                failed=str(failed[party].details.get("why", "")) if party in failed else "",
                sha256=sha256,
                sound=sound,
                wave=wave(sound.samples, sound.sample_rate_hz) if sound and sound.content else None,
                path=path_of(record.call_id, "sound", party, node=node),
            )
        )
    return tuple(found)


def _party(step: Step) -> str:
    return str(step.details.get("party", Party.CALLED))


async def proof(visit: Visit) -> web.StreamResponse:
    """Send what `idtone ledger prove` prints, as a file. `leaf` in the address selects one of several leaves."""
    call_id = visit.part("call_id")

    def look() -> dict[str, ProvenLeaf]:
        return {str(each.proof.index): each for each in _leaves(ledger_for(visit), call_id)}

    found = {} if call_id.startswith(ACT_ID) else await visit.in_thread(look)
    chosen = found.get(visit.query("leaf"), next(iter(found.values()), None))
    if chosen is None:
        return visit.render(
            "problem.html",
            HTTPStatus.NOT_FOUND,
            problem=Message("No leaf of the ledger's tree holds this call: it is unknown, or not over yet."),
        )
    return web.Response(
        text=str(chosen.proof),
        content_type="text/plain",
        headers={"Content-Disposition": f'attachment; filename="leaf-{chosen.proof.index}.tlog-proof"'},
    )


async def sound(visit: Visit) -> web.StreamResponse:
    """Send the sound that was played to a party, if its file has not changed since."""
    call_id, party = visit.part("call_id"), visit.part("party")

    def look() -> PlayedSound | None:
        record = None if call_id.startswith(ACT_ID) else ledger_for(visit).reader.record(call_id)
        sounds = _sounds_for(visit.console.settings.sounds.directory, record, visit.language) if record else ()
        return next((each.sound for each in sounds if each.party == party), None)

    found = await visit.in_thread(look)
    if found is None or found.content is None:
        problem = found.problem if found else Message("No sound was played to this party.")
        return visit.render("problem.html", HTTPStatus.NOT_FOUND, problem=problem)
    return range_response(visit.request, found.as_wav(), "audio/wav")


async def open_numbers(visit: Visit) -> web.StreamResponse:
    """Show the call's numbers once, after recording this in the ledger."""
    if is_other_node(visit.console.settings, visit.query("node")):
        problem = Message("Numbers are opened on the node of the call alone: its keys do not leave it.")
        return visit.render("problem.html", HTTPStatus.FORBIDDEN, problem=problem)
    found = await visit.in_thread(_look, visit, visit.part("call_id"))
    if found is None:
        return _unknown(visit)
    purpose = visit.field("purpose")
    if objection := purpose_objection(purpose):
        errors = FormErrors()
        errors.note("purpose", UsageError(objection))
        return _page(visit, found, None, errors, HTTPStatus.BAD_REQUEST)
    numbers = await visit.in_thread(_opened, visit, found.record.call_id, purpose)
    if not numbers:
        problem = Message("The numbers of this call cannot be opened: their key is not here, or was destroyed.")
        return _page(visit, found, None, problem)
    return _page(visit, found, numbers)


def _opened(visit: Visit, call_id: str, purpose: str) -> dict[str, str]:
    """Record the act and return the number for each role's label. Raises LedgerError if recording fails."""
    console, now = visit.console, datetime.now(UTC)
    assert visit.user is not None
    person, ledger = console_person(visit.user.name), console.settings.ledger
    record_act(
        ledger.own_url(),
        console.settings.node,
        KeyRing.of(ledger, console.settings.node),
        lambda act_id: numbers_opened(act_id, now, person, purpose, call_id),
        DisclosureRules.of(ledger),
    )
    with opening_reader(console.settings) as reader:
        record = reader.record(call_id)
    opened = record.clear_numbers if record else {}
    return {ROLES[role]: opened[role].e164 for role in NumberRole if role in opened}


CALL: Final = "/calls/{call_id:[^/]+}"
PAGES = (
    Page(CALL, call, Right.LOOK),
    Page(f"{CALL}/proof", proof, Right.LOOK),
    Page(f"{CALL}/sound/{{party}}", sound, Right.LOOK),
    Page(f"{CALL}/numbers", open_numbers, Right.OPEN_NUMBERS, Method.POST),
)
