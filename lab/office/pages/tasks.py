"""The tasks of an office's year, as people do them in a browser."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from idtone.office.papers.period_account import fiscal_year_days

from .browser_user import UnexpectedPage
from .page_office import CLERK, OFFICER, SECOND, PageOffice
from .persons_and_days import (
    APPLICANT,
    APPLICANT_ID,
    RESELLER,
    SCAN,
    SHEET,
    SHEET_NUMBERS,
    STOPPED,
    WHOLESALER,
    iso_day,
    iso_minute,
    tone_master,
    witness_key,
)


@dataclass(frozen=True)
class Task:
    """A task on pages. `by_command.BY_COMMAND` has the same task by commands."""

    name: str
    title: tuple[str, str]
    act: Callable[[PageOffice], object]


def _application(office: PageOffice, member: str, names: tuple[str, str], numbers: str, **changed: str) -> None:
    hands = office.at(CLERK)
    hands.menu("/office/applications")
    hands.click("main a[href='/office/new-application']")
    hands.act(
        "/office/new-application",
        {
            "member": member, "name_ja": names[0], "name_en": names[1], "identity_1": "登記事項証明書",
            "checked_1": iso_day(-1), "by_1": "Suzuki", "signed": iso_day(-2), "signatory": "代表取締役",
            "document": "2", "until": iso_day(364), "file": office.file("pledge.pdf", SCAN + member.encode()),
            "tone": "standard-2026",
            "incoming": "yes", "outgoing": "yes", "numbers": numbers, **changed,
        },
    )  # fmt: skip
    hands.expect("Done.", "to be reviewed")


def hand_in(office: PageOffice) -> None:
    """Fill in the desk's public form, as an applicant without an account does."""
    hands = office.hands
    hands.open(f"{office.site.address}/application")
    hands.send(
        "form[action='/application']",
        {
            "name_ja": APPLICANT[0], "name_en": APPLICANT[1], "person": "総務部 見本", "contact": "info@example.jp",
            "signed": iso_day(-2), "signatory": "代表取締役", "document": "2",
            "pledge": office.file("pledge.pdf", SCAN + b"applicant"), "tone": "standard-2026", "incoming": "yes",
            "numbers": "0332345600〜0332345609",
        },
    )  # fmt: skip
    hands.expect("Your application was accepted")


def take(office: PageOffice) -> None:
    hands = office.at(CLERK)
    hands.menu("/office/applications")
    hands.click("main td a[href^='/office/submissions/W-']")
    hands.expect("Nothing in it is verified")
    hands.click("main a[href^='/office/new-application?submission=W-']")
    hands.act(
        "/office/new-application",
        {
            "member": APPLICANT_ID,
            "identity_1": "登記事項証明書",
            "checked_1": iso_day(-1),
            "by_1": "Suzuki",
            "until": iso_day(364),
        },
    )
    hands.expect("Done.", "typed by the applicant", "to be reviewed")


def criteria(office: PageOffice) -> None:
    hands = office.at(CLERK)
    hands.menu("/office/evaluations/criteria")
    hands.act(
        "/office/evaluations/criteria",
        {"list": "https://association.test/operators/", "witnesses": witness_key(), "why": "decided"},
    )
    hands.expect("Done.", "Version 1")


def observe(office: PageOffice) -> None:
    hands = office.at(CLERK)
    hands.menu("/office/evaluations/observations")
    enter = "/office/evaluations/observations/enter"
    hands.act(f"{enter}/contact", {"member": WHOLESALER, "day": iso_day(-1), "result": "good"})
    hands.act(f"{enter}/form", {"member": WHOLESALER, "day": iso_day(-1), "result": "good"})
    points = {"member": WHOLESALER, "what": "外部評価者 甲", "day": iso_day(-1), "points": "9"}
    hands.act(f"{enter}/assessor", points)
    hands.expect("Done.", "9 of 10 points")


def _review(office: PageOffice, number: int, result: str, why: str) -> None:
    hands, path = office.at(CLERK), f"/office/applications/{_id(number)}"
    hands.menu("/office/applications")
    hands.click(f"main a[href='{path}']")
    hands.act(f"{path}/review", {"result": result, "why": why})
    hands.expect("Done.")


def _grant(office: PageOffice, number: int) -> None:
    hands, path = office.at(CLERK), f"/office/applications/{_id(number)}"
    hands.menu("/office/applications")
    hands.click(f"main a[href='{path}']")
    hands.act(f"{path}/grant", {"until": iso_day(365)})
    hands.expect("Done.", "granted")


