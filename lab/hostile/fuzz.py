"""Fuzzes the readers of ARI's data and of the operator's documents with inputs from atheris: `make fuzz`.

Each reader must accept an input, or refuse it with one of our errors or with its value for an error. An accepted value
must be usable.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["idtone", "phonenumbers", "yaml"]):
    from idtone.ari_app import events
    from idtone.ari_app.asterisk_version import AsteriskVersion
    from idtone.call_control import journal_lines
    from idtone.core import numbers
    from idtone.core.errors import IdtoneError
    from idtone.core.settings.settings import load_settings
    from idtone.dialplan import dialled_user
    from idtone.registry.index import RegistryIndex
    from idtone.registry.sources import parse_document

from lab.fuzzing import fuzz

_HERE: Final = Path(__file__).parent
_CONFIG: Final = _HERE.parents[1] / "config"


def read_event(text: str) -> None:
    event = events.read(text)
    match event:
        case events.Entered():
            assert event.channel.isprintable()
            assert all(isinstance(argument, str) for argument in event.arguments)
        case events.MalformedEvent():
            assert event.type.isalpha()
    hash(event)


def read_channel(text: str) -> None:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return  # `_body` of the connection refuses such an answer
    channel = events.read_channel(answer, "idtone")
    assert channel.id.isprintable()
    assert channel.entered is None or channel.entered.channel == channel.id


def read_journal(text: str) -> None:
    line = journal_lines.read(text)
    assert line.call_id.isprintable()
    assert line.at.utcoffset() is not None
    assert "\n" not in journal_lines.without_digits(text)
    hash(line.call_id)


def read_number(text: str) -> None:
    number = numbers.parse(text)
    assert number.known is (number.kind not in (numbers.NumberKind.WITHHELD, numbers.NumberKind.MALFORMED))
    if number.known and number.kind is not numbers.NumberKind.EMERGENCY:
        assert number.e164[:-4] not in str(number), "a number is not shown whole"
    japanese = numbers.parse_japanese(text)
    assert numbers.parse(japanese.e164) == japanese, "a number is what it is when it is read again"


def read_dial_string(text: str) -> None:
    user = dialled_user(text)
    assert user in text
    assert not set(user) & set("@/;,&")


def read_version(text: str) -> None:
    version = AsteriskVersion.read(text)
    assert len(version.numbers) <= 4


def read_registry(text: str) -> None:
    RegistryIndex(parse_document(text, "registry.yaml"))


def read_settings(text: str) -> None:
    file = Path(_folder.name, "idtone.yaml")
    file.write_text(text, "utf-8")
    load_settings(file, {})


_folder = tempfile.TemporaryDirectory()
TARGETS: Final[tuple[Callable[[str], None], ...]] = (
    read_event,
    read_channel,
    read_journal,
    read_number,
    read_dial_string,
    read_version,
    read_registry,
    read_settings,
)
"""Targets, selected by the first octet of an input."""


def texts() -> Iterator[tuple[Callable[[str], None], str]]:
    """Yield valid inputs of every kind with their readers. atheris mutates these inputs."""
    recorded = json.loads((_HERE / "recorded.json").read_text("utf-8"))
    for message in recorded["events"]:
        yield read_event, json.dumps(message)
    for channel in recorded["channels"]:
        yield read_channel, json.dumps(channel)
    at = "1795758888.831579"
    for line in (
        f"decided,1795758888.0-1,123456789987,{at},0312345678,incoming,,PJSIP%2Fx,,,,NOTICE,service-unavailable,called,",
        f"sounded,1795758888.0-1,123456789987,{at},dial,sample,,22,{at},,,",
        f"ended,1795758888.0-1,123456789987,{at},CONNECTED,16,licence-valid,ANSWER,4000",
    ):
        yield read_journal, line
    answer = {
        "type": "RESTResponse",
        "request_id": "1",
        "status_code": 200,
        "reason_phrase": "OK",
        "message_body": "[]",
    }
    yield read_event, json.dumps(answer)
    for number in (
        "0312345678",
        "+81-3-1234-5678",
        "sip:0312345678@192.0.2.1",
        "tel:+81312345678;x=y",
        "184110",
        "０３",
    ):
        yield read_number, number
    for dialled in (
        "PJSIP/0312345678@trunk",
        "PJSIP/trunk/sip:110@192.0.2.1;x=y",
        "Local/110@c/n&PJSIP/a",
        "IAX2/m@c/110",
    ):
        yield read_dial_string, dialled
    for version in ("22.4.0", "certified-20.7-cert6", "GIT-master-0c5d8b3"):
        yield read_version, version
    for registry in (_CONFIG / "registry.yaml", _HERE.with_name("registry.yaml")):
        yield read_registry, registry.read_text("utf-8")
    yield read_settings, (_CONFIG / "idtone.yaml").read_text("utf-8")


def seeds() -> Iterator[bytes]:
    for target, text in texts():
        yield bytes([TARGETS.index(target)]) + text.encode()


def feed(data: bytes) -> None:
    if not data:
        return
    try:
        TARGETS[data[0] % len(TARGETS)](data[1:].decode("utf-8", "replace"))
    except IdtoneError:
        return


if __name__ == "__main__":
    with _folder:
        fuzz(__doc__, seeds(), feed)
