"""Plans the changes that prepare a PBX for idtone, in groups."""

import json
import os
import pwd
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Final

from idtone.core.errors import ChangeError, IdtoneError, UsageError
from idtone.core.settings.settings import Settings, load_settings, settings_files, settings_folder
from idtone.core.translation import Message, joined
from idtone.dialplan import HOOK_GLOBAL
from idtone.registry.node_member_check import REMEDY, member_trouble
from idtone.service.commands import check_settings
from idtone.service.hook_from_settings import hook_for
from idtone.tones.profile_library import load_library

from ..asterisk_console import AsteriskConsole
from ..asterisk_custom_files import ARI_USERS, DIALPLAN, custom_file_for
from ..doctor import asterisk_findings, asterisk_modules, observe_machine, open_file_limit
from ..doctor.asterisk_version import support_problem
from ..doctor.check_inputs import UNIT
from ..doctor.findings import TOPICS
from ..doctor.shared_file_findings import SOUNDS_MODE
from ..make_changes import obstacle
from ..pbx_changes import (
    LOOPBACK,
    ari_changes,
    hook_changes,
    http_changes,
    module_changes,
    options,
)
from ..planned_changes import Change, FileChange, FolderChange, Group, ProgramChange
from .unit_file import unit_file

SYSTEMD: Final = Path("/run/systemd/system")
UNITS: Final = Path("/etc/systemd/system")
UNIT_FILE: Final = Path("/etc/systemd/system/idtone.service")
PACKAGED_UNIT_FILE: Final = Path("/usr/lib/systemd/system/idtone.service")
REGISTRY_UNIT: Final = "idtone-registry.service"
TIMER: Final = "idtone-registry.timer"
"""Timer for the unit that passes new suspensions to Asterisk while the service is down."""
CANARY_UNIT: Final = "idtone-canary.service"
CANARY_TIMER: Final = "idtone-canary.timer"
"""Timer for the unit that places canary calls. The operator starts it if the settings name a canary."""
RETENTION: Final = "P184D"
"""Retention of numbers in new settings: the longest that six months can be. The ministry's guideline allows call
history to be kept as long as it is needed, usually six months and at most about a year. The police ask for three to six
months. If a case needs more time, place a hold (`idtone-evidence hold place`)."""
BACKUP_UNIT: Final = "idtone-backup.service"
BACKUP_TIMER: Final = "idtone-backup.timer"
"""Timer for the unit that makes backups. The operator starts it if the settings name recipients."""
DOCTOR_UNIT: Final = "idtone-doctor.service"
DOCTOR_TIMER: Final = "idtone-doctor.timer"
TROUBLE_UNIT: Final = "idtone-trouble.service"
TROUBLE_TIMER: Final = "idtone-trouble.timer"
FAILED_UNIT: Final = "idtone-failed@.service"
"""Units for the daily check, for the trouble check, and for emails about failures and trouble. The service's unit
starts both timers."""
ENABLED: Final = Path("/etc/systemd/system/multi-user.target.wants/idtone.service")
PASSWORD_FILE: Final = "ari.password"  # noqa: S105  a file's name
_PORT: Final = "8088"
_BYTES: Final = 24


@dataclass(frozen=True, slots=True)
class SetupOptions:
    """The operator's choices for `idtone setup`.

    `registry`, `trust` and `member` apply only to new settings. None means the default.
    """

    config: Path
    folder: Path
    user: str
    registry: str | None = None
    trust: str | None = None
    member: str | None = None


@dataclass
class Plan:
    """A PBX's state and the changes planned for it.

    `left` maps the topics that are left to the operator to the reasons.
    """

    distribution: str
    version: str
    settings: Settings
    groups: list[Group] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)

    def add(self, topic: str, title: str, look: Callable[[], list[Change]]) -> None:
        """Add the changes for one topic.

        If an obstacle prevents them, the topic is left to the operator.
        """
        try:
            changes = look()
            if why := next(filter(None, map(obstacle, changes)), ""):
                raise ChangeError(why)
        except IdtoneError as error:
            self.left[topic] = str(error)
        except OSError as error:
            self.left[topic] = f"{error.filename}: {error.strerror}"
        else:
            if changes:
                self.groups.append(Group((topic,), title, tuple(changes)))