def _id(number: int) -> str:
    return f"A-{iso_day()[:4]}-{number:04}"


def tone(office: PageOffice) -> None:
    hands = office.at(CLERK)
    hands.menu("/office/tones")
    wav = office.file("standard.wav", tone_master())
    hands.act("/office/tones", {"tone": "standard-2026", "title": "協会標準識別音", "file": wav, "why": "decided"})
    hands.expect("Done.", "standard-2026")


def first_application(office: PageOffice) -> None:
    _application(office, WHOLESALER, ("見本電話株式会社", "Sample Telecom"), "03-6234-5600〜5699")


def second_application(office: PageOffice) -> None:
    _application(office, RESELLER, ("港見本電話株式会社", "Harbour Sample Telecom"), "0462345600〜0462345699")


def again(office: PageOffice) -> None:
    hands, path = office.at(CLERK), f"/office/applications/{_id(2)}"
    hands.menu("/office/applications")
    if _id(2) not in hands.expect():
        hands.click("main a[href='/office/applications?all=1']")
    hands.click(f"main a[href='{path}']")
    hands.act(f"{path}/review", {"result": "passed", "why": "the certificate has come"})
    hands.act(f"{path}/grant", {"until": iso_day(365)})
    hands.expect("granted")


def _member(office: PageOffice, member: str = WHOLESALER) -> str:
    hands = office.at(CLERK)
    hands.menu("/office/members")
    hands.click(f"main a[href='/office/members/{member}']")
    return f"/office/members/{member}"


def numbers(office: PageOffice) -> None:
    page = _member(office)
    file = office.file("numbers.csv", SHEET.encode("cp932"))
    order = {"file": file, "act": "assign", "why": "as ordered"}
    office.hands.act(f"{page}/sheet", order)
    office.hands.expect("nothing is changed yet", f"write {SHEET_NUMBERS} as the count")
    office.hands.act(f"{page}/sheet", {**order, "count": str(SHEET_NUMBERS)})
    office.hands.expect("Done.", "210 in")


def certify(office: PageOffice) -> None:
    page = _member(office)
    office.hands.act(
        f"{page}/certify",
        {
            "number": "N-7",
            "document": "認定通知書 2026-7",
            "until": iso_day(700),
            "next_check": iso_day(300),
            "why": "seen",
        },
    )
    office.hands.expect("Done.", "N-7")


def describe(office: PageOffice) -> None:
    page = _member(office)
    office.hands.act(
        f"{page}/describe",
        {
            "corporate_number": "8700110005901",
            "notification": "A-30-12345",
            "web": "https://www.example.jp/contact",
            "mail": "info@example.jp",
            "why": "as they wrote",
        },
    )
    office.hands.expect("8700110005901")


def agree(office: PageOffice) -> None:
    hands = office.at(CLERK)
    hands.menu("/office/agreements")
    hands.act(
        "/office/agreements/record",
        {"member": WHOLESALER, "agreement": "suspension-scheme", "version": "2026", "document": "参加届"},
    )
    hands.expect("Done.", "takes part in the suspension of numbers")


def chain(office: PageOffice) -> None:
    hands = office.at(CLERK)
    hands.menu("/office/chains")
    hands.act(
        "/office/chains/add",
        {"numbers": "0362345600-0362345609", "wholesaler": WHOLESALER, "reseller": RESELLER, "checked": iso_day(-1),
         "document": "卸先確認書", "why": "as reported"},
    )  # fmt: skip
    hands.expect("Done.", "checked")


def certify_reseller(office: PageOffice) -> None:
    hands = office.at(CLERK)
    hands.menu("/office/chains")
    hands.act(
        "/office/chains/certify",
        {"numbers": "0362345600-0362345609", "reseller": RESELLER, "number": "N-9", "document": "認定通知書 2026-9",
         "until": iso_day(700), "next_check": iso_day(300), "why": "seen"},
    )  # fmt: skip
    hands.expect("Done.", "next check")


def undo(office: PageOffice) -> None:
    page = _member(office)
    office.hands.act(f"{page}/status", {"licence": "L-0001", "status": "suspend-licence", "why": "the wrong member"})
    office.hands.expect("suspended")
    office.hands.menu("/office/publication")
    office.hands.act("/office/publication/undo", {"why": "the wrong member"})
    office.hands.expect("Done.")


