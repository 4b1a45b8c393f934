"""Descriptions of outcomes, reasons and rules for people.

The reference page of the reasons and the console's texts come from these tables. Backticks mark code.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from .calls import Direction, Outcome, Reason
from .translation import template


class OutcomeWords(NamedTuple):
    """Description of an outcome: the case in which it applies, the sound, and how the call continues."""

    when: str
    sound: str
    then: str


OUTCOMES: Final[Mapping[Outcome, OutcomeWords]] = {
    Outcome.PLAY: OutcomeWords(
        template("a valid licence covers number, direction and time"),
        template("the licensed sound"),
        template("connected"),
    ),
    Outcome.NOTICE: OutcomeWords(
        template(
            "no valid licence and `policy.unlicensed: notice`; another member's number and `policy.foreign_numbers: "
            "notice`; a fallback and `policy.fallback: notice`; or no room for evidence and `policy.ledger_full: "
            "notice-and-connect`"
        ),
        template("the notice"),
        template("connected"),
    ),
    Outcome.REFUSE: OutcomeWords(
        template(
            "the number is suspended, or never originates; it is not this node's to use (`policy.foreign_numbers`, "
            "`policy.unknown_numbers`), or not the line's (`lines.source`); it cannot be read and "
            "`policy.unreadable: refuse`; the brake has stopped or slowed the line; the policy says `refuse`; or the "
            "hook's arguments cannot be trusted"
        ),
        "–",
        template(
            "nothing is dialled; the caller gets `policy.refuse_cause`, 42 if the line is slowed, or 21 if the "
            "arguments cannot be trusted"
        ),
    ),
    Outcome.SHED: OutcomeWords(
        template("too many calls wait for a verdict (`policy.overload: shed`)"),
        "–",
        template("nothing is dialled; the caller gets cause 42"),
    ),
    Outcome.BYPASS: OutcomeWords(
        template(
            "each destination is on a trunk (`policy.emergency_trunks`) and dials 110, 118 or 119, in each spelling: "
            "after 184, 186 or +81, with `tel:` or `sip:`, with separators, full-width"
        ),
        template("nothing"),
        template("connected at once"),
    ),
}

REASONS: Final[Mapping[Reason, str]] = {
    Reason.EMERGENCY: template("an emergency number is called on a trunk"),
    Reason.NUMBER_SUSPENDED: template("the forwarding number is suspended at the request of the police"),
    Reason.NUMBER_NEVER_ORIGINATES: template(
        "the forwarding number, or the number that the caller presents, is one that never originates calls"
    ),
    Reason.LICENCE_VALID: template("the member's licence covers the call"),
    Reason.LICENCE_EXPIRED: template("the licence has run out"),
    Reason.LICENCE_REVOKED: template("the association has revoked the licence"),
    Reason.LICENCE_SUSPENDED: template("the association has suspended the licence"),
    Reason.LICENCE_NOT_YET_VALID: template("the licence begins later"),
    Reason.PLEDGE_MISSING: template(
        "the member's pledge is not in force: there is none, it is signed later, or its renewal is due"
    ),
    Reason.LICENCE_NONE: template("the member that holds the number holds no licence (for this sound)"),
    Reason.CHAIN_UNCHECKED: template(
        "a reseller in the number's wholesale chain was never checked, or its last check is older than "
        "`policy.chain_check`; or the certification of a member of the chain has lapsed"
    ),
    Reason.DIRECTION_NOT_COVERED: template("the licence does not cover this direction"),
    Reason.NUMBER_OF_ANOTHER_MEMBER: template(
        "another member holds the forwarding number: neither this node's member nor a wholesale chain through it"
    ),
    Reason.MEMBER_NOT_SET: template("this node does not say whose it is (`association.member`), so no licence counts"),
    Reason.NUMBER_UNKNOWN: template(
        "no member holds the forwarding number; without the registry or the service: it is not among this node's own"
    ),
    Reason.NUMBER_WITHHELD: template("the forwarding number is withheld"),
    Reason.NUMBER_MALFORMED: template(
        "the forwarding number is not clearly a telephone number, or the hook's arguments cannot be trusted"
    ),
    Reason.PRESENTED_NUMBER_DIFFERS: template(
        "an outgoing call by the operator's own `Dial()` presents another number than the forwarding number"
    ),
    Reason.REGISTRY_STALE: template("the registry has expired, and `policy.registry_stale` has passed"),
    Reason.REGISTRY_MISSING: template("the service has no registry"),
    Reason.NUMBER_OF_ANOTHER_CUSTOMER: template(
        "the caller's line may not present the forwarding number, by the table of lines (`lines.source`)"
    ),
    Reason.LINE_UNKNOWN: template("the table of lines has neither the caller's endpoint nor its account code"),
    Reason.LINES_MISSING: template("the table of lines could never be read"),
    Reason.BRAKE_STOP: template(
        "the brake has stopped the line, customer, trunk or number, until an operator releases it (`idtone brake`)"
    ),
    Reason.BRAKE_SLOW: template(
        "the brake has slowed the line, customer, trunk or number, and the call is above its pace"
    ),
    Reason.LEDGER_FULL: template("there is no room for the evidence of the call, whatever its licence"),
    Reason.SERVICE_UNAVAILABLE: template("the service gave no verdict; the hook fell back"),
    Reason.CALL_ID_UNREADABLE: template(
        "the caller's SIP Call-ID has characters that Asterisk cannot pass on to the service; the hook fell back"
    ),
    Reason.SUSPENSIONS_UNKNOWN: template(
        "the service gave no verdict, and the hook could not read the suspended numbers: any number may be suspended"
    ),
    Reason.OVERLOAD: template("too many calls waited for a verdict; the hook turned the call away"),
}
"""The meaning of each reason code."""


class Rule(NamedTuple):
    words: str
    reasons: frozenset[Reason]


RULES: Final = (
    Rule(
        template("An emergency call is connected at once, whatever else is true."),
        frozenset({Reason.EMERGENCY}),
    ),
    Rule(
        template("A suspended number is refused, whatever its licence."),
        frozenset({Reason.NUMBER_SUSPENDED}),
    ),
    Rule(
        template(
            "A call from a number that never originates is refused: as the forwarding number, and as the number that "
            "the caller presents."
        ),
        frozenset({Reason.NUMBER_NEVER_ORIGINATES}),
    ),
    Rule(
        template("A call whose forwarding number cannot be read, or is withheld, is refused (`policy.unreadable`)."),
        frozenset({Reason.NUMBER_WITHHELD, Reason.NUMBER_MALFORMED}),
    ),
    Rule(
        template(
            "Another member's number is refused (`policy.foreign_numbers`), and so is, on an outgoing call, one that "
            "no member holds (`policy.unknown_numbers`). On an incoming call `policy.unlicensed` decides on the latter."
        ),
        frozenset({Reason.NUMBER_OF_ANOTHER_MEMBER, Reason.NUMBER_UNKNOWN}),
    ),
    Rule(
        template(
            "With `lines.source`, an outgoing call is refused unless the table of lines gives the forwarding number to "
            "the caller's endpoint; if it has no such endpoint, to its account code."
        ),
        frozenset({Reason.NUMBER_OF_ANOTHER_CUSTOMER, Reason.LINE_UNKNOWN, Reason.LINES_MISSING}),
    ),
    Rule(
        template("An outgoing call that presents another number than the forwarding number is refused."),
        frozenset({Reason.PRESENTED_NUMBER_DIFFERS}),
    ),
    Rule(
        template(
            "A call of a line, customer, trunk or number that the brake has stopped is refused, or slowed (`brake`)."
        ),
        frozenset({Reason.BRAKE_STOP, Reason.BRAKE_SLOW}),
    ),
    Rule(
        template("While there is no room for evidence, `policy.ledger_full` decides on each call that could connect."),
        frozenset({Reason.LEDGER_FULL}),
    ),
    Rule(
        template(
            "A licence counts only in a valid registry, on a node that says whose it is, and if the number's "
            "wholesale chain is checked and certified. Else `policy.unlicensed` decides, or `policy.unchecked_chain`."
        ),
        frozenset(
            {
                Reason.REGISTRY_MISSING,
                Reason.REGISTRY_STALE,
                Reason.MEMBER_NOT_SET,
                Reason.CHAIN_UNCHECKED,
            }
        ),
    ),
    Rule(
        template("A licence that is valid now, with the pledge in force, for this direction: its sound is played."),
        frozenset({Reason.LICENCE_VALID}),
    ),
    Rule(
        template(
            "Otherwise `policy.unlicensed` decides. Of several licences, the one that comes closest to allowing the "
            "call gives the reason."
        ),
        frozenset(
            {
                Reason.DIRECTION_NOT_COVERED,
                Reason.PLEDGE_MISSING,
                Reason.LICENCE_SUSPENDED,
                Reason.LICENCE_EXPIRED,
                Reason.LICENCE_NOT_YET_VALID,
                Reason.LICENCE_REVOKED,
                Reason.LICENCE_NONE,
            }
        ),
    ),
    Rule(
        template(
            "Without a verdict of the service the hook decides by itself: it refuses suspended numbers, numbers that "
            "are not this node's own (`number-unknown`) or, in an outgoing call, not the line's, and every call if it "
            "cannot read which numbers these are. "
            "Else `policy.fallback` decides, or it turns the call away."
        ),
        frozenset(
            {
                Reason.SERVICE_UNAVAILABLE,
                Reason.CALL_ID_UNREADABLE,
                Reason.SUSPENSIONS_UNKNOWN,
                Reason.OVERLOAD,
            }
        ),
    ),
)
"""The rules of `decision.decide`, in the order in which they apply. The hook's rules for calls without the service come
last.
"""

DIRECTIONS: Final[Mapping[Direction, str]] = {
    Direction.INCOMING: template("incoming"),
    Direction.OUTGOING: template("outgoing"),
}
