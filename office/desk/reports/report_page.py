"""The report desk's public pages in Japanese and English, as plain HTML without scripts."""

from collections.abc import Mapping
from html import escape
from types import MappingProxyType
from typing import Final

from ..field_problem import FieldProblem
from ..public_form import (
    COMMON_PROBLEMS,
    MUST,
    all_wrong,
    bilingual,
    error_at,
    fault_attributes,
    hidden_trap_field,
    page,
    problem_box,
    text_field,
)
from .call_traceback import ReportResult, Stage
from .report_store import KeptReport

FORM_PATH: Final = "/report"
SERVICE_PATH: Final = "/report/service"
STATUS_PATH: Final = "/report/status"
WITHIN: Final = {
    "10": ("10 分以内", "within 10 minutes"),
    "60": ("1 時間以内", "within an hour"),
    "1440": ("1 日以内", "within a day"),
    "10080": ("1 週間以内", "within a week"),
}
"""Japanese and English texts for the precision of the time, by number of minutes."""
PROBLEMS: Final = {
    **COMMON_PROBLEMS,
    "number": ("電話番号を確認してください。例: 0312345678", "Check the telephone number, for example 0312345678."),
    "at": ("日付と時刻を確認してください。", "Check the date and the time."),
    "service": (
        "事業者またはサービスの名前だけを 1 行で書いてください。電話番号は下の欄に書いてください。",
        "Write only the name of the operator or the service, in one line; a telephone number belongs below.",
    ),
    "within_minutes": ("時刻の確かさを選んでください。", "Choose how sure the time is."),
    "what": ("何があったかを 4000 字以内で書いてください。", "Write what happened, in at most 4000 characters."),
    "attachments": ("この窓口ではファイルを受け付けません。お手元で保管してください。",
                    "This page takes no files. Keep them yourself."),
    "reporter": (
        "お名前と連絡先は、両方書くか、両方空けてください。",
        "Fill in both your name and how to reach you, or neither.",
    ),
    "receipt": ("その受付番号の申告はありません。", "There is no report of this receipt number."),
}  # fmt: skip
"""Japanese and English texts for problems with the form and its fields."""


FIELDS: Final = ("number", "service", "date", "time", "within_minutes", "what", "name", "contact")
"""Field names in the order of the forms."""
_STATES: Final[Mapping[object, tuple[str, str]]] = {
    Stage.MEMBER: ("事業者に照会しています。", "An operator is being asked."),
    Stage.OFFICE: ("協会で確認しています。", "The association is examining it."),
    ReportResult.TRACED: ("調査が終わりました。発信元の事業者が分かりました。", "Closed: the operator was found."),
    ReportResult.OPEN: ("調査が終わりました。発信元は分かりませんでした。", "Closed: the origin was not found."),
    ReportResult.EXAMINED: (
        "調査が終わりました。申告の内容は協会で確認しました。",
        "Closed: the association has examined it.",
    ),
    ReportResult.UNFOUNDED: (
        "調査が終わりました。該当する問題はありませんでした。",
        "Closed: nothing wrong was found.",
    ),
}
_PROMISE: Final = (
    "どなたでも申告できます。不確かな情報でも構いません。申告者が誰であるかは、下の欄で同意された場合を除き、当協会から開示しません。"
    "ただし、裁判官の令状など、法令によって開示しなければならない場合を除きます。個々の申告は公表しません。個人が分からない統計を"
    "公表することがあります。",
    "Anyone can report a call, even without being certain. We do not disclose who made a report unless you consent "
    "below, or a law demands it, for example by a judge's warrant. We do not publish individual reports. We may "
    "publish statistics that identify no one.",
)
_PURPOSE: Final = (
    "目的: 電話の不正な利用を調べて防ぐこと、関係する事業者に照会すること、統計を作ること。ほかの目的には使いません。",
    "Purpose: to examine and prevent the misuse of telephones, to ask the operators concerned, and to make statistics. "
    "We use a report for nothing else.",
)
_RESPONSIBLE: Final = ("責任者: {}", "Responsible: {}")
_OTHER: Final = {
    SERVICE_PATH: ("電話ではなく、事業者やサービスについて申告する", "Report an operator or a service, without a call"),
    FORM_PATH: ("かかってきた電話について申告する", "Report a call"),
}
"""Japanese and English texts of the links between the two forms."""
_ONCE: Final = (
    "この受付番号を控えてください。ここにしか表示されません。",
    "Write this receipt number down. It is shown only here.",
)
_KEPT: Final = (
    "録音などのファイルは、ここでは受け付けません。お手元で保管し、ある場合はその旨を上に書いてください。",
    "This page takes no files. If you have a recording, keep it, and say so above.",
)


