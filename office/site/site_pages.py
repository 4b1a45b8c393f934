"""The public site's pages in Japanese and English, rendered from templates."""

from collections.abc import Iterator, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import timedelta
from html import escape
from importlib.resources import files
from string import Template
from typing import Any, Final

from idtone.core.japan_time import JAPAN
from idtone.core.translation import speak, translated
from idtone.registry.model import Name, StoppingCondition
from idtone.registry.stopping_conditions import STEPS

from ..training.course import Course, Words
from .number_answers import LicensedHolder
from .public_figures import CALLS_BOUND
from .qr_picture import qr_picture

LANGUAGES: Final = ("ja", "en")
_PAGES: Final = {
    # page → its script, and whether the script is a module
    "index": None,
    "number": "number-page.js",
    "recognise": "recognise.js",
    "quiz": None,
    "course": None,
    "report": "report-page.js",
    "badge": "badge-page.js",
    "conditions": None,
    "figures": "figures-page.js",
    "sheet": None,
    "about": None,
}
_PLAIN: Final = frozenset({"recognise.js"})
"""Scripts that run unchanged on a page opened from a file."""
_SHORT: Final = {
    "ja": {
        "index": "この音は何", "number": "番号を調べる", "recognise": "音を聞き分ける", "quiz": "クイズ",
        "course": "課程", "report": "相談と申告", "badge": "標章の確認", "conditions": "利用停止条件",
        "figures": "数字", "sheet": "印刷用", "about": "このページについて",
    },
    "en": {
        "index": "The sound", "number": "Look up a number", "recognise": "Recognise", "quiz": "Quiz",
        "course": "Course", "report": "Report", "badge": "Badges", "conditions": "Conditions", "figures": "Figures",
        "sheet": "Print", "about": "About",
    },
}  # fmt: skip
_INSTANT: Final = timedelta(microseconds=1)
"""Step back from a term's exclusive end to its last moment."""
_WORDS: Final = {
    "ja": {
        "skip": "本文へ",
        "menu": "このサイトのページ",
        "other": "English",
        "site": "電話の識別音",
        "by": "{} の公開ページ",
    },
    "en": {
        "skip": "To the content",
        "menu": "Pages of this site",
        "other": "日本語",
        "site": "The identification sound",
        "by": "A public page of {}",
    },
}


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """Facts shown on the public site's pages.

    `responsible` is the body responsible for reports. `address`, `desk` and `service` are the URLs of the site, the
    report desk and the number service, without a trailing slash; `desk` and `service` may be empty. `sound` is the
    licensed sound that the public may hear.
    """

    association: str
    responsible: str
    address: str
    desk: str
    service: str
    issued: str
    roots: int
    holders: Sequence[LicensedHolder]
    figures: Mapping[str, Any] | None
    hourly: int
    hourly_each: int
    area_digits: int
    sound: str | None = None
    test_number: str | None = None
    profiles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Titles of the detector's sound profiles by language. If empty, the site has no detector page."""
    stopping_version: str | None = None
    conditions: Sequence[StoppingCondition] = ()
    """Published stopping conditions. If empty, the site has no page for them."""
    course: Course | None = None
    """Members' course, for everyone to read. If None, the site has no page for it."""


def pages(facts: SiteFacts) -> Iterator[tuple[str, str]]:
    """Render all pages. Yields file names with their contents."""
    for language in LANGUAGES:
        for page in _shown(facts):
            folder = "" if language == "ja" else f"{language}/"
            yield f"{folder}{page}.html", _page(facts, language, page)


