"""The public list of licensed operators (安心して利用できる事業者リスト), as JSON and as a web page.

The list is built from the registry and the suspensions but contains no numbers or suspensions. It does not depend on
the current time, so every signer builds the same list.
"""

import hashlib
import json
from collections.abc import Collection, Iterator
from datetime import datetime
from html import escape
from typing import Any, Final

from idtone.core.calls import Direction, LicenceStatus
from idtone.core.japan_time import JAPAN
from idtone.core.translation import Message
from idtone.registry.model import (
    EvaluationEntry,
    LicenceEntry,
    Member,
    RegistryDocument,
    SuspensionsDocument,
    day_begins,
)

from .licence_mark import FOLDER as MARKS
from .licence_mark import add_mark_digest
from .stopped_members import unlisted_members

_DIRECTIONS: Final = {
    Direction.INCOMING: ("着信転送", "incoming"),
    Direction.OUTGOING: ("発信転送", "outgoing"),
}


def operator_list_json(document: RegistryDocument, suspensions: SuspensionsDocument | None) -> bytes:
    """Build the public list as JSON, with every member that has a pledge in force and an active licence.

    Licences that had expired when the registry was issued do not count. A licence ends no later than the pledge and the
    certification. Members whose numbers are all suspended are left out.
    """
    header = document.registry
    titles = {tone.id: tone.title for tone in document.tones}
    evaluations = {entry.member: entry for entry in document.evaluations if entry.valid.until > header.issued}
    operators, stopped = [], unlisted_members(document, suspensions)
    for member in document.members:
        licences = [
            _licence(licence, titles[licence.tone], licence_end(licence, member))
            for licence in member.licences
            if licence.status is LicenceStatus.ACTIVE and licence_end(licence, member) > header.issued
            if member.pledge and member.pledge.in_force(max(header.issued, licence.valid.start))
        ]
        if licences and member.id not in stopped:
            name = {"ja": member.name.ja, "en": member.name.en}
            operator: dict[str, Any] = {"member": member.id, "name": name, "licences": licences}
            particulars = {
                "corporate_number": member.corporate_number,
                "notification": member.notification,
                "contact": member.contact.model_dump(exclude_none=True) if member.contact else None,
            }
            operator |= {key: value for key, value in particulars.items() if value}
            if member.id in evaluations:
                operator["evaluation"] = _evaluation(evaluations[member.id])
            else:
                operator = add_mark_digest(operator, header.association)
            operators.append(operator)
    content: dict[str, Any] = {
        "association": header.association,
        "registry_version": header.version,
        "issued": header.issued.isoformat(),
        "counts_until": header.expires.isoformat(),
        "operators": operators,
    }
    if document.stopping_conditions:
        content["stopping_conditions"] = {
            "version": document.stopping_version,
            "conditions": [each.model_dump(exclude_none=True) for each in document.stopping_conditions],
        }
    return _json(content)


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"


def listed_members(listed: bytes) -> frozenset[str]:
    """Ids of the members in a public list given as JSON."""
    return frozenset(each["member"] for each in json.loads(listed)["operators"])


def describe_list_changes(
    document: RegistryDocument, before: Collection[str], now: Collection[str]
) -> Iterator[Message]:
    """Describe which members leave or rejoin the public list if the stopped members change from `before` to `now`."""
    for member in sorted(listed_members(operator_list_json(document, None))):
        if member in now and member not in before:
            yield Message("{member} leaves the public list: all its numbers are suspended", member=member)
        elif member in before and member not in now:
            yield Message("{member} comes back to the public list: its suspension has ended", member=member)


def licence_end(licence: LicenceEntry, member: Member) -> datetime:
    """Time when a licence stops counting: the earliest end of the licence, pledge and certification."""
    ends = [licence.valid.until]
    if member.pledge and member.pledge.until:
        ends.append(day_begins(member.pledge.until))
    if member.certification:
        ends.append(member.certification.lapses)
    return min(ends)


def _licence(licence: LicenceEntry, title: str, until: datetime) -> dict[str, Any]:
    return {
        "id": licence.id,
        "tone": {"id": licence.tone, "title": title},
        "directions": sorted(licence.directions),
        "valid_from": licence.valid.start.isoformat(),
        "valid_until": until.astimezone(JAPAN).isoformat() if until != licence.valid.until else until.isoformat(),
    }


def _evaluation(entry: EvaluationEntry) -> dict[str, Any]:
    return {
        "grade": entry.grade,
        "title": {"ja": entry.title.ja, "en": entry.title.en},
        "percent": entry.percent,
        "period_from": entry.period.start.isoformat(),
        "period_until": entry.period.until.isoformat(),
        "valid_from": entry.valid.start.isoformat(),
        "valid_until": entry.valid.until.isoformat(),
        "criteria": {"version": entry.criteria.version, "sha256": entry.criteria.sha256},
        "result": entry.result,
        "badge": entry.badge,
    }


def without_stopped(listed: bytes, stopped: Collection[str]) -> bytes:
    """Remove stopped members from the signed public list.

    A suspension takes effect before the holders of the registry's keys sign the list again.
    """
    content = json.loads(listed)
    left = [each for each in content["operators"] if each["member"] not in stopped]
    return listed if left == content["operators"] else _json(content | {"operators": left})


