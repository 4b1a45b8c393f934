"""Requests of the hook to a service under test."""

from idtone.call_control.request import Request
from lab.ledger.sample_evidence import CALLED, FORWARDING, NONCE


def request(call_id: str, nonce: str = NONCE) -> Request:
    return Request(call_id, nonce, FORWARDING, "incoming", CALLED, "PJSIP/x")
