"""The member's HTTPS client for the report desk."""

import base64
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from idtone.core.errors import TrustError
from idtone.core.settings.settings import Settings
from idtone.registry.correspondence import desk_client
from idtone.registry.correspondence.signed_document import sign_document

from .report_documents import FETCH, KEYS_PATH, Request, Requests, read_content
from .sealed_box import Purpose, open_box, public_key


def desk_keys(settings: Settings) -> tuple[bytes, bytes | None]:
    """The public keys of the desk and the report officer. Raises TrustError, DocumentError.

    The officer's key is None if the desk has none.
    """
    keys = desk_client.ask(settings, KEYS_PATH)
    officer = keys.get("officer")
    return public_key(str(keys.get("desk"))), public_key(str(officer)) if officer else None


def open_requests(settings: Settings, now: datetime, request_id: str | None = None) -> Requests:
    """Fetch the requests that this member must answer, most urgent first, or only the one with `request_id`.

    Raises IdtoneError.
    """
    key = X25519PrivateKey.generate()
    to = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    member = desk_client.member_of(settings)
    answer = desk_client.send(
        settings,
        sign_document(FETCH, member, {"to": to, "request": request_id}, desk_client.document_signer(settings), now),
    )
    return read_content(Requests, open_box(str(answer.get("requests")), key, Purpose.REQUESTS, to))


def request_named(settings: Settings, request_id: str, now: datetime) -> Request:
    """Fetch the open request with this id. Raises TrustError if there is none."""
    for request in open_requests(settings, now, request_id).requests:
        return request
    raise TrustError(
        "no open request {request_id!r} for this member; `idtone-office request fetch` lists them",
        request_id=request_id,
    )
