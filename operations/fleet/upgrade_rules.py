"""The rules for a rolling upgrade: its steps, a node's status, and the faults that stop it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

from idtone.core.translation import Message, template


class Step(StrEnum):
    """The steps of a node's upgrade, in order.

    Each step can be repeated.
    """

    LOOK = "look"
    DRAIN = "drain"
    WAIT = "wait"
    INSTALL = "install"
    HAND_OVER = "hand-over"
    HOOK = "hook"
    CHECK = "check"
    PUT_BACK = "put-back"


MEANING: Final[Mapping[Step, str]] = {
    Step.LOOK: template("look at the node: idtone status, idtone doctor"),
    Step.DRAIN: template("take it out of the dispatchers: no new calls"),
    Step.WAIT: template("wait until no new calls come"),
    Step.INSTALL: template("install the new version"),
    Step.HAND_OVER: template("hand over to the new version; calls in progress continue"),
    Step.HOOK: template("export the hook and reload the dialplan, if the hook differs"),
    Step.CHECK: template("check: version, Asterisk, registry, no finding worse than before"),
    Step.PUT_BACK: template("put it back into the dispatchers"),
}

_WORSE: Final = {"good": 0, "unknown": 1, "warning": 2, "bad": 3}
"""The doctor's states, ranked from good to bad."""
_SHOWN: Final = {
    "good": Message("good"),
    "unknown": Message("not checked"),
    "warning": Message("warning"),
    "bad": Message("bad"),
}
HOOK_FILE, HOOK_LOADED = "hook-file", "hook-loaded"
"""The doctor's topics for the hook."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The values in `idtone status --json` that an upgrade needs."""

    running: bool
    version: str = ""
    pid: int = 0
    decided: int = 0
    """Number of calls for which this instance has made a decision."""
    in_progress: int = 0
    ari: bool = False
    registry: int = 0
    trust: str | None = None
    settings: int | None = None
    """The version of the fleet settings."""
    troubles: tuple[str, ...] = ()
    """The parts that are in trouble: fallback, ledger or replication."""

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Parse the output of `idtone status --json`; None for any other text.

        Fields that another version of idtone may lack are optional.
        """
        try:
            said = json.loads(text)
            if not said["running"]:
                return cls(False)
            calls, registry = said["calls"], said["registry"]
            return cls(
                True,
                str(said["instance"]["version"]),
                int(said["instance"]["pid"]),
                sum(int(each["calls"]) for each in calls["decisions"]),
                int(calls["in_progress"]),
                said["ari"]["connected"] is True,
                int(registry["version"]),
                registry["trust"],
                (said.get("settings") or {}).get("version"),
                tuple(name for name in ("fallback", "ledger", "replication") if (said.get(name) or {}).get("trouble")),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One finding in `idtone doctor --json`."""

    state: str
    looked_at: str = ""
    found: str = ""


def read_findings(text: str) -> dict[str, DoctorFinding] | None:
    """Parse the output of `idtone doctor --json` into findings by topic; None for any other text."""
    try:
        return {
            str(each["id"]): DoctorFinding(str(each["state"]), str(each["looked_at"]), str(each["found"]))
            for each in json.loads(text)
        }
    except (ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class StateBefore:
    """A node's state before its upgrade, as the journal stores it."""

    version: str
    registry: int
    trust: str | None
    settings: int | None
    troubles: tuple[str, ...] = ()
    findings: Mapping[str, str] = field(default_factory=dict)
    """The doctor's topics and their states."""

    @classmethod
    def of(cls, status: NodeStatus, findings: Mapping[str, DoctorFinding]) -> Self:
        states = {topic: each.state for topic, each in findings.items()}
        return cls(status.version, status.registry, status.trust, status.settings, status.troubles, states)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Parse the state in a journal entry.

        Raises KeyError or TypeError if it is malformed.
        """
        return cls(
            value["version"],
            value["registry"],
            value["trust"],
            value["settings"],
            tuple(value["troubles"]),
            dict(value["findings"]),
        )


def reasons_not_to_upgrade(status: NodeStatus) -> Iterator[str]:
    if not status.running:
        yield Message("no service runs there; start it first")
    elif not status.ari:
        yield Message("the service does not reach Asterisk's ARI; correct that first")


def is_handed_over(before_pid: int, status: NodeStatus, installed: str) -> bool:
    """True if a new instance is serving calls with the installed version.

    `before_pid` is the earlier instance's process id.
    """
    return status.running and status.pid != before_pid and status.version == installed and status.ari


def faults_after_upgrade(
    before: StateBefore, status: NodeStatus, findings: Mapping[str, DoctorFinding], installed: str
) -> Iterator[str]:
    if not status.running:
        yield Message("no service runs")
        return
    if status.version != installed:
        yield Message(
            "version {version} serves, and {installed} is installed", version=status.version, installed=installed
        )
    if not status.ari:
        yield Message("the service does not reach Asterisk's ARI")
    if status.registry < before.registry or (status.trust != before.trust):
        yield Message(
            "the registry has version {now} ({trust}), and had {before} ({before_trust})",
            now=status.registry,
            trust=status.trust,
            before=before.registry,
            before_trust=before.trust,
        )
    if before.settings is not None and (status.settings or 0) < before.settings:
        yield Message(
            "the fleet's settings have version {now}, and had {before}",
            now=status.settings or 0,
            before=before.settings,
        )
    for name in status.troubles:
        if name not in before.troubles:
            yield Message("there is trouble with the {name}, and was none", name=name)
    for topic, each in findings.items():
        # A topic that the old version did not have counts if it is bad.
        old = before.findings.get(topic, "warning")
        if _WORSE.get(each.state, 0) > _WORSE.get(old, 0):
            yield Message(
                "{looked_at} was {old} and is {state}: {found}",
                looked_at=each.looked_at,
                old=_SHOWN.get(before.findings.get(topic, "unknown"), old),
                state=_SHOWN.get(each.state, each.state),
                found=each.found,
            )