def plan(wishes: SetupOptions) -> Plan:
    """Plan the changes that set up a PBX for idtone.

    Raises DocumentError for faulty settings. Raises UsageError if Asterisk is not running or is too old, or if the user
    does not exist.
    """
    folder, console = wishes.folder, AsteriskConsole(wishes.folder)
    try:
        said = console.settings()
    except ChangeError as error:
        raise UsageError(
            "Asterisk does not answer: {error}; start it, or name its folder: --asterisk-etc DIR", error=error
        ) from error
    if refused := support_problem(said.get("Version", "")):
        raise UsageError(refused)
    try:
        pwd.getpwnam(wishes.user)
    except KeyError as error:
        raise UsageError(
            "this machine has no user {user}: adduser --system --ingroup asterisk {user}; or name another: --user",
            user=wishes.user,
        ) from error
    group = _group(said, folder)
    new, settings = _settings(wishes)
    distribution = next(
        filter(None, (custom_file_for(each, _text(folder / each)).distribution for each in (DIALPLAN, ARI_USERS))), ""
    )
    found = Plan(distribution, said.get("Version", "?"), settings)
    if missing := member_trouble(settings.association.member, None):
        found.left["member"] = joined(". ", (missing, REMEDY))

    secret, trouble = _secret(folder, settings)
    found.add("settings", Message("Settings and password"), lambda: _own_files(wishes, new, settings, secret))
    found.add("http", Message("Asterisk's HTTP server"), lambda: http_changes(folder))
    if trouble:
        found.left["ari"] = trouble
    else:
        found.add("ari", Message("ARI and its user"), lambda: ari_changes(folder, settings.ari.user, secret, group))
    with_secret = settings.model_copy(update={"ari": settings.ari.model_copy(update={"password": secret})})
    hook = hook_for(with_secret, load_library(settings.sounds.profiles)).text
    wanted = {*asterisk_modules.needed_modules(hook), asterisk_modules.CDR, *asterisk_modules.DIALPLAN_VIEW}
    found.add("modules", Message("Asterisk's modules"), lambda: module_changes(folder, wanted))
    found.add("open-files", TOPICS["open-files"].looked_at, lambda: _open_files(said, folder))
    sounds = settings.sounds.directory
    found.add("sounds", Message("The folder of the sounds"), lambda: _folder(sounds, SOUNDS_MODE, wishes.user, group))
    ours = hook.encode("utf-8", "surrogateescape")
    found.add("hook", Message("The hook in the dialplan"), lambda: _hook(folder, ours))
    if not (UNIT_FILE.exists() or ENABLED.is_symlink()):
        if SYSTEMD.is_dir():
            found.add("service", Message("The service"), lambda: _service(found, wishes, with_secret, group))
        else:
            found.left["service"] = Message("systemd does not run here; have your supervisor run `idtone serve`")
    return found


def _settings(wishes: SetupOptions) -> tuple[str | None, Settings]:
    """The text for a new settings file, or None if settings exist, and the settings themselves.

    Raises DocumentError.
    """
    if not is_new(wishes.config):
        settings = load_settings(wishes.config)
        for key, wish, value in (
            ("registry.source", wishes.registry, settings.registry.source),
            ("registry.trust", wishes.trust, settings.registry.trust),
            ("association.member", wishes.member, settings.association.member),
        ):
            if wish not in (None, str(value)):
                file = settings_files(wishes.config)[-1]
                raise UsageError("{config} has another {key}; change it there", config=file, key=key)
        return None, settings
    keys: dict[str, str | Mapping[str, str | None] | None] = {
        "ari": {
            "url": _ari_url(options(wishes.folder, "http.conf", "general")),
            "password_file": str(wishes.config.absolute().with_name(PASSWORD_FILE)),
        },
        "registry": {"source": wishes.registry, "trust": wishes.trust},
        "association": {"member": wishes.member},
        "ledger": {"retention": RETENTION},
    }
    with tempfile.TemporaryDirectory() as place:
        draft = Path(place, wishes.config.name)
        draft.write_text(packaged_settings(), "utf-8")
        own = own_file(draft)
        own.parent.mkdir()
        for other in settings_files(wishes.config)[1:]:
            shutil.copy(other, own.parent)
        own.write_text(_own_text(keys), "utf-8")
        drafted = load_settings(draft)
        if drafted.shared and "retention" in (drafted.shared.tree.get("ledger") or {}):
            del keys["ledger"]  # it would override the fleet's
        # Keep the name in the existing ledger: the evidence could not be signed by another one.
        text = _own_text({"node": drafted.node or None, **keys})
        own.write_text(text, "utf-8")
        return text, load_settings(draft)


def own_file(config: Path) -> Path:
    """The path of the settings file that setup writes.

    The package's `idtone.yaml` stays unchanged, so that an upgrade can replace it.
    """
    return settings_folder(config) / "10-setup.yaml"