def posters(facts: SiteFacts, municipalities: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """Render posters for the association and each municipality, and the page that lists them.

    Yields file names with their contents.
    """
    template, qr = _template("poster.html"), _qr(facts, "number.html", "番号を調べるページ")
    rows = [{"name": "", "contact": ""}, *municipalities]
    for place, row in enumerate(rows):
        yield (
            f"posters/{place:04}.html",
            template.substitute(
                association=escape(facts.association),
                address=escape(facts.address),
                qr=qr,
                name=escape(row["name"]),
                contact=escape(row["contact"]),
            ),
        )
    links = "".join(
        f'<li><a href="{place:04}.html">{escape(row["name"]) or "協会名のみ"}</a></li>'
        for place, row in enumerate(rows)
    )
    yield (
        "posters/index.html",
        (
            '<!doctype html><html lang="ja"><head><meta charset="utf-8"><title>自治体用の掲示物</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<link rel="stylesheet" href="../site.css"><link rel="icon" href="../icon.svg" type="image/svg+xml">'
            "</head><body><main><h1>自治体用の掲示物</h1><p>開いて、A4 か A3 で印刷してください。</p>"
            f'<ul>{links}</ul><p><a href="../index.html">はじめのページ</a></p></main></body></html>\n'
        ),
    )


def _shown(facts: SiteFacts) -> list[str]:
    has = {"recognise": facts.profiles, "conditions": facts.conditions, "course": facts.course}
    return [page for page in _PAGES if has.get(page, True)]


def _page(facts: SiteFacts, language: str, page: str) -> str:
    head, _, body = _text(f"{language}/{page}.html").partition("\n")
    title, _, description = head.partition("|")
    up, words = ("" if language == "ja" else "../"), _WORDS[language]
    content = Template(body).substitute(_fields(facts, language, up))
    links = "".join(
        f'<li><a href="{each}.html"{" aria-current=page" if each == page else ""}>{_SHORT[language][each]}</a></li>'
        for each in _shown(facts)
    )
    other = f"en/{page}.html" if language == "ja" else f"../{page}.html"
    script = _PAGES[page]
    loads = f'<script {"defer" if script in _PLAIN else "type=module"} src="{up}{script}"></script>' if script else ""
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{title} – {words["site"]}</title>'
        f'<meta name="description" content="{description}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f'<link rel="stylesheet" href="{up}site.css">'
        f'<link rel="icon" href="{up}icon.svg" type="image/svg+xml">{loads}</head>'
        f'<body><a class="skip" href="#content">{words["skip"]}</a><header><p>{words["site"]}</p>'
        f'<nav aria-label="{words["menu"]}"><ul>{links}</ul></nav></header>'
        f'<main id="content" data-up="{up or "./"}" data-service="{escape(facts.service or ".")}">{content}</main>'
        f"<footer><p>{words['by'].format(escape(facts.association))} · "
        f'<a href="{other}" lang="{"en" if language == "ja" else "ja"}">{words["other"]}</a></p></footer>'
        "</body></html>\n"
    )


def _fields(facts: SiteFacts, language: str, up: str) -> dict[str, Any]:
    return {
        "up": up,
        "address": escape(facts.address),
        "association": escape(facts.association),
        "responsible": escape(facts.responsible),
        "each": f"{facts.hourly_each * 24:,}",
        "all": f"{facts.hourly * 24:,}",
        "issued": facts.issued,
        "licensed": _licensed(facts, language, up),
        "test_number": _test_number(facts, language),
        "profiles": "".join(
            f'<option value="{escape(name)}">{escape(titles[language])}</option>'
            for name, titles in facts.profiles.items()
        ),
        "form": _form(facts, language),
        "status": _status(facts, language),
        "figures": _figures(facts.figures, language, up),
        "members": "".join(_member(holder, language) for holder in facts.holders) or "<tr><td colspan=3>–</td></tr>",
        "qr": _qr(facts, "number.html", "QR"),
        "areas": _areas(facts.area_digits, language),
        "stopping_version": escape(facts.stopping_version or ""),
        "conditions": "".join(_condition(each, language) for each in facts.conditions),
        **(_course(facts.course, language) if facts.course else {}),
    }


def _licensed(facts: SiteFacts, language: str, up: str) -> str:
    name = facts.sound or "sample"
    words = {
        ("ja", True): ("協会標準識別音", "協会が許諾した音です。"),
        ("en", True): ("The association's standard sound", "The sound that the association licenses."),
        ("ja", False): ("識別音の見本", "協会の音ではありません。協会の音は公開されていません。"),
        ("en", False): ("A sample", "It is not the association's sound, which is not public."),
    }[language, facts.sound is not None]
    return (
        f"<li><strong>{words[0]}</strong><br>{words[1]}"
        f'<audio controls preload="none" src="{up}sounds/{name}.wav" aria-label="{words[0]}"></audio></li>'
    )


def _test_number(facts: SiteFacts, language: str) -> str:
    if not facts.test_number:
        return ""
    number = escape(facts.test_number)
    words = {
        "ja": (
            "電話で聞いてみる",
            "この番号にかけると、それぞれの音を聞いて、当てるクイズができます(通話料がかかります)。",
        ),
        "en": ("Listen by telephone", "Call this number to hear each sound, and to guess (your call is charged)."),
    }[language]
    return f'<h2>{words[0]}</h2><p>{words[1]}</p><p class="calls"><a href="tel:{number}">{number}</a></p>'


def _form(facts: SiteFacts, language: str) -> str:
    if not facts.desk:
        words = {
            "ja": "申告窓口は準備中です。上の相談先をご利用ください。",
            "en": "The report desk is not open yet. Ask as above.",
        }
        return f'<p class="note">{words[language]}</p>'
    return _template(f"{language}/form.part").substitute(desk=escape(facts.desk))


def _status(facts: SiteFacts, language: str) -> str:
    words = {"ja": "受付番号で経過を見る", "en": "Ask by receipt number"}[language]
    return f'<p><a class="button" href="{escape(facts.desk)}/report/status">{words}</a></p>' if facts.desk else ""


