"""Public pages for online applications in Japanese and English: form, receipt and status."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from html import escape
from types import MappingProxyType
from typing import Final

from idtone.core.calls import Direction

from ..field_problem import FieldProblem
from ..public_form import (
    COMMON_PROBLEMS,
    all_wrong,
    bilingual,
    error_at,
    fault_attributes,
    hidden_trap_field,
    page,
    problem_box,
    text_field,
)
from .submission import FIELDS, Submission, SubmissionState, values_of

FORM_PATH: Final = "/application"
STATUS_PATH: Final = "/application/status"
CORRECT_PATH: Final = "/application/correct"
PROBLEMS: Final = {
    **COMMON_PROBLEMS,
    "line": ("1 行、200 字以内で書いてください。", "Write one line, at most 200 characters."),
    "id": ("会員番号を確認してください。例: m-0101", "Check the member's id, for example m-0101."),
    "day": ("日付を書いてください。例: 2026-11-20", "Write a day, for example 2026-11-20."),
    "future": ("署名日が未来の日付です。", "The day of the signature is in the future."),
    "tone": ("識別音を一覧から選んでください。", "Choose the sound from the list."),
    "directions": ("着信と発信の少なくとも一方を選んでください。", "Choose incoming, outgoing or both."),
    "nothing": ("識別音、電話番号の少なくとも一方を申し込んでください。", "Choose a sound, write numbers, or both."),
    "numbers": ("電話番号を確認してください。1 行に一つの番号か範囲を書きます。例: 03-1234-0100〜0199",
                "Check the numbers: one number or range a line, for example 03-1234-0100〜0199."),
    "sheet": ("番号の一覧を読めません。CSV 形式で、1 行に番号を一つ、または最初と最後の番号を書いてください。",
              "The table cannot be read. Save it as CSV, with a number, or a first and a last one, in each row."),
    "pledge": ("署名した誓約書を PDF で添付してください(10 MB まで)。",
               "Attach the signed pledge as a PDF file (10 MB at most)."),
    "full": ("審査を待つ申込みが多く、今は受け付けられません。しばらくしてから送ってください。",
             "Too many applications wait to be examined. Send it again later."),
    "receipt": ("その受付番号と確認番号の申込みはありません。",
                "There is no application of this receipt number and secret."),
    "over": ("この申込みは、すでに受理されたか、終了しています。訂正は協会に連絡してください。",
             "The application was received or ended already. Tell the association what is to be corrected."),
}  # fmt: skip
_TITLE: Final = ("利用許諾の申込み", "Application for a licence")
_STATES: Final[Mapping[SubmissionState, tuple[str, str]]] = {
    SubmissionState.WAITING: ("協会の確認を待っています。", "It waits for the association."),
    SubmissionState.RETURNED: ("訂正をお願いします。", "Please correct it."),
    SubmissionState.RECEIVED: ("受理しました。協会で審査しています。結果は協会から連絡します。",
                               "It is received, and the association examines it. It will tell you the result."),
    SubmissionState.DECLINED: ("受理できませんでした。", "It was declined."),
}  # fmt: skip
_PURPOSE: Final = (
    "目的: 利用許諾と番号の審査、申込者への連絡。ほかの目的には使いません。"
    "審査が済むまで、ここに書かれた内容は確認されていません。",
    "Purpose: to examine the licence and the numbers, and to reach the applicant. We use it for nothing else. Until it "
    "is examined, what is written here is not verified.",
)
_KEPT: Final = (
    "保存期間: この窓口の控えは、受理、差戻し、または終了から {days} 日後に消します。"
    "受理した申込みは、協会の記録として保存します。",
    "Retention: this desk erases its copy {days} days after the application is received, sent back or declined. The "
    "association keeps a received application among its records.",
)
_RESPONSIBLE: Final = ("責任者: {}", "Responsible: {}")
_ONCE: Final = (
    "受付番号と確認番号を控えてください。確認番号はここにしか表示されません。経過を見るときと、訂正するときに必要です。",
    "Write both down. The secret is shown only here. You need both to see the state, and to correct the application.",
)
_SEND, _CORRECT = ("申し込む", "Send the application"), ("訂正を送る", "Send the correction")
_DIRECTIONS: Final = {Direction.INCOMING: ("着信転送", "incoming"), Direction.OUTGOING: ("発信転送", "outgoing")}


def form_page(
    values: Mapping[str, str],
    tones: Sequence[tuple[str, str]],
    responsible: str,
    keep: timedelta,
    problem: str | None = None,
    wrong: Mapping[str, FieldProblem] = MappingProxyType({}),
    receipt: tuple[str, str] | None = None,
) -> str:
    """Page with the application form, filled with the applicant's earlier entries.

    `tones` holds the ids and titles of the sounds. With a `receipt` (number and secret), the form corrects a
    submission.
    """
    problem = problem or next((each.problem for name, each in wrong.items() if name not in FIELDS), None)
    return page(
        _TITLE,
        (problem_box(PROBLEMS, problem) if problem else "")
        + all_wrong(PROBLEMS, {name: wrong[name] for name in FIELDS if name in wrong})
        + f"<p>{bilingual(*_PURPOSE)}</p>"
        + f"<p>{bilingual(*(each.format(days=keep.days) for each in _KEPT))}</p>"
        + f"<p>{bilingual(*(each.format(escape(responsible)) for each in _RESPONSIBLE))}</p>"
        + _form(values, tones, wrong, receipt)
        + f'<p><a href="{STATUS_PATH}">{bilingual("経過を見る・訂正する", "See the state, or correct it")}</a></p>',
    )


def _form(
    values: Mapping[str, str],
    tones: Sequence[tuple[str, str]],
    wrong: Mapping[str, FieldProblem],
    receipt: tuple[str, str] | None,
) -> str:
    wrong = {name: wrong[name] for name in FIELDS if name in wrong}

    def text(name: str, japanese: str, english: str, kind: str = "text", *, required: bool = True) -> str:
        value = escape(values.get(name, ""))
        return text_field(PROBLEMS, name, (japanese, english), value, kind, wrong, required=required)

    def file(name: str, japanese: str, english: str, kinds: str, *, required: bool) -> str:
        return text_field(
            PROBLEMS, name, (japanese, english), "", "file", wrong, required=required, more=f' accept="{kinds}"'
        )

    options = '<option value=""></option>' + "".join(
        f'<option value="{escape(id_)}"{" selected" * (values.get("tone") == id_)}>{escape(title)}</option>'
        for id_, title in tones
    )
    directions = "".join(
        f'<label><input type="checkbox" name="{each.value}" value="yes"{" checked" * bool(values.get(each.value))}'
        f"{fault_attributes(each.value, wrong)}> {bilingual(*words)}{error_at(PROBLEMS, each.value, wrong)}</label>"
        for each, words in _DIRECTIONS.items()
    )
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">'
        for name, value in zip(("receipt", "secret"), receipt or (), strict=False)
    )
    return (
        f'<form method="post" action="{CORRECT_PATH if receipt else FORM_PATH}" enctype="multipart/form-data">{hidden}'
        + f"<fieldset><legend>{bilingual('申込者', 'Applicant')}</legend>"
        + text("name_ja", "事業者名(日本語)", "Name in Japanese")
        + text("name_en", "事業者名(英語)", "Name in English")
        + text("member", "会員番号(会員の場合)", "Member's id, if you are a member", required=False)
        + text("person", "担当者の氏名", "Person to talk to")
        + text("contact", "連絡先(メールアドレスなど)", "How to reach this person")
        + "</fieldset>"
        + f"<fieldset><legend>{bilingual('誓約', 'Pledge')}</legend>"
        + text("signed", "署名日", "Signed on", "date")
        + text("signatory", "署名者(役職、氏名)", "Signed by")
        + text("document", "誓約書の版", "Version of the text", required=False)
        + file("pledge", "署名した誓約書(PDF、10 MB まで)", "The signed pledge (PDF, 10 MB at most)",
               ".pdf,application/pdf", required=receipt is None)
        + "</fieldset>"
        + f"<fieldset><legend>{bilingual('申込みの内容', 'What you apply for')}</legend>"
        + f"<label>{bilingual('識別音', 'Sound')}"
        + f"<select name=\"tone\"{fault_attributes('tone', wrong)}>{options}</select>"
        + f"{error_at(PROBLEMS, 'tone', wrong)}</label>"
        + directions
        + f"<label>{bilingual('電話番号(1 行に一つの番号か範囲)', 'Numbers (one number or range a line)')}"
        + f'<textarea name="numbers" rows="6"{fault_attributes("numbers", wrong)}>'
        + f"{escape(values.get('numbers', ''))}</textarea>{error_at(PROBLEMS, 'numbers', wrong)}</label>"
        + file("sheet", "または番号の一覧(Excel で保存した CSV)", "Or a table of numbers (CSV, as Excel saves it)",
               ".csv,text/csv", required=False)
        + text("remark", "備考", "Remark", required=False)
        + "</fieldset>"
        + hidden_trap_field()
        + f"<button>{bilingual(*(_CORRECT if receipt else _SEND))}</button>"
        + "</form>"
    )  # fmt: skip


def problem_page(problem: str) -> str:
    """Page shown when the desk cannot offer the form. `problem` is a key of `PROBLEMS`."""
    return page(_TITLE, problem_box(PROBLEMS, problem))


def receipt_page(number: str, secret: str) -> str:
    """Page with a submission's receipt number and secret. No other page shows the secret."""
    return page(
        ("申込みを受け付けました", "Your application was accepted"),
        f'<p>{bilingual("受付番号", "Receipt number")}</p><p class="receipt" id="number">{escape(number)}</p>'
        + f'<p>{bilingual("確認番号", "Secret")}</p><p class="receipt" id="secret">{escape(secret)}</p>'
        + f"<p>{bilingual(*_ONCE)}</p>"
        + f'<p><a href="{STATUS_PATH}">{bilingual("経過を見る・訂正する", "See the state, or correct it")}</a></p>',
    )


