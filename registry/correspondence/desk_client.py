"""HTTPS client that sends signed documents to the association's desk."""

import json
from http import HTTPStatus
from typing import Any, Final

import urllib3

from idtone.core.errors import DocumentError, Fault, TrustError
from idtone.core.settings.settings import Settings
from idtone.core.signed_notes import NoteSigner
from idtone.core.translation import Message
from idtone.ledger.keys.key_ring import successor_trees_of
from idtone.ledger.keys.log_keys import LogKeys

PATH: Final = "/documents"
TYPE: Final = "application/vnd.c2sp.signed-note"
ANSWER_LIMIT: Final = 16 * 1024 * 1024
"""Maximum size of an answer in bytes."""
_WITHIN_S: Final = 10.0


def member_of(settings: Settings) -> str:
    """The operator's id in the registry. Raises DocumentError if `association.member` is not set."""
    if settings.association.member is None:
        raise DocumentError(
            [
                Fault(
                    "settings",
                    0,
                    0,
                    "association.member",
                    Message("is not set"),
                    Message("Write your id in the registry, for example m-0001"),
                )
            ]
        )
    return settings.association.member


def document_signer(settings: Settings) -> NoteSigner:
    """Signer for this node's documents: the ledger's key under the name MEMBER/NODE.

    Raises DocumentError, or LedgerError if the key does not exist.
    """
    name = f"{member_of(settings)}/{'-'.join(settings.node.replace('+', '-').split())}"
    successor_trees = successor_trees_of(settings.ledger, settings.node)
    keys = LogKeys(settings.ledger, successor_trees)
    keys.require()
    return keys.signer(successor_trees.origin).named(name)


def send(settings: Settings, octets: bytes) -> dict[str, Any]:
    """Send a signed document. Returns the desk's answer.

    A document that was sent before is answered again but not recorded twice. Raises DocumentError, or TrustError if the
    desk is unreachable or rejects the document.
    """
    return _answer(settings, "POST", PATH, octets)


def ask(settings: Settings, path: str) -> dict[str, Any]:
    """Send a GET request that needs no signature, for example for the desk's public keys.

    `path` is the URL's path. Raises DocumentError or TrustError.
    """
    return _answer(settings, "GET", path, None)


def _answer(settings: Settings, method: str, path: str, octets: bytes | None) -> dict[str, Any]:
    desk = settings.association.desk
    if desk is None:
        raise DocumentError(
            [
                Fault(
                    "settings",
                    0,
                    0,
                    "association.desk",
                    Message("is not set"),
                    Message("Write the address of the association's desk, for example https://desk.example"),
                )
            ]
        )
    try:
        answer = urllib3.request(
            method,
            desk + path,
            body=octets,
            headers={"Content-Type": TYPE} if octets else None,
            preload_content=False,
            redirect=False,
            retries=False,
            timeout=urllib3.Timeout(total=_WITHIN_S),
        )
        with answer:
            status, body = answer.status, answer.read(ANSWER_LIMIT)
    except urllib3.exceptions.HTTPError as error:
        raise TrustError(
            "{desk}: the desk cannot be reached ({reason}); try again later", desk=desk, reason=_short(error)
        ) from error
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise TrustError("{desk}: is not the association's desk (HTTP status {status})", desk=desk, status=status)
    if status != HTTPStatus.OK:
        reason = str(content.get("error", status))[:500]
        raise TrustError("the desk refuses the document: {reason}", reason=reason)
    return content


def _short(error: Exception) -> str:
    return type(error.__cause__ or error).__name__
