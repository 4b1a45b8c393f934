"""Verifies evidence packs that visitors upload. No part of a pack is stored."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, LedgerError
from idtone.core.signed_notes import VerifierKey
from idtone.core.translation import Message, joined, template
from idtone.ledger.disclosure.pack_verification import PackVerdict
from idtone.registry.model import RegistryDocument

from ..access.rights import Right
from ..long_reads import verify_pack
from ..office.office_files import OfficeFiles
from ..page import Method, Page, Visit
from ..read_process import ReadEndedError
from ..threads import LIMITS, Reads
from ..uploads import receive_upload

PATH: Final = "/public/pack"
HERE: Final = "/verify"
"""Path on an operator's node, where the page is for signed-in users."""
LIMIT: Final = 50_000_000
"""Maximum size of a pack in bytes, both compressed and uncompressed."""
AT_ONCE: Final = LIMITS[Reads.PUBLIC_PACK].count
WAITING: Final = 8
"""Maximum number of waiting visitors. Others are asked to try again later."""


class PackVerification:
    """Verifies uploaded packs, a few at a time."""

    def __init__(self, kind: Reads) -> None:
        self._kind = kind
        self._visitors = 0

    async def show(self, visit: Visit) -> web.StreamResponse:
        return visit.render("pack.html", verdict=None, holder=None, problem=None)

    async def verify(self, visit: Visit) -> web.StreamResponse:
        """Verify an uploaded pack.

        Verification begins once the upload is complete, so slow uploads do not delay other visitors.
        """
        try:
            async with receive_upload(visit, LIMIT) as upload:
                upload.need("pack", Message("choose the file of the pack"))
                if self._visitors >= AT_ONCE + WAITING:
                    busy = Message("Several packs are being verified. Try again in a minute.")
                    return visit.render(
                        "pack.html", HTTPStatus.SERVICE_UNAVAILABLE, verdict=None, holder=None, problem=busy
                    )
                self._visitors += 1
                try:
                    verdict = await visit.read(
                        self._kind, verify_pack, upload.file, upload.fields.get("key", ""), LIMIT
                    )
                except ReadEndedError as error:
                    elsewhere = Message(
                        "Verify the pack on a computer of your own: with “idtone-evidence verify pack”, or with "
                        "verify_pack.py from the documents."
                    )
                    raise LedgerError(joined(" ", (*error.args, elsewhere))) from error
                finally:
                    self._visitors -= 1
            holder = await visit.in_thread(_holder, verdict, visit.console.office_files)
        except IdtoneError as error:
            return visit.render("pack.html", HTTPStatus.BAD_REQUEST, verdict=None, holder=None, problem=error)
        return visit.render("pack.html", verdict=verdict, holder=holder, problem=None)


def _holder(verdict: PackVerdict, files: OfficeFiles | None) -> str | None:
    """The member whose registered key signed the pack, or None. Raises IdtoneError."""
    return holder_of(verdict.log, files.desk.registry()) if files and verdict.log else None


def holder_of(log: VerifierKey, registry: RegistryDocument) -> str | None:
    """Id of the member with this key in the registry, or None if no member has it."""
    return next((member.id for member in registry.members if str(log) in member.keys), None)


def pages(is_office: bool) -> Sequence[Page]:
    """The pages, public at the association but restricted to signed-in users on an operator's node."""
    verification = PackVerification(Reads.PUBLIC_PACK if is_office else Reads.PACK)
    if is_office:
        return (Page(PATH, verification.show, None), Page(PATH, verification.verify, None, Method.POST, uploads=True))
    return (
        Page(HERE, verification.show, Right.LOOK, title=template("Verify a pack")),
        Page(HERE, verification.verify, Right.LOOK, Method.POST, uploads=True),
    )
