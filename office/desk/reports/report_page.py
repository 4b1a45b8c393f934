"""The public page of the report desk in Japanese and English: plain HTML without scripts. Pure.

Every value of a visitor is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from types import MappingProxyType
from typing import Final, NamedTuple

from .report_store import KeptReport
from .traceback import ReportResult, Stage

FORM_PATH: Final = "/report"
SERVICE_PATH: Final = "/report/service"
STATUS_PATH: Final = "/report/status"
TRAP: Final = "website"
"""A field that people do not see. A program that fills in every field fills it in too."""
_STYLE: Final = (
    ":root{color-scheme:light dark;--paper:#fff;--raised:#f3f5f8;--ink:#16202b;--quiet:#4f5b68;--line:#4f5b68;"
    "--accent:#0b5fa5;--on:#fff;--bad:#b3261e}"
    "@media(prefers-color-scheme:dark){:root{--paper:#11161c;--raised:#1c242d;--ink:#e8edf2;--quiet:#a9b5c1;"
    "--line:#a9b5c1;--accent:#7ab8f5;--on:#0b1a29;--bad:#ff9c94}}"
    "*{box-sizing:border-box}body{font-family:system-ui,'Noto Sans JP','Hiragino Sans','Yu Gothic UI',sans-serif;"
    "max-width:42em;margin:0 auto;padding:1.5em 1em 3em;line-height:1.6;background:var(--paper);color:var(--ink)}"
    "h1{font-size:1.5em;line-height:1.3;border-bottom:1px solid var(--line);padding-bottom:.6em}"
    "label,fieldset{display:block;margin:1em 0;font-weight:600}"
    "fieldset{border:1px solid var(--line);border-radius:.3em}"
    "legend{float:left;width:100%;padding-bottom:1em}legend+*{clear:both}"
    ".must{float:right;font-size:.8em;font-weight:400;border:1px solid currentcolor;border-radius:.2em;padding:0 .3em}"
    "input,textarea,select,button{font:inherit;border:1px solid var(--line);border-radius:.3em;padding:.4em .5em;"
    "max-width:100%;background:var(--paper);color:var(--ink)}"
    "input[type=text],input[type=tel],textarea,select{width:100%}input[type=checkbox]{width:1.2em;height:1.2em}"
    "button{background:var(--accent);border-color:var(--accent);color:var(--on);padding:.5em 1.5em;cursor:pointer}"
    "button [lang=en]{color:var(--on)}a{color:var(--accent)}"
    ":focus-visible{outline:3px solid var(--accent);outline-offset:2px}"
    "[lang=en]{color:var(--quiet);display:block;font-weight:400}a [lang=en]{color:inherit}"
    ".bad{display:block;font-weight:400;color:var(--bad)}.bad [lang=en],.problem a [lang=en]{color:inherit}"
    "[aria-invalid]{border:2px solid var(--bad)}"
    ".problem{border-left:.3em solid var(--bad);background:var(--raised);padding:1em}.receipt{font-size:1.5em}"
    ".trap{position:absolute;left:-9999px}"
)
"""As the console's style sheet, which the desk alone does not have."""
POLICY: Final = (
    "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)
"""The content security policy: no script, no frame, no other origin."""
WITHIN: Final = {
    "10": ("10 分以内", "within 10 minutes"),
    "60": ("1 時間以内", "within an hour"),
    "1440": ("1 日以内", "within a day"),
    "10080": ("1 週間以内", "within a week"),
}
"""Minutes → how sure the time is."""
PROBLEMS: Final = {
    "number": ("電話番号を確認してください。例: 0312345678", "Check the telephone number, for example 0312345678."),
    "at": ("日付と時刻を確認してください。", "Check the date and the time."),
    "service": (
        "事業者またはサービスの名前だけを 1 行で書いてください。電話番号は下の欄に書いてください。",
        "Write only the name of the operator or the service, in one line; a telephone number belongs below.",
    ),
    "within_minutes": ("時刻の確かさを選んでください。", "Choose how sure the time is."),
    "what": ("何があったかを 4000 字以内で書いてください。", "Write what happened, in at most 4000 characters."),
    "character": ("使えない文字 {character} があります。取り除いてください。",
                  "There is the character {character}, which cannot be used. Leave it out."),
    "attachments": ("この窓口ではファイルを受け付けません。お手元で保管してください。",
                    "This page takes no files. Keep them yourself."),
    "reporter": (
        "お名前と連絡先は、両方書くか、両方空けてください。",
        "Fill in both your name and how to reach you, or neither.",
    ),
    "size": ("送られた内容が大きすぎます。短くしてください。", "This is too large. Shorten it, and send it again."),
    "busy": ("ただいま混み合っています。前の画面に戻り、1 時間ほど後にもう一度送ってください。",
             "There are too many requests. Go back, and send it again in an hour."),
    "failed": ("ただいま受け付けられません。しばらくしてから送ってください。",
               "The desk cannot accept it now. Send it again later."),
    "receipt": ("その受付番号の申告はありません。", "There is no report of this receipt number."),
    "form": ("このページの様式から送ってください。", "Send it by the form on this page."),
}  # fmt: skip
"""A field, or what went wrong → the words in both languages."""


class FieldProblem(NamedTuple):
    """What is wrong with a field: one of `PROBLEMS`; one of them names a `character`."""

    problem: str
    character: str = ""


FIELDS: Final = ("number", "service", "date", "time", "within_minutes", "what", "name", "contact")
"""In the order of the forms."""
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
_MUST: Final = '<span class="must">必須 / required</span>'
_CORRECT: Final = ("次の点を直してください。", "Please correct the following:")
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
"""The link from one form to the other one."""
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
    """The form, filled in with what a visitor has sent already. `problem` is one of `PROBLEMS`; `wrong` is what is
    wrong with its fields, by their names: the page shows all at once, and each at its field; what is wrong elsewhere is
    the form's problem, if it has no other. `responsible` is the body
    that answers for the reports. With `about_service` it asks for an operator or a service, and not for a call.

    Without a key of the report officer the form does not ask for the reporter.
    """
    problem = problem or next((each.problem for name, each in wrong.items() if name not in FIELDS), None)
    wrong = {name: wrong[name] for name in FIELDS if name in wrong}

    def text(name: str, japanese: str, english: str, kind: str = "text", *, required: bool = False) -> str:
        return _input(name, japanese, english, escape(values.get(name, "")), kind, wrong, required=required)

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
        + f"<label>{_both('時刻の確かさ', 'How sure the time is')}"
        + f'<select name="within_minutes"{_state("within_minutes", wrong)}>{options}</select>'
        + f"{_error('within_minutes', wrong)}</label>"
    )
    consent = " checked" * bool(values.get("disclose"))
    reporter = (
        f"<fieldset><legend>{_both('申告者(空欄でも構いません)', 'Who you are (you may leave it empty)')}</legend>"
        + text("name", "お名前", "Name")
        + text("contact", "連絡先", "How to reach you")
        + f'<label><input type="checkbox" name="disclose" value="yes"{consent}> '
        + _both(
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
    return _page(
        title,
        (_problem(problem) if problem else "")
        + _all_wrong(wrong)
        + f"<p>{_both(*_PROMISE)}</p>"
        + f"<p>{_both(*_PURPOSE)}</p>"
        + f"<p>{_both(*(each.format(escape(responsible)) for each in _RESPONSIBLE))}</p>"
        + f'<p><a href="{other}">{_both(*_OTHER[other])}</a></p>'
        + f'<form method="post" action="{path}" enctype="multipart/form-data">'
        + asked
        + f"<label>{_MUST}{_both('何がありましたか', 'What happened')}"
        + f'<textarea name="what" rows="8" maxlength="4000" required{_state("what", wrong)}>'
        + f"{escape(values.get('what', ''))}</textarea>{_error('what', wrong)}</label>"
        + f"<p>{_both(*_KEPT)}</p>"
        + reporter
        + f'<div class="trap" aria-hidden="true"><label>Website<input type="text" name="{TRAP}" tabindex="-1" '
        + 'autocomplete="off"></label></div>'
        + f"<button>{_both('申告する', 'Send the report')}</button></form>"
        + f'<p><a href="{STATUS_PATH}">{_both("受付番号で経過を見る", "Ask by receipt number")}</a></p>',
    )


def problem_page(problem: str) -> str:
    """Instead of the form, for a visitor who cannot be served now. `problem` is one of `PROBLEMS`."""
    return _page(("申告窓口", "Report a call"), _problem(problem))


def receipt_page(receipt: str) -> str:
    """Shows the receipt, once."""
    return _page(
        ("申告を受け付けました", "Your report was accepted"),
        f'<p class="receipt">{escape(receipt)}</p>'
        + f"<p>{_both(*_ONCE)}</p>"
        + f'<p><a href="{STATUS_PATH}">{_both("受付番号で経過を見る", "Ask by receipt number")}</a></p>',
    )


def status_page(report: KeptReport | None = None, unknown: bool = False) -> str:
    """The form that asks for a receipt, and the state of its report without any member's name."""
    told = ""
    if unknown:
        told = _problem("receipt")
    elif report:
        told = f"<p>{_both(*_STATES[report.result or report.stage])}</p>"
    return _page(
        ("申告の経過", "The state of a report"),
        told
        + f'<form method="post" action="{STATUS_PATH}">'
        + _input("receipt", "受付番号", "Receipt number", "")
        + f"<button>{_both('見る', 'Show')}</button></form>",
    )


def _input(
    name: str,
    japanese: str,
    english: str,
    value: str,
    kind: str = "text",
    wrong: Mapping[str, FieldProblem] = MappingProxyType({}),
    *,
    required: bool = False,
) -> str:
    """`value` is escaped already."""
    return (
        f"<label>{_MUST * required}{_both(japanese, english)}"
        f'<input type="{kind}" name="{name}" value="{value}" maxlength="200"'
        f"{' required' * required}{_state(name, wrong)}>{_error(name, wrong)}</label>"
    )


def _state(name: str, wrong: Mapping[str, FieldProblem]) -> str:
    """Attributes of a field that is wrong; the first one gets the focus."""
    if name not in wrong:
        return ""
    focus = " autofocus" * (name == next(iter(wrong)))
    return f' id="field-{name}" aria-invalid="true" aria-describedby="error-{name}"{focus}'


def _error(name: str, wrong: Mapping[str, FieldProblem]) -> str:
    return f'<span class="bad" id="error-{name}">{_words(*wrong[name])}</span>' if name in wrong else ""


def _all_wrong(wrong: Mapping[str, FieldProblem]) -> str:
    if not wrong:
        return ""
    each = "".join(f'<li><a href="#field-{name}">{_words(*problem)}</a></li>' for name, problem in wrong.items())
    return f'<div class="problem" role="alert"><p>{_both(*_CORRECT)}</p><ul>{each}</ul></div>'


def _problem(problem: str) -> str:
    return f'<div class="problem" role="alert">{_words(problem)}</div>'


def _words(problem: str, character: str = "") -> str:
    return _both(*(words.replace("{character}", escape(character)) for words in PROBLEMS[problem]))


def _both(japanese: str, english: str) -> str:
    return f'<span lang="ja">{japanese}</span> <span lang="en">{english}</span>'


def _page(title: tuple[str, str], body: str) -> str:
    return (
        f'<!doctype html><html lang="ja"><head><meta charset="utf-8"><title>{title[0]} / {title[1]}</title>'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f"<style>{_STYLE}</style></head><body><h1>{_both(*title)}</h1>{body}</body></html>\n"
    )
