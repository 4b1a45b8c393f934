"""Transfers that a phone requests (REFER, RFC 3515), blind or attended (RFC 3891), and their results."""

import re
from urllib.parse import quote

from .call import Call
from .dialog import Dialog
from .lab import wait_until
from .sip import Party, Response, Uri


async def blind(call: Call, target: Uri) -> Response:
    """Ask the other side to call `target` instead of us (REFER), and return the response."""
    return await _refer(call, f"<{target}>")


async def attended(call: Call, consulted: Call) -> Response:
    """Ask the other side to connect to our party in the call `consulted` (REFER), and return the response."""
    assert consulted.dialog, "the second call was not answered"
    return await _refer(call, f"<{consulted.dialog.target}?Replaces={quote(replaces(consulted.dialog), safe='')}>")


def replaces(dialog: Dialog) -> str:
    """Value of Replaces for a dialog, with the tags as the other end sees them (RFC 3891, 3)."""
    return f"{dialog.call_id};to-tag={dialog.remote.tag};from-tag={dialog.local.tag}"


async def _refer(call: Call, target: str) -> Response:
    assert call.dialog, "there is no call to transfer"
    referrer = Party(call.dialog.local.uri)
    return await call.ask("REFER", [("Refer-To", target), ("Referred-By", str(referrer))])


def progress(call: Call) -> list[int]:
    """SIP statuses of the transfer, from the notifications (NOTIFY) so far."""
    fragments = [asked.request.body.decode() for asked in call.asked if asked.method == "NOTIFY"]
    return [int(match[1]) for fragment in fragments if (match := re.match(r"SIP/2\.0 (\d{3})", fragment))]


async def outcome(call: Call) -> int:
    """Wait for the final status of the transfer and return it. Raises AssertionError if it does not arrive."""
    await wait_until(lambda: progress(call) and progress(call)[-1] >= 200, "the end of the transfer")
    return progress(call)[-1]
