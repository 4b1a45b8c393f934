"""The suspension of a number while its calls are in progress."""

from dataclasses import dataclass

from lab.incoming_call import IncomingCall
from lab.lab import LICENSED, Forwarding, Lab, PlacedCall
from lab.publication import LAB_REGISTRY
from lab.service import Service

OTHER = "0312345700"
"""Number of the same member that is not suspended."""
WITHIN_S = 2.0
SUSPENSION = f"\nsuspensions:\n  - {{number: '{LICENSED}', since: 2026-01-01T00:00:00+09:00, reference: R-1}}\n"


def suspend(service: Service, suspensions: str = SUSPENSION) -> None:
    text = LAB_REGISTRY.read_text().replace("version: 42", "version: 43")
    draft = service.registry.with_name("draft.yaml")
    draft.write_text(text.partition("\nsuspensions:")[0] + suspensions)
    draft.replace(service.registry)


@dataclass
class Calls:
    """Calls of the suspended number at several steps, and calls of other numbers, which must continue."""

    ringing: PlacedCall
    talking: list[PlacedCall]
    others: list[PlacedCall]


async def in_progress(phones: Lab) -> Calls:
    async def rings(call: IncomingCall) -> None:
        call.ring()

    ringing = phones.dial(behaviour=rings)
    talking = [phones.dial(Forwarding(interface=interface)) for interface in ("ari", "agi")] + [
        phones.dial(Forwarding(way="own-dial"))
    ]
    others = [phones.dial(Forwarding(OTHER)), phones.dial(Forwarding(dialled="110"))]
    for placed in (*talking, *others):
        assert await placed.caller.final() == 200
        phones.pair(placed)
    await phones.reached(ringing)
    return Calls(ringing, talking, others)
