"""Transfers that a phone requests (REFER, RFC 3515), blind or attended (RFC 3891), and their results."""

import re
from urllib.parse import quote

from .call import Call
from .dialog import Dialog
from .lab import wait_until
from .sip import Party, Response, Uri


async def blind(call: Call, target: Uri) -> Response:
    """The response to a request (REFER) that the other side call `target` instead of us."""
    return await _refer(call, f"<{target}>")


async def attended(call: Call, consulted: Call) -> Response:
    """The response to a request (REFER) that the other side connect to our party in the call `consulted`."""
    assert consulted.dialog, "the second call was not answered"
    return await _refer(call, f"<{consulted.dialog.target}?Replaces={quote(replaces(consulted.dialog), safe='')}>")


def replaces(dialog: Dialog) -> str:
    """The dialog's Replaces value, with the tags as the other end sees them (RFC 3891, 3)."""
    return f"{dialog.call_id};to-tag={dialog.remote.tag};from-tag={dialog.local.tag}"


async def _refer(call: Call, target: str) -> Response:
    assert call.dialog, "there is no call to transfer"
    referrer = Party(call.dialog.local.uri)
    return await call.ask("REFER", [("Refer-To", target), ("Referred-By", str(referrer))])


def progress(call: Call) -> list[int]:
    """The statuses of the transfer, from the notifications to us."""
    fragments = [asked.request.body.decode() for asked in call.asked if asked.method == "NOTIFY"]
    return [int(match[1]) for fragment in fragments if (match := re.match(r"SIP/2\.0 (\d{3})", fragment))]


async def outcome(call: Call) -> int:
    """The transfer's final status, after waiting for it. Raises AssertionError if it does not arrive."""
    await wait_until(lambda: progress(call) and progress(call)[-1] >= 200, "the end of the transfer")
    return progress(call)[-1]
