"""Draws the badge (標章) that an evaluated member may display, as an SVG picture in Japanese and English.

The registry contains each badge's SHA-256, so anyone can use the public list to check that a badge is genuine.
"""

from datetime import date
from typing import Final
from xml.sax.saxutils import escape

from idtone.member.evaluation.criteria import Criteria, Grade
from idtone.registry.model import Member

from ..authority.licence_mark import issuer_line


def badge(member: Member, grade: Grade, criteria: Criteria, association: str, until: date, result: str) -> bytes:
    """Draw a member's badge as an SVG picture.

    `until` is the last day on which the badge is valid. `result` is the SHA-256 of the evaluation result.
    """
    title = criteria.terms.title
    fields = {
        "id": member.id,
        "title": f"{title.ja}: {grade.title.ja} – {member.name.ja} / {title.en}: {grade.title.en} – {member.name.en}",
        "title_ja": _short(title.ja, 14),
        "title_en": _short(title.en, 34),
        "grade_ja": _short(grade.title.ja, 8),
        "grade_en": _short(grade.title.en, 16),
        "name_ja": _short(member.name.ja, 22),
        "name_en": _short(member.name.en, 44),
        "association": association,
        "by": issuer_line(association, member.id),
        "until": until.isoformat(),
        "list": criteria.terms.list,
        "shown": _short(criteria.terms.list.removeprefix("https://"), 44),
        "result": result,
        "digest": result[:16],
    }
    return _BADGE.format_map({name: escape(value, {'"': "&quot;"}) for name, value in fields.items()}).encode()


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


_BADGE: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" width="440" height="176" viewBox="0 0 440 176" role="img"
 aria-labelledby="title-{id} desc-{id}" lang="ja">
<title id="title-{id}">{title}</title>
<desc id="desc-{id}">{association} による評価です。{until} まで有効です。
確認: {list} 会員番号 {id}、評価結果の SHA-256 {result}。
Evaluated by {association}. Valid until {until}. To verify: {list}, member {id}, SHA-256 of the result {result}.</desc>
<rect x="1" y="1" width="438" height="174" rx="12" fill="#fff" stroke="#1b4f72" stroke-width="2"/>
<rect x="1" y="1" width="438" height="42" rx="12" fill="#1b4f72"/>
<rect x="1" y="31" width="438" height="12" fill="#1b4f72"/>
<g font-family="'Noto Sans JP','Noto Sans CJK JP','Hiragino Sans','Yu Gothic','BIZ UDPGothic',sans-serif"
 fill="#1b1b1b" text-rendering="geometricPrecision">
<text x="18" y="28" font-size="17" font-weight="700" fill="#fff">{title_ja}</text>
<text x="422" y="27" font-size="11" text-anchor="end" fill="#fff" lang="en">{title_en}</text>
<text x="18" y="80" font-size="26" font-weight="700" fill="#1b4f72">{grade_ja}</text>
<text x="422" y="80" font-size="17" text-anchor="end" fill="#1b4f72" lang="en">{grade_en}</text>
<text x="18" y="108" font-size="16">{name_ja}</text>
<text x="18" y="124" font-size="11" fill="#444" lang="en">{name_en}</text>
<path d="M18 133H422" stroke="#bbb"/>
<text x="18" y="149" font-size="11">{by} · 有効期限 <tspan lang="en">valid until</tspan> {until}</text>
<text x="18" y="165" font-size="10" fill="#444">確認 <tspan lang="en">verify</tspan>: {shown}</text>
<text x="422" y="165" font-size="10" text-anchor="end" fill="#444">{digest}</text>
</g>
</svg>
"""