def corrected_page(number: str) -> str:
    """Page confirming that a submission was corrected."""
    return page(("訂正を受け付けました", "Your correction was accepted"), f'<p class="receipt">{escape(number)}</p>')


def status_page(problem: str | None = None) -> str:
    """Page that asks for a submission's receipt number and secret."""
    return page(
        ("申込みの経過", "The state of an application"),
        (problem_box(PROBLEMS, problem) if problem else "")
        + f'<form method="post" action="{STATUS_PATH}">'
        + text_field(PROBLEMS, "receipt", ("受付番号", "Receipt number"), "")
        + text_field(PROBLEMS, "secret", ("確認番号", "Secret"), "")
        + f"<button>{bilingual('見る', 'Show')}</button></form>",
    )


def state_page(submission: Submission, secret: str, tones: Sequence[tuple[str, str]]) -> str:
    """Page with an application's status, and a form for corrections while the application is open."""
    note = f'<p class="problem">{escape(submission.note)}</p>' if submission.note else ""
    form = _form(values_of(submission.handed), tones, {}, (submission.id, secret)) if submission.is_open else ""
    told = f'<p class="receipt">{submission.id}</p><p>{bilingual(*_STATES[submission.state])}</p>'
    return page(("申込みの経過", "The state of an application"), told + note + form)
