"""What the doctor can find: the topics with the reason why each matters, and a finding as a value. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypedDict


class State(StrEnum):
    GOOD = "good"
    WARNING = "warning"
    """Works today, and will hurt."""
    BAD = "bad"
    """Calls, evidence or secrets suffer now."""
    UNKNOWN = "unknown"
    """Could not be looked at; `found` says why."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One thing that is looked at."""

    looked_at: str
    why: str


TOPICS: Final[Mapping[str, Topic]] = {
    "ari": Topic(
        "Asterisk's REST interface",
        "The hook asks the service over it, and the service ends calls of suspended numbers. Without it the hook "
        "decides by itself.",
    ),
    "asterisk-version": Topic(
        "Asterisk's version",
        "Old versions lack REST over the WebSocket, and have holes through which others control the PBX.",
    ),
    "asterisk-modules": Topic(
        "Asterisk's modules",
        "A dialplan application or function without its module makes the hook go wrong in the middle of a call.",
    ),
    "ari-rights": Topic("Rights of the ARI user", "A user who may only read cannot let a call go on."),
    "ari-password": Topic("Password of the ARI user", "Anyone who has it commands every call of the PBX."),
    "ari-origins": Topic(
        "allowed_origins of ARI", "A web page from there commands the PBX through the browser of a user who knows it."
    ),
    "ari-exposure": Topic(
        "Where Asterisk's HTTP server listens",
        "Without TLS the password crosses the network in clear, and anyone there can try passwords.",
    ),
    "live-dangerously": Topic(
        "live_dangerously in asterisk.conf",
        "With it, anyone who can set a variable (ARI, AMI, a SIP header in one) runs programs and writes files.",
    ),
    "cdr": Topic(
        "Asterisk's CDR engine (func_cdr)",
        "It says how long a sound was played where packets do not: on Local channels, to a caller who hears it alone, "
        "after early media. Without it, the evidence of these calls is weaker (known_by: dial).",
    ),
    "hook-loaded": Topic(
        "The hook, as Asterisk has loaded it",
        "Only this version's hook, with these settings, asks the service and does the right thing without it.",
    ),
    "hook-file": Topic(
        "The hook's file", "It is what Asterisk loads at its next reload; a changed one may drop rules."
    ),
    "hook-include": Topic(
        "The hook's #include", "Without it the hook is gone with Asterisk's next reload, and calls to it fail."
    ),
    "hook-use": Topic(
        "Where the dialplan uses idtone-called",
        "Where Asterisk does not look at its result, it connects suspended numbers, and calls without their sound.",
    ),
    "sounds": Topic("The sound files", "A missing or damaged file lets callers hear the notice, or a wrong sound."),
    "sounds-readable": Topic(
        "Asterisk's right to read the sounds", "What Asterisk cannot read is not played, and no suspension is known."
    ),
    "sounds-writable": Topic(
        "The service's right to write beside the sounds",
        "If the service cannot write a suspension there, Asterisk does not know it: while the service is down, it "
        "connects the number.",
    ),
    "fallback": Topic(
        "What the hook decides by while the service is down (fallback.conf)",
        "While the service is down, this file alone keeps suspended numbers from their destination.",
    ),
    "journal": Topic(
        "The journal, in which Asterisk writes what it did",
        "A call that Asterisk cannot write down there has no evidence that its sound was heard, and no end.",
    ),
    "journal-writable": Topic(
        "The service's right to write in the journal's folder",
        "The service puts an empty journal in place of one that it has read. If it cannot, numbers stay in clear.",
    ),
    "name-ari": Topic("The host name in ari.url", "A slow look-up delays each connection to Asterisk."),
    "name-own": Topic(
        "The machine's own host name",
        "Asterisk looks it up for RTP that is bound to all addresses; a slow answer stops calls for seconds.",
    ),
    "clock-asterisk": Topic(
        "This clock and Asterisk's", "Evidence holds times of both; apart, they make an impossible story."
    ),
    "clock-synchronised": Topic("Synchronisation of the clock", "Evidence is worth what its clock is worth."),
    "clock-date": Topic("The date", "Licences, suspensions and the registry are judged by it."),
    "registry": Topic("The registry", "Without a registry no licence counts, and every call gets the notice."),
    "registry-trust": Topic("Who signed the registry", "Anyone who can write an unsigned registry can change it."),
    "registry-cache": Topic(
        "What is kept of the registry",
        "It was verified when it came: anyone who can write there speaks for the association.",
    ),
    "registry-fresh": Topic("The registry's term", "After it no licence counts until there is a newer registry."),
    "registry-licences": Topic("The licences", "A number without a valid licence gets the notice, or is refused."),
    "registry-sounds": Topic(
        "The licensed sounds", "A licensed sound that is missing, or not the registered one, is replaced by the notice."
    ),
    "ledger": Topic("The ledger", "It holds the evidence (再生証跡) that sounds were heard."),
    "ledger-room": Topic("Room for the ledger", "On a full disk evidence lives on its reserve."),
    "ledger-reserve": Topic(
        "The ledger's reserve",
        "It keeps evidence going when the disk is full. Beyond it policy.ledger_full applies, and evidence is lost.",
    ),
    "ledger-aside": Topic("Damaged ledgers", "What was set aside is evidence too: it wants to be verified and kept."),
    "ledger-key": Topic(
        "The ledger's key",
        "It opens the keys of the days beside it, and these open the telephone numbers. Without it no one can.",
    ),
    "ledger-signed": Topic(
        "The signature on the ledger", "Evidence that is not signed, or not as it was signed, proves nothing."
    ),
    "ledger-postgresql": Topic(
        "This node's ledger in PostgreSQL",
        "What is not there is in no list of the fleet, and lost with this machine's disk.",
    ),
    "ledger-sqlite": Topic(
        "SQLite under the ledger", "Versions with the WAL-reset bug can lose committed evidence (docs/adr/0001)."
    ),
    "service": Topic(
        "The service", "While it does not run, calls get the notice from Asterisk, and their evidence later."
    ),
    "service-application": Topic(
        "The ARI application idtone", "Calls reach the service only while it is registered with Asterisk."
    ),
    "agi": Topic(
        "The AGI listener of the service",
        "The hook asks the service there.",
    ),
    "watchdog": Topic("The watchdog", "It alone notices that the service hangs, and restarts it."),
}


