"""Draws the mark (標章) of a licensed operator without an evaluation, as an SVG picture in Japanese and English.

The mark is made from the public list alone. It is genuine if the list in force contains its SHA-256.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from xml.sax.saxutils import escape

from idtone.core.japan_time import last_day

FOLDER: Final = "licensed"
"""Name of the folder for the marks, inside the evaluations folder."""


def add_mark_digest(operator: Mapping[str, Any], association: str) -> dict[str, Any]:
    """Copy an operator's public list entry, adding its mark's SHA-256 and its licence period."""
    begins, until = (
        choose((each[f"valid_{end}"] for each in operator["licences"]), key=datetime.fromisoformat)
        for choose, end in ((min, "from"), (max, "until"))
    )
    found = {**operator, "mark": {"valid_from": begins, "valid_until": until}}
    found["mark"]["badge"] = hashlib.sha256(mark_svg(found, association)).hexdigest()
    return found


def mark_svg(operator: Mapping[str, Any], association: str) -> bytes:
    """Draw an operator's mark as an SVG picture."""
    fields = {
        "id": operator["member"],
        "name_ja": _short(operator["name"]["ja"], 22),
        "name_en": _short(operator["name"]["en"], 44),
        "association": association,
        "by": issuer_line(association, operator["member"]),
        "until": last_day(operator["mark"]["valid_until"]).isoformat(),
    }
    return _MARK.format_map({name: escape(value, {'"': "&quot;"}) for name, value in fields.items()}).encode()


def mark_files(listed: Mapping[str, Any]) -> dict[str, bytes]:
    """Draw the marks of all operators in the public list, by file name."""
    return {
        f"{FOLDER}/{each['member']}.svg": mark_svg(each, listed["association"])
        for each in listed["operators"]
        if "mark" in each
    }


def issuer_line(association: str, member: str) -> str:
    """Line on a mark or badge with the issuing association, shortened if needed, and the full member id."""
    return f"{_short(association, max(22 - len(member) - 3, 6))} · {member}"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


_MARK: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" width="440" height="132" viewBox="0 0 440 132" role="img"
 aria-labelledby="title-{id} desc-{id}" lang="ja">
<title id="title-{id}">協会標準識別音 利用許諾事業者 – {name_ja} / Licensed operator – {name_en}</title>
<desc id="desc-{id}">{association} が協会標準識別音の利用を許諾した事業者です。
評価の結果ではありません。{until} まで有効です。
{association} has licensed this operator to use its sound. This is no evaluation. Valid until {until}.</desc>
<rect x="1" y="1" width="438" height="130" rx="12" fill="#fff" stroke="#4f5b68" stroke-width="2"/>
<g font-family="'Noto Sans JP','Noto Sans CJK JP','Hiragino Sans','Yu Gothic','BIZ UDPGothic',sans-serif"
 fill="#1b1b1b" text-rendering="geometricPrecision">
<text x="18" y="36" font-size="20" font-weight="700">協会標準識別音 利用許諾事業者</text>
<text x="18" y="54" font-size="11" fill="#444" lang="en">Licensed operator (not evaluated)</text>
<text x="422" y="54" font-size="11" text-anchor="end" fill="#444">評価の結果ではありません</text>
<text x="18" y="80" font-size="16">{name_ja}</text>
<text x="18" y="96" font-size="11" fill="#444" lang="en">{name_en}</text>
<text x="18" y="118" font-size="11">{by} · 有効期限 <tspan lang="en">valid until</tspan> {until}</text>
</g>
</svg>
"""
