"""Failures of a node, with their reports.

`idtone status`, an alert and a mail report each failure within two minutes. `tests/packages/first_month.py` causes each
failure and measures the time. `when-something-fails.md` has the same table for operators.
"""

from dataclasses import dataclass
from typing import Final

from .pbx import SOUNDS

TOLD_WITHIN_S: Final = 120
SAMPLE: Final = "/usr/share/doc/idtone/examples/registry.yaml"
LEDGER: Final = "/var/lib/idtone/ledger.sqlite3"
LINES: Final = "/etc/idtone/numbers.yaml"
NO_POSTGRESQL: Final = "postgresql://idtone@127.0.0.1:9/idtone"
"""Address at which no server listens."""


@dataclass(frozen=True, slots=True)
class Failure:
    trouble: str
    """Its id in `troubles` of `idtone status --json`."""
    alert: str
    mail: str
    """Beginning of its line in the mail."""

    @property
    def expected_reports(self) -> tuple[str, str, str]:
        return f"status: {self.trouble}", f"alert: {self.alert}", f"mail: - {self.mail}"


FAILURES: Final = {
    each.trouble: each
    for each in (
        Failure("service", "IdtoneDown", "no service runs"),
        Failure("restarts", "IdtoneRestarts", "the service ended and was restarted"),
        Failure("asterisk", "IdtoneAriDisconnected", "Asterisk is not connected"),
        Failure("hook", "IdtoneHookNotLoaded", "Asterisk has not loaded the hook"),
        Failure("registry", "IdtoneRegistryMissing", "there is no registry"),
        Failure("registry-expired", "IdtoneRegistryExpired", "the registry has expired"),
        Failure("licence-lapsed-incoming", "IdtoneLicenceLapsed", "a licence has lapsed"),
        Failure("member", "IdtoneMemberUnknown", "the registry does not know association.member"),
        Failure("ledger", "IdtoneLedgerDiskFull", "the ledger's disk is"),
        Failure("ledger-damaged", "IdtoneLedgerSetAside", "the ledger was damaged"),
        Failure("journal", "IdtoneJournalNotRead", "the journal has not been read"),
        Failure("fallback", "IdtoneFallbackFileOld", f"{SOUNDS}: the suspended numbers cannot be written for Asterisk"),
        Failure("lines", "IdtoneLinesNotRead", f"{LINES}:"),
        Failure("replication", "IdtoneEvidenceNotReplicated", f"{NO_POSTGRESQL}: connection failed"),
        Failure("timestamp", "IdtoneTimestampOverdue", "the authority has not stamped the evidence in time"),
        Failure("backup", "IdtoneBackupOverdue", "the backup is overdue"),
        Failure("canary", "IdtoneCanaryFailed", "the last canary call:"),
    )
}


@dataclass(frozen=True, slots=True)
class FailureCause:
    """A cause of simultaneous failures. Root types the lines `make` to cause them, and the lines `mend` to end them."""

    failures: tuple[str, ...]
    make: tuple[str, ...]
    mend: tuple[str, ...]


_KEPT: Final = "/opt/kept"
_ENDED: Final = r"$(date --utc --date '-1 hour' +%Y-%m-%dT%H:%M:%SZ)"
_MEMBER: Final = "/etc/idtone/idtone.d/90-member.yaml"
_MORE: Final = "/etc/idtone/idtone.d/90-more.yaml"
_MORE_SETTINGS: Final = f"""
lines: {{source: {LINES}}}
canary: {{forwarding_number: "0312345678", called_number: "0312345690", trunk: nowhere}}
backup: {{recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p], result: /opt/no-backup.json}}
ledger:
  url: {NO_POSTGRESQL}
  timestamp: {{url: "http://127.0.0.1:9/", root: /etc/ssl/certs/ca-certificates.crt, every: PT1M}}
"""
_HOOK: Final = "idtone dialplan export /etc/asterisk && asterisk -rx 'dialplan reload'"

HAPPENINGS: Final = (
    # This must be first: its alert counts restarts of the last three minutes, and other drills also restart the
    # service.
    FailureCause(
        ("restarts",),
        (
            # Each instance ends three seconds after it was ready, also on a busy machine, so that its metrics are read.
            # The loop has its own session. Otherwise the end of the shell would also end the loop.
            "rm -f /opt/loop; setsid sh -c 'echo $$ > /opt/loop; while sleep 0.2; do"
            " systemctl is-active --quiet idtone || continue;"
            " sleep 3; systemctl kill --kill-whom main --signal KILL idtone; done' > /dev/null 2>&1 &"
            " until test -s /opt/loop; do sleep 0.1; done",
        ),
        ("kill $(cat /opt/loop)", "systemctl restart idtone"),
    ),
    FailureCause(
        ("asterisk", "registry-expired", "licence-lapsed-incoming", "ledger-damaged", "journal"),
        (
            f"cp {SAMPLE} {_KEPT}",
            f'sed -i "0,/expires: [^,}}]*/s//expires: {_ENDED}/" {SAMPLE}',
            f'sed -i "/id: L-0001/,/until/s/until: [^}}]*/until: {_ENDED}/" {SAMPLE}',
            # All pages of the database except the first.
            f"head -c $(($(stat --format %s {LEDGER}) - 4096)) /dev/zero | tr '\\0' '\\377' |"
            f" dd of={LEDGER} bs=4096 seek=1 conv=notrunc status=none",
            "systemctl restart idtone",
            "systemctl stop asterisk",
            # Only a change of the owner lasts: the service repairs the mode of its own folder.
            f"chown root: {SOUNDS}/journal && chmod 700 {SOUNDS}/journal",
        ),
        (
            f"cp {_KEPT} {SAMPLE}",
            f"chown idtone:asterisk {SOUNDS}/journal && chmod 2710 {SOUNDS}/journal",
            "systemctl start asterisk",
        ),
    ),
    FailureCause(
        ("hook", "registry"),
        (
            f"mv {SAMPLE} {_KEPT}",
            "sed -i 's/^#include idtone.conf/;&/' /etc/asterisk/extensions.conf",
            "systemctl restart asterisk idtone",
        ),
        (
            f"mv {_KEPT} {SAMPLE}",
            "sed -i 's/^;#include idtone.conf/#include idtone.conf/' /etc/asterisk/extensions.conf",
            "asterisk -rx 'dialplan reload'",
        ),
    ),
    FailureCause(
        ("member",),
        (f"echo 'association: {{member: m-9999}}' > {_MEMBER}", "systemctl reload idtone"),
        (f"rm {_MEMBER}", "systemctl reload idtone"),
    ),
    # Parts of a node that does more than the first month requires.
    FailureCause(
        ("fallback", "lines", "replication", "timestamp", "backup", "canary"),
        (
            f'echo \'lines: [{{customer: c-0001, endpoints: ["6001"], numbers: ["0312345678"]}}]\' > {LINES}',
            f"cat > {_MORE} << 'END'{_MORE_SETTINGS}END",
            _HOOK,
            "systemctl reload idtone",
            f"echo 'lines: [{{customer: 1' > {LINES}",
            f"chown root {SOUNDS} && rm {SOUNDS}/fallback.conf",
            "! idtone canary",
        ),
        (
            f"chown idtone {SOUNDS}",
            f"rm {_MORE} {LINES}",
            _HOOK,
            "systemctl reload idtone",
        ),
    ),
    FailureCause(("service",), ("systemctl stop idtone",), ("systemctl start idtone",)),
)
"""Causes of failures. The full disk has a separate drill, because the ledger must first move to another disk."""
