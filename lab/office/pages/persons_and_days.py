"""The persons, subjects and days of the year, used on the pages and by the commands."""

import io
import wave
from datetime import UTC, datetime, timedelta
from typing import Final

from idtone.core.japan_time import JAPAN
from idtone.core.signed_notes import Signer

SCAN: Final = b"%PDF-1.7 a signed pledge, scanned"
WHOLESALER, RESELLER = "m-0101", "m-0102"
APPLICANT, APPLICANT_ID = ("新規見本電話株式会社", "New Sample Telecom"), "m-0103"
"""An applicant that submits its application itself."""
STOPPED: Final = "0362345701"
SHEET: Final = "先頭番号,末尾番号,備考\r\n0362345700,0362345799,本社\r\n03-6234-5800,5809,支店\r\n"
SHEET_NUMBERS: Final = 110


def tone_master() -> bytes:
    """Half a second of an invented recording (WAV), the same each time."""
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\x17" * 8000)
    return made.getvalue()


def witness_key() -> str:
    """Key of a witness, the same each time."""
    return str(Signer("witness.example/1", b"w" * 32).cosigner)


def iso_day(number: int = 0) -> str:
    """Date in Japan, `number` days from today."""
    return (datetime.now(UTC).astimezone(JAPAN) + timedelta(days=number)).date().isoformat()


def iso_minute(minutes: int = 0) -> str:
    """Time in Japan, `minutes` from now, in the format of a browser's date and time field."""
    return (datetime.now(UTC).astimezone(JAPAN) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M")
