"""Report files for an evidence pack, and the check that they match the leaves."""

import json
import re
import zlib
from base64 import a85decode
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from idtone.core.errors import ProofError
from idtone.core.paper.content import Paper
from idtone.core.paper.html import as_html
from idtone.core.translation import Message

from ..evidence.call_record import Record
from ..evidence.format_rules import Breach, Rule, breach
from ..evidence.steps import StepKind
from .evidence_report import report
from .log_registration import log_registration, registries_of
from .pack import PAPER, PROFILE, REPORT
from .pack_verification import PackVerdict

_STREAM: Final = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_PLACES: Final = re.compile(rb"/Length \d+|^\d{10} \d{5} [nf]|startxref\n\d+", re.MULTILINE)


def report_files(content: Paper) -> dict[str, bytes]:
    """Render a report as HTML and PDF.

    Raises ModuleNotFoundError if the part `office` is not installed.
    """
    from idtone.core.paper.pdf import as_pdf  # takes time and memory that other commands do not need

    return {REPORT: as_html(content), PAPER: as_pdf(content)}


def report_faults(files: Mapping[str, bytes], verdict: PackVerdict) -> Iterator[Breach]:
    """Violations where a pack's reports or profiles contradict its leaves.

    The pack must have passed the other checks. If the part `office` is not installed, the PDF is not compared, and the
    verdict says so.
    """
    try:
        content = remade_report(files, verdict)
    except ProofError as error:
        yield breach(Rule.PROFILE, Message("{error}", error=error))
        return
    try:
        made = report_files(content)
    except ModuleNotFoundError:
        made = {REPORT: as_html(content)}
        verdict.not_compared = tuple(path for path in (PAPER,) if path in files)
    for path, octets in made.items():
        if path in files and files[path] != octets and (path != PAPER or _shown(files[path]) != _shown(octets)):
            other = Message(
                "{path} does not say what the leaves say, or another version of idtone made it: read the leaves",
                path=path,
            )
            yield breach(Rule.REPORT, other)


def played_files(records: Iterable[Record]) -> dict[str, str | None]:
    """Digests and formats of the files played for each profile, if known (a pack's `played_sha256`)."""
    found: dict[str, set[str]] = {}
    for step in (step for record in records for step in record.steps):
        if step.kind is StepKind.SOUND_STARTED:
            known = " ".join(str(step.details[key]) for key in ("sha256", "format") if key in step.details)
            found.setdefault(str(step.details.get("profile")), set()).add(known)
    return {name: ", ".join(sorted(known - {""})) or None for name, known in found.items()}


def remade_report(files: Mapping[str, bytes], verdict: PackVerdict) -> Paper:
    """Recreate an evidence pack's report from its leaves and profiles.

    Raises ProofError if a profile does not belong to a played sound.
    """
    played = played_files(each.record for each in verdict.told)
    found = {path.removeprefix("profiles/").removesuffix(".json") for path in files if PROFILE.fullmatch(path)}
    profiles: dict[str, Mapping[str, Any]] = {}
    for name in [*(name for name in played if name in found), *sorted(found - played.keys())]:
        path = f"profiles/{name}.json"
        profile: dict[str, Any] = {}
        try:
            profile = json.loads(files[path])
            is_played = profile["id"] == name and name in played and profile["played_sha256"] == played[name]
        except (ValueError, KeyError, TypeError, RecursionError):
            is_played = False
        if not is_played:
            raise ProofError("{path} is not the profile of a sound that was played", path=path)
        profiles[name] = profile
    assert verdict.log
    records = [each.record for each in verdict.told]
    exported = datetime.fromisoformat(verdict.exported)
    registration, _ = log_registration(registries_of(files), verdict.log, verdict.heads, records, exported, {})
    return report(
        verdict.case,
        exported,
        verdict.told,
        profiles,
        str(verdict.log),
        verdict.basis,
        verdict.request,
        registration,
    )


def _shown(pdf: bytes) -> str:
    """Digest of a PDF's displayed content. The files differ because libraries compress pages differently."""
    streams = [_unpacked(stream) for stream in _STREAM.findall(pdf)]
    rest = _PLACES.sub(b"", _STREAM.sub(b"stream", pdf))
    return sha256(repr((streams, rest)).encode()).hexdigest()


def _unpacked(stream: bytes) -> bytes:
    try:
        return zlib.decompress(a85decode(stream.strip(), adobe=True) if stream.strip().endswith(b"~>") else stream)
    except (ValueError, zlib.error):
        return stream
