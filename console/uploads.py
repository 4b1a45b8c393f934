"""Forms with a file, which is kept in a private temporary file of limited size until the response is made."""

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from idtone.core.errors import UsageError
from idtone.core.text_cleaning import clean_text
from idtone.core.translation import Message

from .form_errors import FormErrors
from .page import Visit
from .upload_room import UploadRoom

UPLOAD_ROOM: Final = web.AppKey("upload_room", UploadRoom)
"""Key for the upload room of visitors without a session."""
FIELD_LIMIT: Final = 16 * 1024
"""Maximum size in bytes of form fields other than files."""
PARTS_LIMIT: Final = 40
UPLOADS_OF_PARTY: Final = 12
"""Maximum number of simultaneous uploads per party."""
_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file, which is empty if no file was chosen.

    `name` is the visitor's name for the file. It is never used as a path.
    """

    file: Path
    name: str
    fields: Mapping[str, str]
    size: int

    def need(self, field: str, what: Message) -> None:
        """Check that a file was chosen. Raises FormErrors with the message `what` at the field if not."""
        if not self.size:
            errors = FormErrors()
            errors.note(field, UsageError(what))
            raise errors


@asynccontextmanager
async def receive_upload(visit: Visit, limit: int) -> AsyncIterator[Upload]:
    """Receive a form with one file of at most `limit` bytes, and store its other fields in the visit.

    If the visitor has a session, the form must contain its token. Raises UsageError.
    """
    room = visit.request.app[UPLOAD_ROOM] if visit.session is None else UploadRoom(limit + 1)
    with visit.console.limits.under_way((f"uploads {visit.party}", UPLOADS_OF_PARTY)) as may_begin:
        if not may_begin:
            raise UsageError("Your other uploads have not ended. Wait for them.")
        async with _received(visit, limit, room) as upload:
            yield upload


@asynccontextmanager
async def _received(visit: Visit, limit: int, room: UploadRoom) -> AsyncIterator[Upload]:
    async with _read(visit.request, limit, room) as upload:
        if visit.session is not None and not visit.session.has_form_token(upload.fields.get("form_token", "")):
            raise UsageError("The form is out of date. Open the page again.")
        visit.fields = upload.fields
        yield upload


@asynccontextmanager
async def _read(request: web.Request, limit: int, room: UploadRoom) -> AsyncIterator[Upload]:
    too_large = UsageError("the file is larger than {limit:,} MB", limit=limit // 1_000_000)
    if request.content_type != "multipart/form-data":
        raise UsageError("this is not the form of this page")
    if (request.content_length or 0) > limit + PARTS_LIMIT * FIELD_LIMIT:
        raise too_large
    with (
        tempfile.NamedTemporaryFile(prefix="idtone-") as kept,  # readable only by its owner
        room.taking() as take,
    ):
        fields: dict[str, str] = {}
        name, left = "", limit
        try:
            parts = await request.multipart()
            for _ in range(PARTS_LIMIT):
                part = await parts.next()
                if part is None:
                    break
                if not isinstance(part, BodyPartReader) or not part.name:
                    raise UsageError("this is not the form of this page")
                if part.filename is None:
                    octets = bytearray()
                    while chunk := await part.read_chunk(_CHUNK):
                        octets += chunk
                        if len(octets) > FIELD_LIMIT:
                            raise too_large
                    fields[part.name] = clean_text(octets.decode("utf-8", "replace")).strip()
                    continue
                name = "".join(each for each in part.filename if each.isprintable())[:200]
                while chunk := await part.read_chunk(_CHUNK):
                    left -= len(chunk)
                    if left < 0:
                        raise too_large
                    take(len(chunk))
                    kept.write(chunk)
            else:
                raise UsageError("this is not the form of this page")
        except (
            ValueError,
            AssertionError,
            RuntimeError,
            HttpProcessingError,
        ) as error:  # aiohttp's errors for a body that differs from its declaration
            raise UsageError("this is not the form of this page") from error
        kept.flush()
        yield Upload(Path(kept.name), name, fields, limit - left)
