"""This node's current and upcoming problems, for `idtone status` and emails."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from idtone.core.translation import Message
from idtone.registry.licence_lapses import LicenceLapse, over_and_soon

RESTARTED_WITHIN: Final = timedelta(minutes=10)
"""How long a restart after a crash is shown."""
JOURNAL_LAG_S: Final = 10.0
NO_REGISTRY: Final = Message("there is no registry, so no licence is valid; the log says why")


@dataclass(frozen=True, slots=True)
class Trouble:
    id: str
    """A stable id, so that only one email is sent about the problem."""
    text: str
    at_once: bool = False
    """True if it cannot be temporary. A restart by the operator, in contrast, briefly looks like a service that is
    down.
    """
    is_warning: bool = False
    """True if nothing is wrong yet, but will be unless someone acts."""

    def to_json(self) -> dict[str, str]:
        return {"id": self.id, "text": str(self.text)}


def troubles(found: Mapping[str, Any], restarts: int, now: datetime) -> list[Trouble]:
    """All problems in a state from `idtone status`. `restarts` counts the unit's automatic restarts."""
    made = _without_service(found) if not found["running"] else _of_service(found, now)
    if restarts and _is_recent(found, now):
        crashed = Message(
            "the service ended and was restarted by systemd {restarts} times; journalctl -u idtone says why",
            restarts=restarts,
        )
        made.append(Trouble("restarts", crashed, at_once=True))
    return made


def _is_recent(found: Mapping[str, Any], now: datetime) -> bool:
    """True if there was a recent restart. An instance that took over from another one reports no restart."""
    if not found["running"]:
        return True
    instance = found["instance"]
    return not instance["hand_overs"] and now - datetime.fromisoformat(instance["since"]) < RESTARTED_WITHIN


def _of_licences(found: Iterable[Mapping[str, Any]], now: datetime) -> Iterator[Trouble]:
    """Licence problems, one for each direction, so that each gets a separate email."""
    over, soon = over_and_soon(map(LicenceLapse.of_json, found), now)
    for each in over:
        lapsed = Message(
            "a licence has lapsed, and no other one covers the calls: {licence}; they get the notice or are refused "
            "(policy.unlicensed); {remedy}",
            licence=str(each),
            remedy=each.remedy,
        )
        yield Trouble(f"licence-lapsed-{each.direction.value}", lapsed)
    for each in soon:
        ends = Message("a licence lapses soon: {licence}; {remedy}", licence=str(each), remedy=each.remedy)
        yield Trouble(f"licence-lapses-soon-{each.direction.value}", ends, is_warning=True)


def _without_service(found: Mapping[str, Any]) -> list[Trouble]:
    return [Trouble("service", found["trouble"])]


def _of_service(found: Mapping[str, Any], now: datetime) -> list[Trouble]:
    made: list[Trouble] = []
    registry, ledger, journal = found["registry"], found["ledger"], found["journal"]
    if not found["ari"]["connected"]:
        made.append(
            Trouble("asterisk", Message("Asterisk is not connected: calls fall back; systemctl status asterisk"))
        )
    elif found["hook"]["loaded"] == "":
        made.append(
            Trouble("hook", Message("Asterisk has not loaded the hook: forwarded calls fail; idtone doctor --fix"))
        )
    if not registry["version"]:
        made.append(Trouble("registry", NO_REGISTRY))
    elif registry["expires"] and datetime.fromisoformat(registry["expires"]) <= now:
        made.append(
            Trouble(
                "registry-expired",
                Message(
                    "the registry has expired: after policy.registry_stale no licence is valid; "
                    "run: idtone registry update"
                ),
            )
        )
    # After an upgrade the service may be of the version before, which has fewer fields.
    made += _of_licences(registry.get("licence_lapses", ()), now)
    if trouble := found.get("association", {}).get("trouble"):
        made.append(Trouble("member", trouble))
    if trouble := found["fallback"]["trouble"]:
        made.append(Trouble("fallback", trouble))
    if trouble := ledger["trouble"]:
        made.append(Trouble("ledger", trouble))
    if set_aside := ledger.get("set_aside"):
        made.append(
            Trouble(
                "ledger-damaged",
                Message(
                    "the ledger was damaged, and a new one was begun: {files}; move the old one to another place "
                    "(docs/how-to/damaged-evidence.md)",
                    files=", ".join(set_aside),
                ),
                at_once=True,
            )
        )
    if journal["lag_seconds"] > JOURNAL_LAG_S:
        made.append(
            Trouble(
                "journal",
                Message(
                    "the journal has not been read for {seconds:.0f} s, so evidence is missing; the log names the "
                    "folder",
                    seconds=journal["lag_seconds"],
                ),
            )
        )
    if (replication := found["replication"]) and (trouble := replication["trouble"]):
        made.append(Trouble("replication", trouble))
    if (lines := found.get("lines")) and (trouble := lines["trouble"]):
        made.append(Trouble("lines", trouble))
    if (timestamp := ledger.get("timestamp")) and timestamp["overdue"]:
        made.append(
            Trouble(
                "timestamp",
                Message(
                    "the authority has not stamped the evidence in time (ledger.timestamp): {reason}",
                    reason=timestamp["trouble"] or Message("nothing to stamp came; do witnesses cosign?"),
                ),
            )
        )
    if (backup := found.get("backup")) and backup["overdue"]:
        made.append(
            Trouble("backup", Message("the backup is overdue; systemctl status idtone-backup.timer idtone-backup"))
        )
    if (canary := found.get("canary")) and canary["at"] and not canary["good"]:
        made.append(Trouble("canary", Message("the last canary call: {says}", says=canary["says"])))
    return made