def _publish(office: PageOffice, kind: str, holders: Sequence[tuple[str, str]]) -> None:
    """Prepare a package, let each holder sign it at `idtone-sign`, and upload each signed copy.

    The last copy publishes. Raises UnexpectedPage if the package still waits.
    """
    hands = office.at(CLERK)
    hands.menu("/office/publication")
    hands.click(f"main form[action='/office/publication/prepare'] button[value='{kind}']")
    package = hands.download(f"main a[href='/office/publication/package.zip?keys={kind}']")
    for user, key in holders:
        package = office.sign(package, key)
        hands = office.at(user)
        hands.menu("/office/publication")
        hands.act("/office/publication/signed", {"file": str(package)})
        hands.expect("Done.")
    if "No package waits." not in hands.expect():
        raise UnexpectedPage("the package still waits")


def publish(office: PageOffice) -> None:
    holders = ("registry-1", "registry-3", "duty-1", "duty-2")
    _publish(office, "all", [(CLERK, key) for key in holders])


def certificate(office: PageOffice) -> Path:
    hands = office.at(CLERK)
    hands.menu("/office/papers")
    return _pdf(
        hands.print_form(
            "/office/papers/certificate",
            {"licence": f"{WHOLESALER} L-0001", "person": "事務局長 見本", "number": "2026-1"},
        )
    )


def report(office: PageOffice) -> None:
    hands = office.at(OFFICER)
    hands.menu("/office/reports")
    hands.click("main a[href='/office/reports/new']")
    hands.act(
        "/office/reports/new",
        {
            "by": "telephone",
            "number": "0362345678",
            "date": iso_day(-1),
            "time": "10:15",
            "what": "銀行員を名乗る男",
        },
    )
    if not re.search(r"[0-9A-Z]{5}(-[0-9A-Z]{5}){3}", hands.expect("The report is entered.")):
        raise UnexpectedPage("no receipt is shown")


def close_report(office: PageOffice) -> None:
    hands = office.at(OFFICER)
    hands.menu("/office/reports")
    hands.click("main td a[href^='/office/reports/R-']")
    hands.send("main form[action$='/close']", {"result": "open", "why": "the member has no such call"})
    hands.expect("Done.")


def refuse(office: PageOffice) -> None:
    hands = office.at(OFFICER)
    hands.menu("/office/refusals")
    hands.act(
        "/office/refusals/add",
        {"kind": "company", "name": "見本商事株式会社", "corporate_number": "8000000000001",
         "address": "東京都見本区見本町1-2-3", "reference": "K-7", "until": iso_day(365), "why": "numbers were stopped",
         "file": str(office.keys / "refusals.pem"), "passphrase": office.phrase},
    )  # fmt: skip
    hands.expect("Done.", "K-7")


def stop(office: PageOffice) -> None:
    hands = office.at(OFFICER)
    hands.menu("/office/suspensions")
    hands.send(
        "main details:first-of-type form[action='/office/suspensions/request']",
        {"action": "suspend-number", "entered": STOPPED, "reference": "R-1", "requested": iso_minute(-5)},
    )
    hands.expect("Done.")
    hands = office.at(SECOND)
    hands.menu("/office/suspensions")
    hands.act("/office/suspensions/approve", {"entered": STOPPED})
    hands.expect("Done.", "approved")


def publish_stop(office: PageOffice) -> None:
    _publish(office, "duty", [(OFFICER, "duty-1"), (SECOND, "duty-2")])
    office.hands.menu("/office/suspensions")
    office.hands.expect("R-1", "published")


def notify(office: PageOffice) -> Path:
    hands = office.at(CLERK)
    hands.menu("/office/papers")
    fields = {"member": WHOLESALER, "which": "stopped", "person": "事務局長 見本", "number": "2026-2"}
    return _pdf(hands.print_form("/office/papers/letter", fields))


def lift(office: PageOffice) -> None:
    hands = office.at(OFFICER)
    hands.menu("/office/suspensions")
    form = "main details:nth-of-type(2) form[action='/office/suspensions/request']"
    hands.send(form, {"action": "lift", "entered": STOPPED, "why": "the police ask for it"})
    hands = office.at(SECOND)
    hands.menu("/office/suspensions")
    hands.act("/office/suspensions/approve", {"entered": STOPPED})
    hands.expect("Done.")


def renew(office: PageOffice) -> None:
    page = _member(office)
    office.hands.act(f"{page}/renew", {"licence": "L-0001", "until": iso_day(730), "why": "as applied for"})
    office.hands.expect("Done.")


def prolong(office: PageOffice) -> None:
    hands = office.at(CLERK)
    hands.menu("/office/publication")
    hands.act("/office/publication/prolong", {"until": iso_day(720), "why": "a year more"})
    hands.expect("Done.")


