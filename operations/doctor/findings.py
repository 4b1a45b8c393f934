"""The doctor's topics, why each matters, and its findings."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypedDict

from idtone.core.translation import as_message

from ..planned_changes import Change


class State(StrEnum):
    GOOD = "good"
    WARNING = "warning"
    """Everything works now, but this will cause trouble."""
    BAD = "bad"
    """Calls, evidence or secrets are affected now."""
    UNKNOWN = "unknown"
    """The check was not possible; `found` says why."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that the doctor checks, and why it matters."""

    looked_at: str
    why: str


def _topic(looked_at: str, why: str) -> Topic:
    return Topic(as_message(looked_at), as_message(why))


TOPICS: Final[Mapping[str, Topic]] = {
    "ari": _topic(
        "Asterisk's REST interface",
        "The hook sends its requests over it, and the service ends calls of suspended numbers "
        "over it. Without it, the hook falls back.",
    ),
    "asterisk-version": _topic(
        "Asterisk's version",
        "Old versions answer the service late, and have vulnerabilities by which others can control the PBX.",
    ),
    "asterisk-modules": _topic(
        "Asterisk's modules",
        "Without the module of a dialplan application or function, the hook fails in the middle of a call.",
    ),
    "ari-rights": _topic("Rights of the ARI user", "A read-only user cannot send the verdict of a call."),
    "ari-password": _topic("Password of the ARI user", "Anyone who has the password controls all calls of the PBX."),
    "ari-origins": _topic(
        "allowed_origins of ARI",
        "A web page from such an origin can control the PBX through the browser of a user who knows the password.",
    ),
    "ari-exposure": _topic(
        "Where Asterisk's HTTP server listens",
        "Without TLS the password crosses the network in clear, and anyone in that network can try passwords.",
    ),
    "live-dangerously": _topic(
        "live_dangerously in asterisk.conf",
        "With it, anyone who can set a variable (by ARI, AMI or a SIP header) can run programs and write files.",
    ),
    "cdr": _topic(
        "Asterisk's CDR engine (func_cdr)",
        "It gives the playing time of a sound where packets do not: on Local channels, if only "
        "the caller hears it, and after early media. Without it, the evidence of these calls is "
        "weaker (known_by: dial).",
    ),
    "cel": _topic(
        "Asterisk's channel events (CEL)", "If no module writes them anywhere, they only cost processor time."
    ),
    "endpoint-channels": _topic(
        "Channels of one endpoint",
        "Whenever a channel changes, Asterisk looks at all channels of its endpoint. So the more calls go over one "
        "endpoint, the longer a new call takes.",
    ),
    "open-files": _topic(
        "Asterisk's limit of open files",
        "A call needs ten. Without them Asterisk refuses calls (503), fills its log, and evidence is missing.",
    ),
    "hook-loaded": _topic(
        "The hook in Asterisk's dialplan",
        "Only the hook of this version, with these settings, fits the service and falls back correctly.",
    ),
    "hook-file": _topic(
        "The hook's file", "Asterisk loads this file at its next reload. A changed file may lack rules."
    ),
    "hook-include": _topic(
        "The hook's #include", "Without it, Asterisk's next reload removes the hook, and calls to it fail."
    ),
    "hook-use": _topic(
        "Where the dialplan uses the hook",
        "Where Asterisk ignores the result of idtone-called, it connects suspended numbers, and calls without "
        "their sound. The evidence cannot show that the sound reached a caller behind a Local channel.",
    ),
    "sound-codecs": _topic(
        "The codecs of the endpoints",
        "Without a transcoder to a call's codec Asterisk connects the call, and nobody hears its sound.",
    ),
    "presented-number": _topic(
        "The number that called parties see",
        "The sound says that a checked member answers for the number. It must be the number that is shown.",
    ),
    "emergency-trunks": _topic(
        "The trunks of emergency calls",
        "An emergency call is connected, whatever the registry says. Without names, a destination that is called "
        "110 on any trunk is one too.",
    ),
    "sounds": _topic("The sound files", "If a file is missing or damaged, parties hear the notice or a wrong sound."),
    "sounds-readable": _topic(
        "Asterisk's right to read the sounds",
        "Asterisk cannot play a sound that it cannot read. Without fallback.conf it refuses every call while the "
        "service is down.",
    ),
    "sounds-writable": _topic(
        "The service's right to write beside the sounds",
        "If the service cannot write a suspension there, Asterisk does not know it, and connects "
        "the number while the service is down. Without the file it refuses every call then.",
    ),
    "fallback": _topic(
        "The hook's own decisions (fallback.conf)",
        "While the service is down, only this file stops calls of suspended numbers. If it is missing or cut, "
        "Asterisk refuses every call then.",
    ),
    "journal": _topic(
        "The journal, in which Asterisk writes what it did",
        "If Asterisk cannot write there, calls have no evidence that the sound was sent, and no end.",
    ),
    "journal-writable": _topic(
        "The service's right to write in the journal's folder",
        "The service replaces a journal that it has read by an empty one. If it cannot, numbers stay there in clear.",
    ),
    "name-ari": _topic("The host name in ari.url", "A slow look-up delays each connection to Asterisk."),
    "name-own": _topic(
        "The machine's own host name",
        "Asterisk looks it up for RTP that is bound to all addresses. A slow look-up holds up calls for seconds.",
    ),
    "clock-asterisk": _topic(
        "This clock and Asterisk's", "Evidence has times of both. If they differ, the order of events is wrong."
    ),
    "clock-synchronised": _topic(
        "Synchronisation of the clock", "A wrong clock makes the times of the evidence wrong."
    ),
    "clock-date": _topic("The date", "It decides whether licences, suspensions and the registry are in force."),
    "registry": _topic("The registry", "Without a registry no licence counts, and every call gets the notice."),
    "registry-trust": _topic("Who signed the registry", "Anyone who can write an unsigned registry can change it."),
    "registry-cache": _topic(
        "The verified copy of the registry",
        "It was verified when it was fetched. Anyone who can write there can change the registry.",
    ),
    "registry-fresh": _topic("The registry's expiry", "After it no licence counts until there is a newer registry."),
    "registry-member": _topic(
        "This node's member",
        "A call may only use a number of this member, or one that went through it to a reseller (卸).",
    ),
    "registry-never-originates": _topic(
        "Numbers that never originate", "A call that presents one of them is spoofed, and is refused."
    ),
    "registry-certifications": _topic(
        "The certifications",
        "When a certification has lapsed, calls of the numbers that depend on it get chain-unchecked.",
    ),
    "registry-licences": _topic("The licences", "A number without a valid licence gets the notice, or is refused."),
    "registry-sounds": _topic(
        "The licensed sounds", "If a licensed sound is missing, or is not the registered one, parties hear the notice."
    ),
    "lines": _topic(
        "The table of the customers' lines",
        "It says which line may present which numbers. Without it each customer's line can present any number that "
        "the member holds.",
    ),
    "lines-fallback": _topic(
        "The hook's lines (fallback-lines.conf)",
        "By this file the hook refuses the numbers of other lines then. Without it, it refuses outgoing calls.",
    ),
    "lines-members": _topic(
        "The numbers of the customers' lines",
        "A number that this member does not hold is refused, although the table of lines has it.",
    ),
    "lines-endpoints": _topic(
        "Endpoints without a line", "Outgoing calls from an endpoint that the table of lines does not have are refused."
    ),
    "brake": _topic(
        "What the brake holds",
        "The calls of a stopped line, customer, trunk or number are refused until a person releases it.",
    ),
    "own-suspensions": _topic(
        "This node's own suspensions",
        "The police expect that a stopped number stays stopped, that the contract ends (契約解除), and that its "
        "contractor is reported.",
    ),
    "ledger": _topic("The ledger", "It holds the evidence (再生証跡) of the sounds that were sent."),
    "ledger-room": _topic("Free space for the ledger", "On a full disk only the reserve has space for evidence."),
    "ledger-reserve": _topic(
        "The ledger's reserve",
        "It has space for evidence when the disk is full. When it is used up, policy.ledger_full "
        "applies, and evidence is lost.",
    ),
    "ledger-aside": _topic("Damaged ledgers", "A damaged ledger is evidence too: verify it and keep it."),
    "ledger-retention": _topic(
        "How long numbers are kept",
        "By the guideline on personal data in telecommunications, call history is kept as long as needed: usually "
        "six months, and at most about a year.",
    ),
    "ledger-holds": _topic(
        "Legal holds", "The numbers of held calls are kept longer than others, so each needs a reason."
    ),
    "ledger-timestamp": _topic(
        "The authority's timestamps", "Without them the times in the evidence are only those of this machine."
    ),
    "ledger-token": _topic("The token with the key of the log", "Without it, evidence is written and not signed."),
    "ledger-key": _topic(
        "The ledger's key", "It opens the day keys beside it, and these open the telephone numbers. No other key can."
    ),
    "ledger-signed": _topic(
        "The signature on the ledger", "Evidence proves nothing if it is not signed, or was changed after signing."
    ),
    "ledger-ends": _topic(
        "The ends of earlier logs",
        "Until its own key has signed the end of a log, only the next log vouches for its last leaves.",
    ),
    "ledger-postgresql": _topic(
        "This node's ledger in PostgreSQL",
        "Lists of several nodes lack the steps that are not there, and a failure of this machine's disk loses them.",
    ),
    "ledger-others": _topic(
        "The other PostgreSQL servers of the fleet",
        "Lists of several nodes lack the calls of the nodes that replicate to a server without an answer.",
    ),
    "ledger-sqlite": _topic(
        "SQLite under the ledger", "Versions with the WAL-reset bug can lose committed evidence (docs/adr/0001)."
    ),
    "fleet-settings": _topic(
        "The settings of the fleet",
        "A node with other settings than its fleet decides, sounds or keeps evidence otherwise than the others.",
    ),
    "backup": _topic("The backups", "Only an archive that a drill has restored brings the evidence and its keys back."),
    "canary": _topic(
        "The last canary call",
        "Only a call that is answered shows that the sound which Asterisk sends arrives at a telephone.",
    ),
    "service": _topic(
        "The service", "While it does not run, the hook falls back, and the evidence of its calls comes later."
    ),
    "service-application": _topic(
        "The ARI application idtone", "Calls reach the service only while it is registered with Asterisk."
    ),
    "agi": _topic("The AGI listener of the service", "The hook sends its requests there."),
    "watchdog": _topic("The watchdog", "Only the watchdog notices that the service hangs, and restarts it."),
}


class FindingReport(TypedDict):
    """One of the doctor's findings as a JSON object.

    `remedy` is None if no action is needed.
    """

    id: str
    looked_at: str
    state: str
    found: str
    why: str
    remedy: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """The doctor's result for one topic.

    Raises ValueError for a good finding with a remedy, or another finding without one.
    """

    topic: str
    state: State
    found: str
    remedy: str = ""
    """A command, or a line and the file to write it into."""
    changes: tuple[Change, ...] = ()
    """The remedy as changes, if it only changes access rights."""

    def __post_init__(self) -> None:
        if self.topic not in TOPICS:
            raise ValueError(f"there is no topic {self.topic!r}")
        if not self.found or bool(self.remedy) is (self.state is State.GOOD):
            raise ValueError(f"{self.topic}: {self.state} needs what was found; all states but good need a remedy")

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


def warning(topic: str, found: str, remedy: str, *changes: Change) -> Finding:
    return Finding(topic, State.WARNING, found, remedy, changes)


def bad(topic: str, found: str, remedy: str, *changes: Change) -> Finding:
    return Finding(topic, State.BAD, found, remedy, changes)


def unknown(topic: str, found: str, remedy: str) -> Finding:
    return Finding(topic, State.UNKNOWN, found, remedy)