def _own_text(keys: Mapping[str, str | Mapping[str, str | None] | None]) -> str:
    lines = _HEAD.splitlines()
    for key, value in keys.items():
        if isinstance(value, str):
            lines.append(f"{key}: {json.dumps(value)}")
        elif value and (inner := [f"  {name}: {json.dumps(each)}" for name, each in value.items() if each is not None]):
            lines += [f"{key}:", *inner]
    return "\n".join([*lines, ""])


_HEAD: Final = """\
# Written by `idtone setup`. These keys lie on those of idtone.yaml, which explains all keys. Write your own ones into a
# file beside this one, for example 50-own.yaml: later files count.
# idtone setup が作成しました。idtone.yaml の設定(各項目の説明もそちらにあります)より優先されます。
# ほかの設定は、このファイルと同じフォルダーに、たとえば 50-own.yaml という名前で書いてください。
# 名前の順で後のファイルが優先されます。
"""


def is_new(config: Path) -> bool:
    """True if the node has no settings yet, or only the package's unchanged settings.

    After idtone was removed, idtone.d may still contain files that setup did not write.
    """
    filled = any(
        re.search(r"^(registry|association)\s*:", _text(each), re.MULTILINE) for each in settings_files(config)[1:]
    )
    return not filled and (not config.exists() or _text(config) == packaged_settings())


def packaged_settings() -> str:
    """The sample `idtone.yaml` as the package installs it, with every key commented out.

    A key in `idtone.yaml` overrides the fleet's, even if its value is the default.
    """
    sample = (resources.files("idtone.config") / "idtone.yaml").read_text("utf-8")
    return re.sub(r"^( *\w+:)", r"#\1", sample, flags=re.MULTILINE)


def _ari_url(http: dict[str, str]) -> str:
    """ARI's address according to the options of http.conf, which may only be planned."""
    enabled = http.get("enabled", "no").lower() in asterisk_findings.TRUE
    address = http.get("bindaddr", LOOPBACK) if enabled else LOOPBACK
    if address in ("0.0.0.0", "::", "[::]"):  # noqa: S104  compared, not listened on
        address = LOOPBACK
    prefix = http.get("prefix", "").strip("/")
    host = f"[{address}]" if ":" in address else address
    return "/".join(filter(None, (f"http://{host}:{http.get('bindport', _PORT)}", prefix, "ari")))


def _secret(folder: Path, settings: Settings) -> tuple[str, str]:
    """The ARI user's password, and the reason it cannot be used, if any.

    The password comes from ari.conf or, failing that, from idtone's settings; otherwise it is new. The reason is empty
    if it can be used.
    """
    ari = settings.ari
    user = options(folder, "ari.conf", ari.user)
    own = ari.password
    if own is None and ari.password_file is not None:
        own = (observe_machine.content(ari.password_file) or b"").decode("utf-8", "replace").strip()
    if not user:
        return own or secrets.token_urlsafe(_BYTES), ""
    if user.get("password_format", "plain").lower() != "plain":
        return own or "", "" if own else Message(
            "ari.conf has only a hash of the password of {user}: write the password into ari.password_file",
            user=ari.user,
        )
    return user.get("password", ""), ""


def _own_files(wishes: SetupOptions, new: str | None, settings: Settings, secret: str) -> list[Change]:
    changes: list[Change] = []
    config = wishes.config.absolute()
    own = own_file(config)
    folders = [config.parent] if new is None else [config.parent, own.parent]
    changes += [FolderChange(folder, 0o755, *_ROOT) for folder in folders if not folder.exists()]
    if new is not None:
        if not config.exists():
            changes.append(FileChange(config, None, packaged_settings().encode(), 0o644))
        changes.append(FileChange(own, None, new.encode(), 0o644))
    path = settings.ari.password_file
    if settings.ari.password is not None:
        return changes  # from the environment
    if path is None:
        raise ChangeError("In {config}: `ari: {{password_file: FILE}}`; then run this again", config=config)
    before = observe_machine.content(path)
    if secret and (before or b"").decode("utf-8", "replace").strip() != secret:
        changes.append(FileChange(path, before, f"{secret}\n".encode(), 0o600, wishes.user, is_secret=True))
    return changes


_ROOT: Final = (str(os.geteuid()), str(os.getegid()))


def _folder(path: Path, mode: int, user: str, group: str) -> list[Change]:
    missing = [place for place in (path, *path.parents) if not place.exists()]
    changes: list[Change] = [FolderChange(place, 0o755, *_ROOT) for place in reversed(missing[1:])]
    return [*changes, FolderChange(path, mode, user, group)] if missing else []


