"""Asterisk's version → finding: branches, their end of life, and vulnerabilities by their advisories. Pure.

Sources: the release notes of the Asterisk project (ChangeLogs/ChangeLog-VERSION.md in its repository) name the
advisories (GHSA-…, at github.com/asterisk/asterisk/security/advisories) that a security release resolves. "Asterisk
Versions" in its documentation has the ends of life. Those of 22 and 23 follow from the rule there: five years from
the October of the release for a long-term branch, two for a standard one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from idtone.ari_app.connection import takes_requests_over_websocket
from idtone.translation import Message, joined

from .findings import Finding, bad, good, warning

OLDEST: Final = 20
"""The hook uses arguments of applications that exist since this branch."""

ENDS: Final[Mapping[int, date]] = {
    20: date(2027, 10, 19),
    21: date(2026, 10, 18),
    22: date(2029, 10, 16),
    23: date(2027, 10, 15),
}
"""Branch → the date from which it gets no security fixes."""

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Hole:
    """One advisory. `fixed` has the first fixed version of each branch. Later branches never had it; other branches
    have no fix.
    """

    advisory: str
    what: str
    fixed: tuple[Version, ...]
    over_websocket: bool = False
    """Only in versions that take REST requests over the WebSocket."""

    def open_in(self, version: Version) -> bool:
        branch = {first[0]: first for first in self.fixed}
        first = branch.get(version[0])
        older = version < first if first else version[0] < max(branch)
        return older and (not self.over_websocket or takes_requests_over_websocket(".".join(map(str, version))))


HOLES: Final = (
    Hole(
        "GHSA-c4cg-9275-6w44 (CVE-2024-42365)",
        Message("an AMI user with write=originate can run programs"),
        ((20, 9, 2), (21, 4, 2)),
    ),
    Hole(
        "GHSA-v428-g3cw-7hv9 (CVE-2024-42491)",
        Message("a SIP request crashes Asterisk if it uses res_resolver_unbound"),
        ((20, 9, 3), (21, 4, 3)),
    ),
    Hole(
        "GHSA-33x6-fj46-6rfh (CVE-2024-53566)",
        Message("AMI ListCategories reads files outside of the configuration"),
        ((20, 11, 1), (21, 6, 1), (22, 1, 1)),
    ),
    Hole(
        "GHSA-v6hp-wh3r-cwxh",
        Message("the HTTP server's /httpstatus page runs injected scripts"),
        ((20, 18, 2), (21, 12, 1), (22, 8, 2), (23, 2, 2)),
    ),
    Hole(
        "GHSA-wcvv-g26m-wx5c",
        Message("over the WebSocket, a read-only ARI user can write and load modules"),
        ((20, 20, 1), (21, 12, 3), (22, 10, 1), (23, 4, 1)),
        over_websocket=True,
    ),
    Hole(
        "GHSA-vrfp-mg3q-3959",
        Message("an ARI user can write files in spite of live_dangerously = no"),
        ((20, 20, 1), (21, 12, 3), (22, 10, 1), (23, 4, 1)),
    ),
    Hole(
        "GHSA-3rhj-hhw7-m6fw",
        Message("a request to AMI over HTTP crashes Asterisk"),
        ((20, 20, 1), (21, 12, 3), (22, 10, 1), (23, 4, 1)),
    ),
    Hole(
        "GHSA-589g-qgf8-m6mx",
        Message("a SIP NOTIFY from anyone disables PJSIP"),
        ((20, 20, 1), (21, 12, 3), (22, 10, 1), (23, 4, 1)),
    ),
)
"""Advisories on ARI, AMI and the HTTP server, and those by which a SIP peer without a password stops all calls."""

_UPGRADE: Final = Message("Upgrade Asterisk to the newest 22 (long-term); read its Upgrade Notes first")


def judge(text: str, today: date) -> Finding:
    """`text` is Asterisk's version: `22.10.1+dfsg`, `certified-20.7-cert5`, `20.9.3~dfsg-1`, `GIT-22-abc`."""
    topic = "asterisk-version"
    found = re.search(r"\d+(?:\.\d+)*", text)
    version: Version = tuple(map(int, found[0].split("."))) if found else ()
    if len(version) < 2:
        return warning(
            topic, Message("{text!r} is not a released version; its vulnerabilities are not known", text=text), _UPGRADE
        )
    if version[0] < OLDEST:
        return bad(
            topic, Message("{text}: the hook needs Asterisk {oldest} or newer", text=text, oldest=OLDEST), _UPGRADE
        )
    faults = []
    if not takes_requests_over_websocket(text):
        faults.append(
            Message("it lacks REST over the WebSocket (since 20.14, 21.9, 22.4), so each request costs a round trip")
        )
    end = ENDS.get(version[0])
    if end and today >= end:
        faults.append(Message("the branch {branch} has had no security fixes since {end}", branch=version[0], end=end))
    if "cert" in text:
        faults.append(Message("it is a certified release: check its own advisories"))
    else:
        faults += [
            Message("{advisory}: {what}", advisory=hole.advisory, what=hole.what)
            for hole in HOLES
            if hole.open_in(version)
        ]
    if not faults:
        return good(topic, text)
    named = joined("; ", faults)
    return warning(topic, Message("{text}, by its version number: {named}", text=text, named=named), _UPGRADE)