def publish_again(office: PageOffice) -> None:
    _publish(office, "all", [(CLERK, key) for key in ("registry-2", "registry-3", "duty-3", "duty-4")])


def account(office: PageOffice) -> Path:
    hands = office.at(CLERK)
    hands.menu("/office/papers")
    today = iso_day()
    since, through = fiscal_year_days(int(today[:4]) - (today[5:7] < "04"))
    hands.click(f"main a[href='/office/papers?since={since}&through={through}']")
    hands.expect("許諾の更新 / licence renewed", "R-1")
    hands.download("main a[href^='/office/papers/acts.csv']")
    return _pdf(hands.download("main a[href^='/office/papers/account.pdf']"))


def list_for_companies(office: PageOffice) -> None:
    hands = office.at(CLERK)
    hands.open(f"{office.site.address}/public/operators?lang=en")
    hands.expect("Sample Telecom", "8700110005901")
    table = hands.download("main a[href='/public/operators/table.csv']").read_text("utf-8-sig")
    if "A-30-12345" not in table or STOPPED in table:
        raise UnexpectedPage(f"the table is {table}")


def _pdf(path: Path) -> Path:
    if path.read_bytes()[:5] != b"%PDF-":
        raise UnexpectedPage(f"{path.name} is no PDF")
    return path


TASKS: Final = (
    Task("tone", ("Register the sound and its master", "音を原盤とともに登録"), tone),
    Task("application", ("Receive a paper application", "書面の申込みを受け付ける"), first_application),
    Task(
        "passed", ("Examine the application", "審査する"),
        lambda office: _review(office, 1, "passed", "documents agree"),
    ),
    Task("grant", ("Grant the licence", "許諾する"), lambda office: _grant(office, 1)),
    Task("second", ("Receive a second paper application", "別の申込みを受け付ける"), second_application),
    Task(
        "refused", ("Refuse the second application", "不可とする"),
        lambda office: _review(office, 2, "refused", "a certificate is missing"),
    ),
    Task("again", ("Examine the second application again, and grant the licence", "再審査して許諾する"), again),
    Task("numbers", ("Assign numbers from an Excel table", "Excel の一覧から番号を割り当てる"), numbers),
    Task("certify", ("Record a certification and the date of its next check", "認定と次回確認を記録"), certify),
    Task("describe", ("Record a member's details for the public list", "公開リストの記載を記録"), describe),
    Task("agree", ("Record that a member takes part in suspensions", "番号停止への参加を記録"), agree),
    Task("chain", ("Record a wholesale link and the check of the reseller", "卸と卸先の確認を記録"), chain),
    Task("certify-reseller", ("Record a reseller's certification", "卸先の認定を記録"), certify_reseller),
    Task("undo", ("Undo a mistaken change", "誤った変更を取り消す"), undo),
    Task("publish", ("Publish with the signatures of four holders", "4 人の署名で公開"), publish),
    Task("hand-in", ("An applicant applies online", "申込者がウェブで申し込む"), hand_in),
    Task("take", ("Receive the online application after the identity check", "本人確認をして受け付ける"), take),
    Task("certificate", ("Print a certificate", "利用許諾証を印刷"), certificate),
    Task("report", ("Take a report by telephone", "電話の申告を受け付ける"), report),
    Task("close-report", ("Close the report", "申告を終了する"), close_report),
    Task("refuse", ("Refuse a contractor", "契約者を拒否する"), refuse),
    Task("stop", ("Two officers suspend a number", "当直者 2 人が番号を停止"), stop),
    Task("publish-stop", ("Publish the suspension with the duty keys", "当直の鍵で公開"), publish_stop),
    Task("notify", ("Notify the member", "会員に通知する"), notify),
    Task("lift", ("Two officers lift the suspension", "当直者 2 人が停止を解除"), lift),
    Task("renew", ("Renew a licence", "許諾を更新する"), renew),
    Task("prolong", ("Extend the registry", "登録簿の期限を延ばす"), prolong),
    Task("publish-again", ("Publish with the signatures of four holders", "4 人の署名で公開"), publish_again),
    Task("criteria", ("Enter the criteria of the evaluation", "評価基準を登録する"), criteria),
    Task("observe", ("Record the office's observations of a member", "会員の観察記録を登録する"), observe),
    Task("account", ("Make the annual report (CSV and PDF)", "年次報告を作る(CSV と PDF)"), account),
    Task("list", ("Download the public list as a table", "公開リストを表で得る"), list_for_companies),
)  # fmt: skip
