"""Reads Asterisk's state over ARI with a few HTTP requests that change nothing.

A WebSocket, which the service uses, would take over the application from the service.
"""

import base64
import http.client
import json
import secrets
import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import quote, urlsplit

from idtone.ari_app.connection import APPLICATION
from idtone.core.errors import AriRefused, AriUnavailable
from idtone.core.settings.settings import AriSettings
from idtone.core.translation import Message
from idtone.dialplan import CALLED_CONTEXT, FORWARD_CONTEXT

from .asterisk_findings import VARIABLES, AsteriskObservation, url_without_password

TIMEOUT_S: Final = 2.0
"""Time limit in seconds for each step of a request. A hung Asterisk accepts connections but does not answer."""
_CONTEXTS: Final = (CALLED_CONTEXT, FORWARD_CONTEXT)
_NO_EXTENSION: Final = "INVALID"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    reason: str
    body: str
    nearby: bool


def observe(ari: AriSettings, secret: str) -> AsteriskObservation:
    """Read Asterisk's version, modules, variables and clock over ARI.

    Raises AriRefused if Asterisk rejects a request, and AriUnavailable if its answers are unusable.
    """
    info = _asked(ari, secret, "asterisk/info")
    try:
        asked_s = time.time()
        epoch_s = int(variable(ari, secret, "EPOCH"))
        # Asterisk gives whole seconds: compare the middle of the second with the middle of the request.
        ahead_s = epoch_s + 0.5 - (asked_s + time.time()) / 2
        modules = json.loads(_asked(ari, secret, "asterisk/modules").body)
        return AsteriskObservation(
            version=str(json.loads(info.body)["system"]["version"]),
            nearby=info.nearby,
            modules=frozenset(m["name"].removesuffix(".so") for m in modules if m["status"] == "Running"),
            # No playback has this id, so the request has no effect.
            write_status=request(ari, secret, "DELETE", f"playbacks/idtone-doctor-{secrets.token_hex(8)}").status,
            contexts=_contexts(ari, secret),
            application=request(ari, secret, "GET", f"applications/{APPLICATION}").status == http.HTTPStatus.OK,
            ahead_s=ahead_s,
            variables={name: variable(ari, secret, name) for name in VARIABLES},
            endpoints=_endpoints(ari, secret),
        )
    except (ValueError, LookupError, TypeError) as error:
        raise AriUnavailable(
            Message("the answers at {address} are not Asterisk's", address=url_without_password(ari))
        ) from error


def variable(ari: AriSettings, secret: str, name: str) -> str:
    """Value of an Asterisk global variable; empty if it is not set."""
    return str(json.loads(_asked(ari, secret, f"asterisk/variable?variable={quote(name)}").body)["value"])


def _contexts(ari: AriSettings, secret: str) -> frozenset[str] | None:
    """The hook's contexts in the dialplan; None if the device-state module is missing.

    A context counts if it has the extension `s`. A Local channel to a missing extension has the state INVALID.
    """
    found = set()
    for context in _CONTEXTS:
        answer = request(ari, secret, "GET", f"deviceStates/{quote(f'Local/s@{context}', safe='')}")
        if answer.status != http.HTTPStatus.OK:
            return None
        if json.loads(answer.body)["state"] != _NO_EXTENSION:
            found.add(context)
    return frozenset(found)


def _endpoints(ari: AriSettings, secret: str) -> dict[str, int] | None:
    """Number of channels on each PJSIP endpoint; None if the module that reports them is missing."""
    answer = request(ari, secret, "GET", "endpoints/PJSIP")
    if answer.status != http.HTTPStatus.OK:
        return None
    return {each["resource"]: len(each["channel_ids"]) for each in json.loads(answer.body)}


def _asked(ari: AriSettings, secret: str, path: str) -> Answer:
    answer = request(ari, secret, "GET", path)
    if answer.status >= http.HTTPStatus.BAD_REQUEST:
        raise AriRefused(answer.status, answer.reason, f"GET {path}")
    return answer


def request(ari: AriSettings, secret: str, method: str, path: str, body: object = None) -> Answer:
    """Send one ARI request, with `body` as JSON, and return the answer.

    Raises AriUnavailable.
    """
    parts = urlsplit(ari.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    credentials = base64.b64encode(f"{ari.user}:{secret}".encode()).decode()
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        try:
            connection.request(
                method,
                f"{parts.path}/{path}",
                None if body is None else json.dumps(body),
                {"Authorization": f"Basic {credentials}", "Connection": "close", "Content-Type": "application/json"},
            )
            nearby = _nearby(connection)
            answer = connection.getresponse()
            return Answer(
                answer.status,
                answer.reason,
                answer.read().decode("utf-8", "replace"),
                nearby,
            )
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise AriUnavailable(
            Message("Asterisk does not answer at {address}: {reason}", address=url_without_password(ari), reason=reason)
        ) from error


def _nearby(connection: http.client.HTTPConnection) -> bool:
    """True if the peer is on this machine.

    In that case, both ends have the same address, or the peer has a loopback address.
    """
    peer: Any = connection.sock.getpeername()[0]
    return bool(peer == connection.sock.getsockname()[0] or ip_address(peer.partition("%")[0]).is_loopback)
