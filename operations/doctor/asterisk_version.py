"""The doctor's check of Asterisk's version: branch, end of life, and known vulnerabilities.

The release notes of the Asterisk project (ChangeLogs/ChangeLog-VERSION.md in its repository) name the advisories that a
security release resolves. The advisories are at github.com/asterisk/asterisk/security/advisories. The page "Asterisk
Versions" in Asterisk's documentation lists the end-of-life dates.

The dates for 22 and 23 follow from the rule on that page: a long-term branch ends five years after the October of its
release, and a standard branch after two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from idtone.ari_app.asterisk_version import AsteriskVersion, Numbers
from idtone.core.settings.settings import Interface
from idtone.core.translation import Message, joined

from .findings import Finding, bad, good, warning

OLDEST: Final = 20
"""The oldest tested branch. Earlier branches no longer get security fixes, and 16 lacks functions that the hook uses.
"""

ENDS: Final[Mapping[int, date]] = {
    20: date(2027, 10, 19),
    21: date(2026, 10, 18),
    22: date(2029, 10, 16),
    23: date(2027, 10, 15),
}
"""Branch → date from which it no longer gets security fixes."""


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """A security advisory on Asterisk, with the versions that fixed the vulnerability.

    `fixed` has the first fixed version of each branch. Later branches were never affected, and other branches have no
    fix.
    """

    advisory: str
    what: str
    fixed: tuple[Numbers, ...]
    over_websocket: bool = False
    """True if only versions that support REST requests over the WebSocket are affected."""

    def open_in(self, version: AsteriskVersion) -> bool:
        numbers = version.numbers
        branch = {first[0]: first for first in self.fixed}
        first = branch.get(numbers[0])
        older = numbers < first if first else numbers[0] < max(branch)
        return older and (not self.over_websocket or version.takes_requests_over_websocket)


VULNERABILITIES: Final = (
    Vulnerability(
        "GHSA-c4cg-9275-6w44 (CVE-2024-42365)",
        Message("an AMI user with write=originate can run programs"),
        ((20, 9, 2), (21, 4, 2)),
    ),
    Vulnerability(
        "GHSA-v428-g3cw-7hv9 (CVE-2024-42491)",
        Message("a SIP request crashes Asterisk if it uses res_resolver_unbound"),
        ((20, 9, 3), (21, 4, 3)),
    ),
    Vulnerability(
        "GHSA-33x6-fj46-6rfh (CVE-2024-53566)",
        Message("AMI ListCategories reads files outside of the configuration"),
        ((20, 11, 1), (21, 6, 1), (22, 1, 1)),
    ),
    Vulnerability(
        "GHSA-v6hp-wh3r-cwxh",
        Message("the HTTP server's /httpstatus page runs injected scripts"),
        ((20, 18, 2), (21, 12, 1), (22, 8, 2), (23, 2, 2)),
    ),
    Vulnerability(
        "GHSA-wcvv-g26m-wx5c",
        Message("over the WebSocket, a read-only ARI user can write and load modules"),
        ((20, 20, 1), (21, 12, 3), (22, 10, 1), (23, 4, 1)),
        over_websocket=True,
    ),
    Vulnerability(
        "GHSA-vrfp-mg3q-3959",
        Message("an ARI user can write files in spite of live_dangerously = no"),
        ((20, 20, 1), (21, 12, 3), (22, 10, 1), (23, 4, 1)),
    ),
    Vulnerability(
        "GHSA-3rhj-hhw7-m6fw",
        Message("a request to AMI over HTTP crashes Asterisk"),
        ((20, 20, 1), (21, 12, 3), (22, 10, 1), (23, 4, 1)),
    ),
    Vulnerability(
        "GHSA-589g-qgf8-m6mx",
        Message("a SIP NOTIFY from anyone disables PJSIP"),
        ((20, 20, 1), (21, 12, 3), (22, 10, 1), (23, 4, 1)),
    ),
)
"""Advisories on ARI, AMI and the HTTP server, and those that allow a SIP peer without a password to stop all calls."""

_UPGRADE: Final = Message("Upgrade Asterisk to the newest 22 (long-term); read its Upgrade Notes first")
_UPGRADE_OR_AGI: Final = Message(
    "Upgrade Asterisk to the newest 22 (long-term); read its Upgrade Notes first. Until then, in idtone.yaml: "
    "`interface: agi`; then idtone dialplan export again"
)


def support_problem(text: str) -> Message | None:
    """Reason why idtone rejects an Asterisk version; None for a supported version."""
    branch = AsteriskVersion.read(text).branch
    if branch is None or branch >= OLDEST:
        return None
    return Message(
        "Asterisk {text} is too old: idtone needs Asterisk {oldest} or newer, and changes nothing on an older one",
        text=text,
        oldest=OLDEST,
    )


def judge(text: str, today: date, interface: Interface = Interface.ARI) -> Finding:
    """Check that Asterisk's version is supported and has no known vulnerability.

    `text` is the version. `interface` is the interface over which the hook sends its requests.
    """
    topic = "asterisk-version"
    if refused := support_problem(text):
        return bad(topic, refused, _UPGRADE)
    version = AsteriskVersion.read(text)
    if not version.is_release:
        return warning(
            topic, Message("{text!r} is not a released version; its vulnerabilities are not known", text=text), _UPGRADE
        )
    faults, remedy = [], _UPGRADE
    if version.is_candidate:
        faults.append(Message("it is a release candidate, not a release"))
    if interface is Interface.ARI and not version.answers_promptly:
        faults.append(
            Message("each verdict over ARI takes 0.2 s (before 20.6 and 21.1, Stasis looks for requests every 200 ms)")
        )
        remedy = _UPGRADE_OR_AGI
    if not version.takes_requests_over_websocket:
        faults.append(
            Message("it lacks REST over the WebSocket (since 20.14, 21.9, 22.4), so each request costs a round trip")
        )
    branch = version.numbers[0]
    end = ENDS.get(branch)
    if end and today >= end:
        faults.append(Message("the branch {branch} has had no security fixes since {end}", branch=branch, end=end))
    if version.is_certified:
        faults.append(Message("it is a certified release: check its own advisories"))
    else:
        faults += [
            Message("{advisory}: {what}", advisory=hole.advisory, what=hole.what)
            for hole in VULNERABILITIES
            if hole.open_in(version)
        ]
    if not faults:
        return good(topic, text)
    named = joined("; ", faults)
    return warning(topic, Message("{text}, by its version number: {named}", text=text, named=named), remedy)