def _hook(folder: Path, ours: bytes) -> list[Change]:
    changes = hook_changes(folder, ours)
    only_reload = len(changes) == 1
    return [] if only_reload and _is_loaded(folder, ours) else changes


def _is_loaded(folder: Path, ours: bytes) -> bool:
    """True if the digest shows that Asterisk has loaded this hook.

    Raises ChangeError.
    """
    match = re.search(rf"^{HOOK_GLOBAL}=(\w+)$".encode(), ours, re.MULTILINE)
    assert match is not None
    loaded = AsteriskConsole(folder).run("dialplan show globals")
    return f"{HOOK_GLOBAL}={match[1].decode()}\n" in loaded


def _open_files(said: dict[str, str], folder: Path) -> list[Change]:
    """Changes that raise Asterisk's open file limit if it is too low."""
    process = observe_machine.pid_in(Path(said["PID file"])) if "PID file" in said else None
    limits, groups = (
        "" if process is None else observe_machine.process_file(process, what) for what in ("limits", "cgroup")
    )
    limit, wanted = open_file_limit.limit_of(limits), open_file_limit.planned_calls(_text(folder / "asterisk.conf"))
    if limit is None or open_file_limit.calls_within(limit) >= wanted:
        return []
    unit = open_file_limit.unit_of(groups) if SYSTEMD.is_dir() else None
    if unit is None:
        raise ChangeError(
            "{limit} open files carry {carried} calls, {wanted} are wanted: raise it where you start Asterisk",
            limit=limit,
            carried=open_file_limit.calls_within(limit),
            wanted=wanted,
        )
    path, text, files = (
        open_file_limit.drop_in_path(unit, UNITS),
        open_file_limit.drop_in_text(wanted),
        open_file_limit.recommended_limit(wanted),
    )
    changes: list[Change] = []
    if not path.parent.exists():
        changes.append(FolderChange(path.parent, 0o755, *_ROOT))
    if (before := observe_machine.content(path)) != text.encode():
        changes += [
            FileChange(path, before, text.encode(), 0o644),
            ProgramChange(("systemctl", "daemon-reload"), ("systemctl", "daemon-reload")),
        ]
    # Nothing takes this back: later the number may be that of another process.
    return [*changes, ProgramChange(("prlimit", f"--pid={process}", f"--nofile={files}:{files}"), ())]


def _service(found: Plan, wishes: SetupOptions, settings: Settings, group: str) -> list[Change]:
    """Changes for the systemd units.

    If the settings can be used, the units are also started. The service's unit starts the timer.
    """
    beside = os.pathsep.join((str(Path(sys.executable).parent), os.defpath))
    program = shutil.which("idtone") or shutil.which("idtone", path=beside)
    if program is None:
        raise ChangeError("there is no program idtone in PATH")
    config, sounds = wishes.config.absolute(), settings.sounds.directory
    changes: list[Change] = []
    timers = (TIMER, CANARY_TIMER, BACKUP_TIMER, DOCTOR_TIMER, TROUBLE_TIMER)
    for name in (
        UNIT_FILE.name,
        REGISTRY_UNIT,
        CANARY_UNIT,
        BACKUP_UNIT,
        DOCTOR_UNIT,
        TROUBLE_UNIT,
        FAILED_UNIT,
        *timers,
    ):
        text = (resources.files("idtone.config") / name).read_text("utf-8")
        if name not in timers:
            text = unit_file(text, Path(program), config, wishes.user, group, sounds)
        if _text(PACKAGED_UNIT_FILE.with_name(name)) != text:
            changes.append(FileChange(UNIT_FILE.with_name(name), None, text.encode(), 0o644))
    if changes:
        changes.append(ProgramChange(("systemctl", "daemon-reload"), ("systemctl", "daemon-reload")))
    try:
        check_settings(settings)
    except IdtoneError as error:
        found.left["service"] = Message(
            "The settings cannot be used yet: {error}. Then: systemctl enable --now idtone", error=error
        )
        return changes
    start, stop = (
        ("systemctl", "enable", "--now", UNIT),
        (
            "systemctl",
            "disable",
            "--now",
            UNIT,
            *timers,
        ),
    )
    return [*changes, ProgramChange(start, stop)]


def _group(said: dict[str, str], folder: Path) -> str:
    who = observe_machine.identity_by_pid_file(Path(said["PID file"])) if "PID file" in said else None
    return observe_machine.group_name(who.group if who else observe_machine.rights(folder).group)


def _text(path: Path) -> str:
    return observe_machine.read_text(path)[0] or ""