def operator_list_page(listed: bytes) -> bytes:
    """Render the public list as a single HTML page in Japanese and English."""
    content = json.loads(listed)
    rows = "\n".join(
        _row(operator, licence, first=n == 0)
        for operator in content["operators"]
        for n, licence in enumerate(operator["licences"])
    )
    association = escape(content["association"])
    return _PAGE.format(
        association=association,
        issued=_day(content["issued"]),
        until=_day(content["counts_until"]),
        version=content["registry_version"],
        count=len(content["operators"]),
        rows=rows or '<tr><td colspan="5">該当なし <span lang="en">none</span></td></tr>',
        sha256=hashlib.sha256(listed).hexdigest(),
        criteria=_CRITERIA if any("evaluation" in operator for operator in content["operators"]) else "",
    ).encode()


def _row(operator: dict[str, Any], licence: dict[str, Any], first: bool) -> str:
    span = f' rowspan="{len(operator["licences"])}"'
    name = operator["name"]
    member = (
        f'<th scope="rowgroup"{span}>{escape(name["ja"])}<br><span lang="en">{escape(name["en"])}</span></th>'
        if first
        else ""
    )
    grade = f"<td{span}>{_grade(operator)}</td>" if first else ""
    words = [_DIRECTIONS[Direction(direction)] for direction in licence["directions"]]
    japanese, english = ("・".join(ja for ja, _ in words), ", ".join(en for _, en in words))
    return (
        f"<tr>{member}<td>{escape(licence['id'])}<br><small>{escape(licence['tone']['title'])}</small></td>"
        f'<td>{japanese}<br><span lang="en">{english}</span></td>'
        f"<td>{_day(licence['valid_from'])}<br>– {_day(licence['valid_until'])}</td>{grade}</tr>"
    )


def _grade(operator: dict[str, Any]) -> str:
    evaluation = operator.get("evaluation")
    if evaluation is None:
        file = f"evaluation/{MARKS}/{operator['member']}.svg"
        return (
            '利用許諾(未評価)<br><span lang="en">licensed, not evaluated</span><br>'
            f'<a href="{escape(file)}">標章 <span lang="en">mark</span></a>'
        )
    title, file = evaluation["title"], f"evaluation/{operator['member']}"
    return (
        f'<a href="{escape(file)}.json">{escape(title["ja"])}<br><span lang="en">{escape(title["en"])}</span></a><br>'
        f"{evaluation['percent']} %<br>– {_day(evaluation['valid_until'])}<br>"
        f'<a href="{escape(file)}.svg">標章 <span lang="en">badge</span></a>'
    )


def _day(moment: str) -> str:
    local = datetime.fromisoformat(moment).astimezone(JAPAN)
    return f'<time datetime="{local.isoformat()}">{local:%Y-%m-%d %H:%M}</time>'


_CRITERIA: Final = """\
<p>評価の基準: <a href="evaluation/criteria.yaml">criteria.yaml</a>。確認の方法:
<code>idtone-office evaluation verify</code><br>
<span lang="en">The criteria of the evaluation: <a href="evaluation/criteria.yaml">criteria.yaml</a>. To verify one:
<code>idtone-office evaluation verify</code></span></p>
"""
_PAGE: Final = """\
<!DOCTYPE html>
<html lang="ja">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>安心して利用できる事業者リスト / Licensed operators – {association}</title>
<style>
body {{ font-family: system-ui, "Noto Sans JP", sans-serif; line-height: 1.6; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; color: #1b1b1b; background: #fff; }}
h1 {{ font-size: 1.4rem; }}
[lang="en"] {{ color: #555; font-size: .9em; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border-top: 1px solid #ccc; padding: .5rem .6rem; text-align: left; vertical-align: top;
         font-weight: normal; }}
thead th {{ border-top: 0; border-bottom: 2px solid #555; font-weight: 600; }}
footer {{ margin-top: 2rem; color: #555; font-size: .85em; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<h1>安心して利用できる事業者リスト<br><span lang="en">Operators you can rely on</span></h1>
<p>{association} が審査し、協会標準識別音の利用を許諾している事業者です。<br>
<span lang="en">Operators that {association} has examined and licensed to use the standard identification
sound.</span></p>
<p>{issued} 現在({until} まで有効)、{count} 社<br>
<span lang="en">As of {issued}, valid until {until} (Japan time); operators: {count}</span></p>
<table>
<thead><tr>
<th scope="col">事業者<br><span lang="en">Operator</span></th>
<th scope="col">利用許諾<br><span lang="en">Licence</span></th>
<th scope="col">対象<br><span lang="en">Covers</span></th>
<th scope="col">有効期間<br><span lang="en">Valid</span></th>
<th scope="col">優良事業者評価<br><span lang="en">Evaluation</span></th>
</tr></thead>
<tbody>
{rows}
</tbody>
</table>
<footer>
<p>登録簿 第 {version} 版。機械可読の同じ一覧: <a href="operators.json">operators.json</a>
(署名は <code>proof</code> にあります)。<br>
<span lang="en">Registry version {version}. The same list for programs:
<a href="operators.json">operators.json</a>, signed in <code>proof</code>.</span></p>
{criteria}<p>SHA-256 {sha256}</p>
</footer>
</body>
</html>
"""