class FindingReport(TypedDict):
    """A finding for programs; `remedy` is None where there is nothing to do."""

    id: str
    looked_at: str
    state: str
    found: str
    why: str
    remedy: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen of one topic. Raises ValueError where the remedy of something that is not good is missing."""

    topic: str
    state: State
    found: str
    remedy: str = ""
    """A command, or the line to write into which file."""

    def __post_init__(self) -> None:
        if self.topic not in TOPICS:
            raise ValueError(f"there is no topic {self.topic!r}")
        if not self.found or bool(self.remedy) is (self.state is State.GOOD):
            raise ValueError(f"{self.topic}: {self.state} needs what was found, and all but good a remedy")

    @property
    def looked_at(self) -> str:
        return TOPICS[self.topic].looked_at

    @property
    def why(self) -> str:
        return TOPICS[self.topic].why

    def report(self) -> FindingReport:
        return FindingReport(
            id=self.topic,
            looked_at=self.looked_at,
            state=self.state.value,
            found=self.found,
            why=self.why,
            remedy=self.remedy or None,
        )


def good(topic: str, found: str) -> Finding:
    return Finding(topic, State.GOOD, found)


def warning(topic: str, found: str, remedy: str) -> Finding:
    return Finding(topic, State.WARNING, found, remedy)


def bad(topic: str, found: str, remedy: str) -> Finding:
    return Finding(topic, State.BAD, found, remedy)


def unknown(topic: str, found: str, remedy: str) -> Finding:
    return Finding(topic, State.UNKNOWN, found, remedy)
