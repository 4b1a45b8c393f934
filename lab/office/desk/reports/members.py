"""An office's folder with a report desk, members that have keys, and the members' documents."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from idtone.core.signed_notes import Signer
from idtone.member.reports.report import Report, ServiceReport
from idtone.member.reports.report_documents import (
    ANSWER,
    FETCH,
    REPORT,
    Request,
    Requests,
    SealedReport,
    read_content,
    sealed_report,
)
from idtone.member.reports.sealed_box import Purpose, open_box
from idtone.office.desk.document_desk import DocumentDesk
from idtone.office.desk.document_kinds import RULES
from idtone.office.desk.reports.desk_key import OFFICER_FILE, make_officer_key, officer_public
from idtone.office.desk.reports.report_desk import ReportDesk
from idtone.registry.correspondence.signed_document import sign_document
from lab.registry.examples import GOOD, with_keys

NOW = datetime.now(UTC)
AT = NOW - timedelta(days=10)
NUMBER, ELSEWHERE = "0312345678", "0399999999"
"""A number of m-0001, and a number that no member holds."""
NAME, CONTACT, WORDS = "申告 花子", "hanako@mail.example", "銀行員を名乗る男に口座を聞かれた"
PHRASE = "of the officer"
RECEIPT = "ABCDE-FGHJK-MNPQR-STVWX"
SIGNERS = {f"m-000{n}": Signer(f"m-000{n}/pbx-1", bytes([n]) * 32) for n in (1, 2, 3)}
OFFICERS = "officer.pem"
SERVICE = "うその電話サービス"


def authority(folder: Path) -> Path:
    """Create the folder of an office with three members. The report officer's key is beside the folder."""
    folder.mkdir()
    text = GOOD.partition("suspensions:")[0]
    text += '  - id: m-0003\n    name: {ja: 三番電話, en: Third Telecom}\n    numbers: ["0312340003"]\n'
    keys = {f"m{member[-1]}": [signer.key] for member, signer in SIGNERS.items()}
    (folder / "registry.yaml").write_text(with_keys(text, **keys))
    make_officer_key(folder.with_name(OFFICERS), folder / OFFICER_FILE, PHRASE)
    return folder


def report(number: str = NUMBER, named: bool = True, disclose: bool = False) -> Report:
    reporter = {"name": NAME, "contact": CONTACT, "disclose": disclose} if named else None
    return Report.model_validate({"number": number, "at": AT, "what": WORDS, "reporter": reporter})


def service_report() -> ServiceReport:
    """A report about a service, without a call and without the reporter's name."""
    return ServiceReport.model_validate({"service": SERVICE, "what": WORDS})


class Members:
    """Acts of the members at one desk."""

    def __init__(self, folder: Path) -> None:
        self.desk = DocumentDesk(folder, RULES)
        self.reports = ReportDesk(self.desk)

    def sealed(self, one: Report | ServiceReport, receipt: str = RECEIPT) -> SealedReport:
        return sealed_report(one, receipt, self.reports.key.public, officer_public(self.desk.folder))

    def document(self, kind: str, content: Mapping[str, Any], member: str, signer: str | None = None) -> bytes:
        return sign_document(kind, member, content, SIGNERS[signer or member], NOW)

    def report(self, one: Report | ServiceReport | None = None, receipt: str = RECEIPT, member: str = "m-0002") -> str:
        """Send a report and return its id."""
        octets = self.document(REPORT, self.sealed(one or report(), receipt).model_dump(), member)
        return str(self.desk.accept(octets, NOW)["report"])

    def fetch(self, member: str, request: str | None = None) -> list[Request]:
        """The desk's requests to a member, or only the request with this id."""
        key = X25519PrivateKey.generate()
        to = base64.b64encode(key.public_key().public_bytes_raw()).decode()
        answer = self.desk.accept(self.document(FETCH, {"to": to, "request": request}, member), NOW)
        return list(read_content(Requests, open_box(answer["requests"], key, Purpose.REQUESTS, to)).requests)

    def answer(self, member: str, request: str, result: str = "not-ours", **more: Any) -> bytes:
        """The member's signed answer to a request."""
        return self.document(ANSWER, {"request": request, "result": result, "found": {"calls": 0}, **more}, member)

    def answered(self, member: str, result: str = "not-ours", **more: Any) -> None:
        """Answer the only request to a member."""
        [request] = self.fetch(member)
        self.desk.accept(self.answer(member, request.id, result, **more), NOW)