def _figures(figures: Mapping[str, Any] | None, language: str, up: str) -> str:
    if figures is None:
        return {"ja": "<p>まだ公表された数字はありません。</p>", "en": "<p>No figures were published yet.</p>"}[
            language
        ]
    hidden = {"ja": "示しません(数が少ないため)", "en": "not shown (too small)"}[language]
    names = {
        "ja": ("識別音が送られた通話", "数えた会員", "番号停止", "申告から停止までの時間(中央値)", "時間", "月"),
        "en": (
            "Calls with a sound",
            "Members counted",
            "Stops",
            "Hours from a report to its stop (median)",
            "h",
            "Month",
        ),
    }[language]
    keys = ("calls_with_sound", "members", "stops", "median_hours_report_to_stop")
    rows = [(names[5], figures["month"])]
    for name, key in zip(names, keys, strict=False):
        value = figures[key]
        unit = f" {names[4]}" if key == "median_hours_report_to_stop" and value is not None else ""
        noise = f" ± {figures['noise_scale']:,}" if key == "calls_with_sound" else ""
        rows.append((name, hidden if value is None else f"{value:,}{noise}{unit}"))
    body = "".join(f'<tr><th scope="row">{name}</th><td>{escape(str(value))}</td></tr>' for name, value in rows)
    table = f"<table>{body}</table>"
    return _template(f"{language}/figures.part").substitute(table=table, up=up, bound=f"{CALLS_BOUND:,}")


def _member(holder: LicensedHolder, language: str) -> str:
    name, member = escape(holder.ja if language == "ja" else holder.en), escape(holder.member)
    last = (holder.until - _INSTANT).astimezone(JAPAN)
    return f'<tr><th>{name}<td><a href="#{member}">{member}</a><td>{last:%Y-%m-%d}'


def _condition(condition: StoppingCondition, language: str) -> str:
    text = escape(condition.text.ja if language == "ja" else condition.text.en)
    days = {"ja": f"{condition.within_days} 日以内", "en": f"{condition.within_days} days"}[language]
    if condition.within_days == 0:
        days = {"ja": "直ちに", "en": "at once"}[language]
    return f"<tr><td>{text}<td>{_step(condition.leads_to, language)}<td>{days}"


def _course(course: Course, language: str) -> dict[str, str]:
    def said(words: Words | Name) -> str:
        return escape(words.ja if language == "ja" else words.en)

    answer = {"ja": "答え", "en": "Answer"}[language]
    lessons = "".join(
        f'<h2 id="{escape(each.id)}">{said(each.title)}</h2>' + "".join(f"<p>{said(text)}" for text in each.paragraphs)
        for each in course.lessons
    )
    questions = "".join(
        f'<h3>{escape(each.id)}. {said(each.ask)}</h3><ol type="a">'
        + "".join(f"<li value={'abcd'.index(letter) + 1}>{said(words)}" for letter, words in each.choices.items())
        + f"</ol><details><summary>{answer} {escape(each.id)}</summary>"
        f"<p><strong>{each.right}</strong>. {said(each.why)}</details>"
        for each in course.questions
    )
    return {
        "course": said(course.title),
        "course_version": escape(course.version),
        "lessons": lessons,
        "questions": questions,
    }


def _step(leads_to: str, language: str) -> str:
    def said() -> str:
        speak(language)
        return translated(STEPS[leads_to])

    return escape(copy_context().run(said))


def badge_codes(facts: SiteFacts) -> Iterator[tuple[str, str]]:
    """Draw a QR code for each licensed member that leads to the page for verifying its badge.

    Yields file names with their contents.
    """
    for holder in facts.holders if facts.address else ():
        yield f"badges/{holder.member}.svg", _qr(facts, f"badge.html#{holder.member}", f"{holder.ja} / {holder.en}")


def _areas(digits: int, language: str) -> str:
    if digits == 0:
        return {
            "ja": "表は全国で 1 つのファイルです。どの地域の番号かも、だれにも分かりません。",
            "en": "The table is one file for all of Japan, so not even the area of the number shows.",
        }[language]
    return {
        "ja": f"表は大きいため、番号の初めの {digits} 桁(0 を除く)ごとに分かれています。"
        "運営者に分かるのは、この地域までです。",
        "en": f"The table is large, so there is a file for each {digits} first digits after the 0. "
        "The host sees this area only.",
    }[language]


def _qr(facts: SiteFacts, page: str, title: str) -> str:
    return qr_picture(f"{facts.address}/{page}", title) if facts.address else ""


def _template(name: str) -> Template:
    return Template(_text(name))


def _text(name: str) -> str:
    return files(__package__).joinpath("pages", *name.split("/")).read_text("utf-8")