def form_page(
    values: Mapping[str, str],
    with_reporter: bool,
    responsible: str,
    problem: str | None = None,
    wrong: Mapping[str, FieldProblem] = MappingProxyType({}),
    *,
    about_service: bool = False,
) -> str:
    """Page with the report form, filled with the visitor's earlier entries.

    `problem` is a key of `PROBLEMS`. `wrong` contains the field errors by name. The page lists all of them and shows
    each one at its field. An error in a field that the form lacks is shown as the form's problem. `responsible` is the
    body responsible for the reports. With `about_service`, the form asks about an operator or a service instead of a
    call. With `with_reporter`, it also asks for the reporter's identity.
    """
    problem = problem or next((each.problem for name, each in wrong.items() if name not in FIELDS), None)
    wrong = {name: wrong[name] for name in FIELDS if name in wrong}

    def text(name: str, japanese: str, english: str, kind: str = "text", *, required: bool = False) -> str:
        value = escape(values.get(name, ""))
        return text_field(PROBLEMS, name, (japanese, english), value, kind, wrong, required=required)

    options = "".join(
        f'<option value="{minutes}"{" selected" * (values.get("within_minutes", "60") == minutes)}>{ja} / {en}</option>'
        for minutes, (ja, en) in WITHIN.items()
    )
    asked = (
        text("service", "事業者またはサービスの名前", "The operator's or the service's name", required=True)
        if about_service
        else text(
            "number",
            "かかってきた(または表示された)電話番号",
            "The number that called or was shown",
            "tel",
            required=True,
        )
        + text("date", "日付", "Date", "date", required=True)
        + text("time", "時刻(日本時間)", "Time (Japan)", "time", required=True)
        + f"<label>{bilingual('時刻の確かさ', 'How sure the time is')}"
        + f'<select name="within_minutes"{fault_attributes("within_minutes", wrong)}>{options}</select>'
        + f"{error_at(PROBLEMS, 'within_minutes', wrong)}</label>"
    )
    consent = " checked" * bool(values.get("disclose"))
    reporter = (
        f"<fieldset><legend>{bilingual('申告者(空欄でも構いません)', 'Who you are (you may leave it empty)')}</legend>"
        + text("name", "お名前", "Name")
        + text("contact", "連絡先", "How to reach you")
        + f'<label><input type="checkbox" name="disclose" value="yes"{consent}> '
        + bilingual(
            "私の氏名と連絡先を、警察や行政機関に開示することに同意します。",
            "I consent that my name and how to reach me are disclosed to the police or the government.",
        )
        + "</label></fieldset>"
        if with_reporter
        else ""
    )
    title, path, other = (
        (("事業者・サービスについての申告", "Report an operator or a service"), SERVICE_PATH, FORM_PATH)
        if about_service
        else (("申告窓口", "Report a call"), FORM_PATH, SERVICE_PATH)
    )
    return page(
        title,
        (problem_box(PROBLEMS, problem) if problem else "")
        + all_wrong(PROBLEMS, wrong)
        + f"<p>{bilingual(*_PROMISE)}</p>"
        + f"<p>{bilingual(*_PURPOSE)}</p>"
        + f"<p>{bilingual(*(each.format(escape(responsible)) for each in _RESPONSIBLE))}</p>"
        + f'<p><a href="{other}">{bilingual(*_OTHER[other])}</a></p>'
        + f'<form method="post" action="{path}" enctype="multipart/form-data">'
        + asked
        + f"<label>{MUST}{bilingual('何がありましたか', 'What happened')}"
        + f'<textarea name="what" rows="8" maxlength="4000" required{fault_attributes("what", wrong)}>'
        + f"{escape(values.get('what', ''))}</textarea>{error_at(PROBLEMS, 'what', wrong)}</label>"
        + f"<p>{bilingual(*_KEPT)}</p>"
        + reporter
        + hidden_trap_field()
        + f"<button>{bilingual('申告する', 'Send the report')}</button></form>"
        + f'<p><a href="{STATUS_PATH}">{bilingual("受付番号で経過を見る", "Ask by receipt number")}</a></p>',
    )


def problem_page(problem: str) -> str:
    """Page shown when the desk cannot offer the form. `problem` is a key of `PROBLEMS`."""
    return page(("申告窓口", "Report a call"), problem_box(PROBLEMS, problem))


def receipt_page(receipt: str) -> str:
    """Page with a report's receipt number. No other page shows this number."""
    return page(
        ("申告を受け付けました", "Your report was accepted"),
        f'<p class="receipt">{escape(receipt)}</p>'
        + f"<p>{bilingual(*_ONCE)}</p>"
        + f'<p><a href="{STATUS_PATH}">{bilingual("受付番号で経過を見る", "Ask by receipt number")}</a></p>',
    )


def status_page(report: KeptReport | None = None, unknown: bool = False) -> str:
    """Page that asks for a receipt number and shows the report's status without naming members."""
    told = ""
    if unknown:
        told = problem_box(PROBLEMS, "receipt")
    elif report:
        told = f"<p>{bilingual(*_STATES[report.result or report.stage])}</p>"
    return page(
        ("申告の経過", "The state of a report"),
        told
        + f'<form method="post" action="{STATUS_PATH}">'
        + text_field(PROBLEMS, "receipt", ("受付番号", "Receipt number"), "")
        + f"<button>{bilingual('見る', 'Show')}</button></form>",
    )
