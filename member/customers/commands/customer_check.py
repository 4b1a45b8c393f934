"""`idtone-office customer check`, which checks if a customer is a refused contractor."""

import hashlib
from datetime import UTC, datetime
from typing import Final

from idtone.core.errors import TrustError, UsageError
from idtone.core.japan_time import JAPAN
from idtone.core.persons import acting_person
from idtone.core.settings.settings import Settings, load_settings
from idtone.core.terminal import command_line
from idtone.core.translation import Message
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.record_act import record_act
from idtone.ledger.evidence import steps
from idtone.ledger.keys.key_ring import KeyRing
from idtone.registry.correspondence.desk_client import document_signer, member_of, send
from idtone.registry.correspondence.signed_document import sign_document
from idtone.registry.trust.publication_client import PublicationClient

from ..refused.refusal_check import KIND, Match, RefusalCheck
from ..refused.refusal_list import RefusalList
from .identity_input import IdentityArgument, read_identity

CACHE: Final = "refusals"
"""Name of the cache folder in `registry.cache`."""
ACT: Final = "customer-checked"


def check(
    customer: IdentityArgument = None,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Ask whether a customer is a refused contractor. The association does not learn whom you ask for.

    The association's desk evaluates blinded values, and this machine compares the result with the signed list of
    refusals. Another person can have the same name and birth date. If a refusal is found, ask the association about its
    number (X-…) before you decline. The ledger records that a customer was checked and what was found, but not the
    customer. Exit 0: not refused. 1: refused.
    """
    settings = load_settings(config)
    member, signer, now = member_of(settings), document_signer(settings), datetime.now(UTC)
    identity, refusals = read_identity(customer), _refusals(settings)
    asked = RefusalCheck(identity, refusals)
    document = sign_document(KIND, member, asked.content(), signer, now)
    found = asked.matches(send(settings, document), now.astimezone(JAPAN).date())
    record = _record(settings, document, refusals, found)
    if as_json:
        command_line.print_json(
            {
                "refused": bool(found),
                "list": {"made": refusals.made.isoformat(), "epoch": refusals.epoch},
                "record": record,
                "refusals": [
                    {
                        "reference": match.reference,
                        "since": match.since.isoformat(),
                        "until": match.until.isoformat(),
                        "equal": match.fields,
                    }
                    for match in found
                ],
            }
        )
    elif not found:
        command_line.say("not refused; record {record}", record=record)
    for match in found if not as_json else ():
        command_line.say(
            "refused until {until}: {reference}, equal in {fields}; record {record}",
            until=match.until,
            reference=match.reference,
            fields=match.fields,
            record=record,
        )
    if found:
        command_line.exit_negative()


def _refusals(settings: Settings) -> RefusalList:
    """The latest refusal list, fetched only if it has changed.

    Raises UsageError if the registry is unsigned here, or TrustError if the association publishes no list.
    """
    root = settings.registry.root_file()
    if root is None:
        raise UsageError(
            "the registry is unsigned here (registry.trust); refusals come with the association's signed one"
        )
    with command_line.working(Message("list of refusals")):
        octets = PublicationClient(root, settings.registry.source, settings.registry.cache / CACHE).refusals()
    if octets is None:
        raise TrustError("{source}: the association publishes no list of refusals", source=settings.registry.source)
    return RefusalList(octets)


def _record(settings: Settings, document: bytes, refusals: RefusalList, found: list[Match]) -> str:
    digest = hashlib.sha256(document).hexdigest()
    details: dict[str, steps.Scalar] = {
        "document_sha256": digest,
        "list_epoch": refusals.epoch,
        "list_made": refusals.made.isoformat(),
        "refusals": ", ".join(dict.fromkeys(match.reference for match in found)),
    }
    return record_act(
        settings.ledger.own_url(),
        settings.node,
        KeyRing.of(settings.ledger, settings.node),
        lambda act: steps.duty(act, datetime.now(UTC), acting_person(), ACT, digest[:32], details),
        DisclosureRules.of(settings.ledger),
    )
