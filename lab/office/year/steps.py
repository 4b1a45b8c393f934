"""The steps of the year in order, as a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .calls_and_reports import disclose, report, stop
from .customers import hop, keep_form
from .flow_picture import Rows
from .member_onboarding import admit, begin, pledge, resell, sign_on
from .office_year import OfficeYear
from .year_end import evaluate, verify


@dataclass(frozen=True)
class Step:
    """A step of the year.

    `act` returns a result, which must contain `expected`, and the boxes of the picture. The boxes are empty if `act`
    has written the picture itself. `told` is a text in both languages, with placeholders for the result. `picture` is
    the suffix of the picture's file name.
    """

    name: str
    title: tuple[str, str]
    act: Callable[[OfficeYear, Path], tuple[Mapping[str, Any], Rows]]
    expected: Mapping[str, Any]
    told: tuple[str, str]
    picture: str


STEPS: Final = (
    Step(
        "office", ("The office begins", "事務局の開始"), begin, {"keys": 10, "signed": 7},
        ("{keys} keys in three sets; the first edition is signed",
         "3 組 {keys} 個の鍵を作成し、最初の版に署名"), "svg",
    ),
    Step(
        "members", ("Two members apply", "会員 2 社の申請"), admit,
        {"A-1": "granted", "A-2": "refused", "A-3": "granted", "licensed": 2},
        ("one is granted, the other refused; it applies again and is granted; {licensed} stand in the public list",
         "1 社を許諾、1 社は不可の後に再申請して許諾。公開リストに {licensed} 社を掲載"), "svg",
    ),
    Step(
        "pledge", ("The members sign the pledge", "会員の誓約"), pledge, {"pledges": 2},
        ("{pledges} pledges, each with the SHA-256 of its text",
         "誓約 {pledges} 件を、誓約書の SHA-256 とともに記録"), "svg",
    ),
    Step(
        "chain", ("A number goes to a reseller", "番号の卸"), resell,
        {"before": "chain-unchecked", "after": "licence-valid", "drawn": True},
        ("before the reseller is checked, its calls get {before}; after the check, {after}",
         "卸先の確認前の通話は {before}、確認後は {after}"), "svg",
    ),
    Step(
        "form", ("A customer's form", "利用者の申込書"), keep_form,
        {"fault": "application.customer.address", "numbers": 2, "state": "in-force", "paper": "%PDF"},
        ("a gap was found ({fault}); the form was printed, signed and recorded",
         "不備({fault})を指摘。補正後に印刷し、記録"), "pdf",
    ),
    Step(
        "nodes", ("The members' nodes sign on", "会員のノードの登録"), sign_on,
        {"trust": "signed", "same": True},
        ("the registry names their keys; both have verified its version {version}",
         "登録簿に鍵を記載。両ノードが版 {version} を検証"), "svg",
    ),
    Step(
        "report", ("Somebody reports a call", "通話の申告"), report,
        {"outcome": "PLAY", "answers": "upstream, customer-held", "delivery": "sent", "visitor": True},
        ("the members answered: {answers}; the sound was heard, as the ledger shows",
         "会員の回答: {answers}。台帳によれば識別音は聞こえていた"), "svg",
    ),
    Step(
        "stop", ("The police stop a number and a range", "警察からの番号停止の要請"), stop,
        {"stopped": "REFUSE", "in_range": "REFUSE", "other": "PLAY", "confirmed": [True, False]},
        ("entered by two people, signed by two keys: their calls get {stopped}, another one {other}; one node has "
         "confirmed, the other is seen to be late",
         "2 人が入力し、二つの鍵で署名。停止番号の通話は {stopped}、別の番号は {other}。"
         "一方のノードは確認済み、もう一方は未確認と分かる"), "svg",
    ),
    Step(
        "contractor", ("A refused contractor hops to the other member", "事業者渡りの発見"), hop,
        {"caught": True, "honest": False},
        ("it is recognised under another spelling ({reference}); another customer is not",
         "表記を変えても該当と分かる({reference})。別の利用者は該当しない"), "svg",
    ),
    Step(
        "evaluation", ("The members are evaluated", "優良事業者評価"), evaluate,
        {"grade": "excellent", "without": None, "badge": True, "forged": False},
        ("one is {grade}, with a badge that anyone can verify; the other has too few calls for a grade",
         "1 社の等級は {grade} で、標章は誰でも検証できる。もう 1 社は通話数が足りず等級なし"), "png",
    ),
    Step(
        "disclosures", ("Evidence is given out, and listed", "証跡の提出と一年の一覧"), disclose,
        {"bases": ["association", "warrant"], "signed_for": [False, True], "genuine": True, "paper": "%PDF"},
        ("on a warrant, and signed for; the index of the year has it beside the pack kept for the association",
         "令状により提出し、受領書を受領。一年の一覧に、協会の照会に備えた保管とともに記載"), "pdf",
    ),
    Step(
        "verify", ("Everything is verified", "全記録の検証"), verify,
        {"faults": 0, "listed": 2},
        ("three ledgers without a fault, {history} acts in the signed history; a stranger verifies the public list, "
         "and is not deceived by a changed one",
         "3 つの台帳に不整合なし。署名付き履歴 {history} 件。第三者が公開リストを検証でき、改変は見破られる"), "svg",
    ),
)  # fmt: skip
