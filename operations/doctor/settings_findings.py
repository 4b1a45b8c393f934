"""The doctor's checks of the fleet's settings and of the trunks for emergency calls."""

from idtone.core.settings.settings import Settings
from idtone.core.settings.shared_settings import differing_settings
from idtone.core.translation import Message
from idtone.service.used_fleet_settings import UsedFleetSettings, settings_objection

from .check_inputs import AS_SERVICE
from .findings import Finding, bad, good, unknown, warning

TOPIC = "fleet-settings"


def fleet_settings(settings: Settings, used: UsedFleetSettings | None, trouble: str = "") -> Finding:
    """Check that the service uses the node's current edition of the fleet's settings.

    `used` is the edition that the service used last. `trouble` says why it is unknown.
    """
    edition = settings.shared
    if edition is None:
        return good(TOPIC, Message("not used: this node has only settings of its own"))
    if trouble:
        return unknown(TOPIC, trouble, AS_SERVICE)
    if fault := settings_objection(edition, used):
        return bad(
            TOPIC,
            Message("{file}: the version {problem}", file=edition.file, problem=fault.problem),
            fault.remedy,
        )
    if used is None or used.version < edition.version:
        return warning(
            TOPIC,
            Message(
                "{file} has version {version}, which the service does not use yet",
                file=edition.file,
                version=edition.version,
            ),
            Message("systemctl reload idtone"),
        )
    names = sorted(differing_settings(edition.settings, settings))
    if not names:
        return good(TOPIC, Message("version {version}, and nothing is set otherwise here", version=edition.version))
    return good(
        TOPIC,
        Message("version {version}; set otherwise here: {names}", version=edition.version, names=", ".join(names)),
    )


def emergency_trunks(settings: Settings) -> Finding:
    names = settings.policy.emergency_trunks
    if names:
        return good("emergency-trunks", Message("named: {names}", names=", ".join(names)))
    return warning(
        "emergency-trunks",
        Message("none is named, so that a call of 110, 118 or 119 on any trunk counts as an emergency call"),
        Message(
            "Name the trunks that reach the emergency services, in idtone.yaml: "
            "`policy: {{emergency_trunks: [trunk-1]}}`; then export the hook again"
        ),
    )
