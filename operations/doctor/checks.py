"""The checks: each makes observations and judges them. I/O through `machine`, `exam` and the rooms."""

import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from idtone.call_control import fallback_text
from idtone.call_control.brake.state_files import read_state, state_path
from idtone.core.calls import Party
from idtone.core.errors import AriError, DocumentError, LedgerError, TrustError, UsageError
from idtone.core.settings.settings import Interface, variable_name
from idtone.core.signed_notes import Note
from idtone.core.translation import Message
from idtone.dialplan import FALLBACK_FILE, HOOK_FILE, HOOK_GLOBAL, LINES_FILE, Hook
from idtone.ledger.disclosure.legal_holds import legal_holds
from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.keys import key_ring
from idtone.ledger.keys.checkpoint_file import CheckpointFile, cosigned_file
from idtone.ledger.keys.log_keys import LogKeys, is_in_token
from idtone.ledger.keys.timestamp_store import Stamps
from idtone.ledger.replication.ask_servers import WITHIN_S, ask_all
from idtone.ledger.replication.own_replica import own_replica
from idtone.ledger.store.growth import growth
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.postgresql import Server
from idtone.ledger.store.sqlite import path_of
from idtone.ledger.store.stored_tree import UnsignedError
from idtone.ledger.tree.checkpoints import Checkpoint, RenamedError, check_name
from idtone.ledger.writing import disk_reserve, missing_steps_file
from idtone.registry.customer_lines.index import compile_lines
from idtone.registry.customer_lines.read_line_table import read_as_set
from idtone.registry.local_registry import read_local_registry
from idtone.registry.suspensions.own_stops import NO_STOPS
from idtone.registry.suspensions.suspension_file import StopsInUse, read_suspensions, suspensions_path
from idtone.service import backup_result, canary_result, used_fleet_settings

from . import (
    asterisk_files,
    asterisk_findings,
    asterisk_version,
    backup_finding,
    brake_finding,
    canary_finding,
    customer_lines_findings,
    hook_findings,
    ignored_gosub_results,
    ledger_findings,
    machine_findings,
    modules,
    needless_load,
    observe_agi,
    observe_machine,
    open_files,
    registry_findings,
    settings_findings,
    shared_file_findings,
    shared_files,
    suspension_finding,
    trunk_findings,
)
from .exam import AS_SERVICE, BAD_PROFILES, SYSTEMD_S, UNIT, Exam
from .findings import Finding, bad, good, unknown

LOOK_UP_S: Final = 3.0

_NO_ASTERISK: Final = (Message("Asterisk's REST interface does not answer"), Message("Correct the finding on it first"))
_ELSEWHERE: Final = (
    Message("Asterisk is on another machine"),
    Message("Run this there; or name a copy of its configuration: --asterisk-etc DIR"),
)
_NO_ENDPOINTS: Final = (
    Message("Asterisk does not tell its endpoints"),
    Message("In modules.conf: `load = res_ari_endpoints.so`; then asterisk -rx 'module load res_ari_endpoints'"),
)
_NO_SECRET: Final = (
    Message("the hook's secret needs the ARI password, which is not set"),
    Message("Set the password first"),
)


@dataclass(frozen=True, slots=True)
class Check:
    """Some topics, and their check, which yields one finding for each."""

    topics: tuple[str, ...]
    look: Callable[[Exam], Iterator[Finding]]


def _asterisk(exam: Exam) -> Iterator[Finding]:
    ari = exam.settings.ari
    try:
        secret = ari.secret()
    except DocumentError as error:
        exam.not_looked(error)
        fault = error.faults[0]
        place = f"{fault.file}: {fault.field}".rstrip(": ")
        yield unknown(
            "ari", Message("the ARI password is not set"), Message("Set the password first: see the finding on it")
        )
        yield bad(
            "ari-password",
            Message("{place}: {problem}", place=place, problem=fault.problem),
            Message("{remedy} (in idtone.yaml: `ari: {{password_file: FILE}}`)", remedy=fault.remedy),
        )
        return
    from_environment = variable_name(("ari", "password")) in exam.environment
    file = None
    if ari.password is None and ari.password_file:
        found = observe_machine.mode_and_owner(ari.password_file)
        file = (*found, os.geteuid()) if found else None
    try:
        yield asterisk_findings.reachable(exam.look(secret), ari)
    except AriError as error:
        yield asterisk_findings.unreachable(error, ari)
    with_hook = exam.settings.agi_secret() != ""
    yield asterisk_findings.password(secret, ari, from_environment, file, with_hook)


def _asterisk_answers(exam: Exam) -> Iterator[Finding]:
    seen = exam.seen
    if seen is None:
        for topic in ASTERISK_ANSWERS[1:]:
            yield unknown(topic, *_NO_ASTERISK)
    # This comes last: an Asterisk that hangs holds up its console too.
    version = exam.asterisk_version()
    if version is None:
        yield unknown("asterisk-version", *_NO_ASTERISK)
    else:
        yield asterisk_version.judge(version, exam.now().date(), exam.settings.interface)
    if seen is None:
        return
    ari = exam.settings.ari
    yield asterisk_findings.rights(seen, ari)
    yield asterisk_findings.clock(seen)
    yield machine_findings.application(seen.application, exam.running())
    ours, trouble = _own_hook(exam)
    if ours is None:
        yield unknown("asterisk-modules", *trouble)
        return
    yield modules.judge(seen.modules, modules.needed(ours.text))


def _own_hook(exam: Exam) -> tuple[Hook | None, tuple[str, str]]:
    """The hook that would be exported now; or None, with the reason and the remedy."""
    try:
        exam.library  # noqa: B018  raises DocumentError for other reasons than `hook`
    except DocumentError:
        return None, BAD_PROFILES
    try:
        return exam.hook(), ("", "")
    except DocumentError:
        return None, _NO_SECRET
    except UsageError as error:
        return None, (
            str(error),
            Message("Install idtone again, in a place from which Asterisk's user can run it"),
        )


ASTERISK_ANSWERS: Final = (
    "asterisk-version",
    "asterisk-modules",
    "ari-rights",
    "clock-asterisk",
    "service-application",
)


def _asterisk_files(exam: Exam) -> Iterator[Finding]:
    seen, folder, ari = exam.seen, exam.folder, exam.settings.ari
    user = None
    if folder is None:
        for topic in ASTERISK_FILES[1:]:
            yield unknown(topic, *_ELSEWHERE)
    else:
        text, _ = asterisk_files.text(folder / "asterisk.conf")
        yield asterisk_findings.live_dangerously(text, folder / "asterisk.conf")
        users, _ = asterisk_files.text(folder / "ari.conf")
        user = None if users is None else asterisk_findings.sections(users).get(ari.user)
        yield asterisk_findings.origins(users, folder / "ari.conf")
        if seen is None:
            yield unknown("cdr", *_NO_ASTERISK)
        else:
            yield asterisk_findings.cdr(seen.modules, *asterisk_files.text(folder / "cdr.conf"), folder / "cdr.conf")
    if seen is None:
        yield unknown("ari-exposure", *_NO_ASTERISK)
        return
    parts = urlsplit(ari.url)
    port = parts.port or asterisk_findings.PORTS[parts.scheme]
    yield asterisk_findings.exposure(ari, seen, observe_machine.listening(port), user)


ASTERISK_FILES: Final = ("ari-exposure", "live-dangerously", "ari-origins", "cdr")


def _needless_load(exam: Exam) -> Iterator[Finding]:
    seen, folder = exam.seen, exam.folder
    if seen is None:
        for topic in NEEDLESS_LOAD:
            yield unknown(topic, *_NO_ASTERISK)
        return
    if folder is None:
        yield unknown("cel", *_ELSEWHERE)
    else:
        path = folder / "cel.conf"
        yield needless_load.cel(seen.modules, *asterisk_files.text(path), path)
    if seen.endpoints is None:
        yield unknown("endpoint-channels", *_NO_ENDPOINTS)
    else:
        yield needless_load.channels_per_endpoint(seen.endpoints)


NEEDLESS_LOAD: Final = ("cel", "endpoint-channels")


def _open_files(exam: Exam) -> Iterator[Finding]:
    folder = exam.own_folder
    if folder is None:
        yield unknown("open-files", *_ELSEWHERE)
        return
    process = exam.asterisk_pid()
    limits, groups = (
        ("", "") if process is None else (observe_machine.about_process(process, what) for what in ("limits", "cgroup"))
    )
    wanted = open_files.planned_calls(asterisk_files.text(folder / "asterisk.conf")[0] or "")
    yield open_files.judge(open_files.limit_of(limits), wanted, open_files.unit_of(groups))


def _hook(exam: Exam) -> Iterator[Finding]:
    seen, folder = exam.seen, exam.folder
    ours, trouble = _own_hook(exam)
    digest = seen.variables[HOOK_GLOBAL] if seen else ""
    if ours is None:
        yield unknown("hook-loaded", *trouble)
    elif seen is None:
        yield unknown("hook-loaded", *_NO_ASTERISK)
    else:
        place = folder or Path(seen.variables["ASTETCDIR"])
        yield hook_findings.loaded(
            ours,
            digest,
            seen.variables["IDTONE_SOUNDS"],
            seen.contexts,
            seen.modules,
            exam.settings.sounds.directory,
            place,
            exam.config,
        )
    if folder is None:
        for topic in HOOK[1:]:
            yield unknown(topic, *_ELSEWHERE)
        return
    if not folder.is_dir():
        for topic in HOOK[1:]:
            yield unknown(
                topic,
                Message("{folder} does not exist", folder=folder),
                Message("Name Asterisk's configuration folder: --asterisk-etc DIR"),
            )
        return
    path = folder / HOOK_FILE
    if ours is None:
        yield unknown("hook-file", *trouble)
    else:
        yield hook_findings.file(ours, *observe_machine.read(path), path, exam.config)
    is_loaded = bool(digest) and (seen is None or seen.contexts != frozenset())
    yield hook_findings.include(observe_machine.including(folder), folder, is_loaded)


HOOK: Final = ("hook-loaded", "hook-file", "hook-include")


def _hook_use(exam: Exam) -> Iterator[Finding]:
    folder = exam.folder
    if folder is None:
        yield unknown("hook-use", *_ELSEWHERE)
        return
    first, trouble = asterisk_files.lines_of(folder / "extensions.conf")
    if first is None:
        yield ignored_gosub_results.judge(None, (), trouble or Message("there is no extensions.conf"), folder)
        return
    files = [asterisk_files.files_like(folder, f"{name}*.conf") for name in ("extensions", "queues", "followme")]
    trouble = "; ".join(why for _, why in files if why)
    dialplan, queues, followme = (lines or [] for lines, _ in files)
    found = None if trouble else ignored_gosub_results.uses(dialplan, queues, followme)
    callers_hear = any(Party.CALLER in parties for parties in exam.settings.policy.policy(None).notify.values())
    callers = ignored_gosub_results.behind_local(dialplan, queues, followme) if callers_hear else []
    yield ignored_gosub_results.judge(found, callers, trouble, folder)


def _trunks(exam: Exam) -> Iterator[Finding]:
    folder = exam.folder
    if folder is None:
        for topic in TRUNKS:
            yield unknown(topic, *_ELSEWHERE)
        return
    path = folder / "pjsip.conf"
    lines, trouble = asterisk_files.lines_of(path)
    endpoints = None if lines is None else trunk_findings.endpoints(lines)
    if exam.seen is None:
        yield unknown("sound-codecs", *_NO_ASTERISK)
    else:
        yield trunk_findings.codecs(endpoints, exam.seen.modules, trouble, path)
    dialplan, _ = asterisk_files.files_like(folder, "extensions*.conf")
    yield trunk_findings.presented(endpoints, dialplan or (), trouble, path)


TRUNKS: Final = ("sound-codecs", "presented-number")


def _emergency_trunks(exam: Exam) -> Iterator[Finding]:
    yield settings_findings.emergency_trunks(exam.settings)


def _registry(exam: Exam) -> Iterator[Finding]:
    settings, now = exam.settings, exam.now()
    source, left = settings.registry.source, settings.sounds.directory / FALLBACK_FILE
    try:
        seen = read_local_registry(settings.registry)
    except (DocumentError, TrustError) as error:
        yield registry_findings.faulty(error, source)
        for topic in REGISTRY[1:-1]:
            yield registry_findings.not_read(topic, source)
        yield shared_file_findings.fallback(None, *observe_machine.read(left), left)
        return
    document, index = seen.document, seen.index()
    yield registry_findings.readable(document, source, now)
    yield registry_findings.trusted(index.trust, source)
    yield registry_findings.fresh(index, now, settings.policy.registry_stale)
    yield registry_findings.node_member(settings.association.member, index)
    yield registry_findings.never_originating(index.never_originating)
    yield registry_findings.certifications(document, settings.association.member, now)
    yield registry_findings.standing(document, now, index.licence_lapses(settings.association.member, now))
    policy = settings.policy.policy(settings.association.member)
    try:
        chosen = registry_findings.chosen_sounds(policy.tones, settings.association.member, index, now)
        yield chosen or registry_findings.sounds(document, exam.library, now)
    except DocumentError:
        yield unknown("registry-sounds", *BAD_PROFILES)
    usable = fallback_text.UsableNumbers.by_policy(policy, settings.lines.source is not None)
    try:
        stops = StopsInUse(suspensions_path(settings)).index
    except (LedgerError, UsageError):
        stops = NO_STOPS  # the finding on this node's own suspensions says so
    text = fallback_text.text_for(index, usable, stops=stops).text
    yield shared_file_findings.fallback(text, *observe_machine.read(left), left)


def _registry_cache(exam: Exam) -> Iterator[Finding]:
    settings = exam.settings.registry
    try:
        root = settings.root_file()
    except DocumentError:
        yield registry_findings.not_read("registry-cache", settings.source)
        return
    if root is None:
        yield registry_findings.not_kept()
        return
    folder = settings.cache.resolve()
    service, _ = exam.service_user()
    try:
        held = observe_machine.rights_in(folder)
        above = [observe_machine.rights(place) for place in reversed(folder.parents)] if held else []
    except OSError as error:
        trouble = f"{error.filename}: {error.strerror}"
        if service and service.user == os.geteuid():
            yield registry_findings.locked_out(folder, trouble, service.user)
        else:
            yield unknown("registry-cache", trouble, AS_SERVICE)
        return
    yield registry_findings.kept(folder, above, held, os.geteuid(), service.user if service else None)


def _lines(exam: Exam) -> Iterator[Finding]:
    settings = exam.settings
    if settings.lines.source is None:
        yield customer_lines_findings.not_set()
        for topic in LINES[1:]:
            yield good(topic, Message("not used: lines.source is not set"))
        return
    try:
        entries = read_as_set(settings.lines).entries()
    except DocumentError as error:
        yield customer_lines_findings.faulty(error)
        for topic in LINES[1:]:
            yield unknown(topic, Message("the table of lines cannot be used"), customer_lines_findings.CHECK)
        return
    index, left = compile_lines(entries), settings.sounds.directory / LINES_FILE
    yield customer_lines_findings.readable(index.totals)
    yield customer_lines_findings.left(*observe_machine.read(left), left)
    try:
        yield customer_lines_findings.held(
            entries, read_local_registry(settings.registry).index(), settings.association.member, exam.now()
        )
    except (DocumentError, TrustError):
        yield registry_findings.not_read("lines-members", settings.registry.source)
    if exam.seen is None:
        yield unknown("lines-endpoints", *_NO_ASTERISK)
        return
    if exam.seen.endpoints is None:
        yield unknown("lines-endpoints", *_NO_ENDPOINTS)
        return
    policy, trunks = settings.policy, settings.fleet.trunks
    yield customer_lines_findings.endpoints(
        exam.seen.endpoints, index.knows, {*policy.emergency_trunks, *policy.diversion_trunks, *trunks}
    )


def _brake(exam: Exam) -> Iterator[Finding]:
    path, now = None, exam.now()
    try:
        path = state_path(exam.settings)
        yield brake_finding.judge(exam.settings.brake.highest, read_state(path).holds, now)
    except (LedgerError, UsageError) as error:
        yield brake_finding.unreadable(str(error), path is None or os.access(path, os.R_OK))


def _own_suspensions(exam: Exam) -> Iterator[Finding]:
    path = None
    try:
        path = suspensions_path(exam.settings)
        yield suspension_finding.judge(read_suspensions(path).suspensions, exam.now())
    except (LedgerError, UsageError) as error:
        yield suspension_finding.unreadable(str(error), path is None or os.access(path, os.R_OK))


def _retention(exam: Exam) -> Iterator[Finding]:
    settings = exam.settings.ledger
    yield ledger_findings.retention(settings.retention)
    try:
        if not path_of(settings.own()).exists():
            yield ledger_findings.holds((), 0)
            return
        with LedgerReader.open(settings.own()) as reader:
            found = [
                each for each in legal_holds(reader.acts(frozenset({StepKind.DUTY}))).values() if each.lifted is None
            ]
    except (LedgerError, OSError) as error:
        yield unknown("ledger-holds", str(error), AS_SERVICE)
        return
    yield ledger_findings.holds([each.id for each in found if each.is_due(exam.now())], len(found))


def _stamped(exam: Exam) -> Finding:
    settings = exam.settings.ledger
    stamps, leaves, newest = Stamps(settings.stamps()), 0, None
    try:
        if settings.timestamp.url and path_of(settings.own()).exists():
            with LedgerReader.open(settings.own()) as reader:
                signed = reader.checkpoint()
            if signed:
                checkpoint = Checkpoint.parse(Note.parse(signed.encode()).text)
                leaves = checkpoint.size
                if stamps.folder.exists():
                    os.listdir(stamps.folder)  # `glob` finds nothing in a folder that cannot be read
                newest = stamps.newest(checkpoint.origin)
    except (LedgerError, OSError) as error:
        return unknown("ledger-timestamp", str(error), AS_SERVICE)
    return ledger_findings.stamped(settings.timestamp.url, newest, leaves, settings.timestamp.every, exam.now())


LINES: Final = ("lines", "lines-fallback", "lines-members", "lines-endpoints")
REGISTRY: Final = (
    "registry", "registry-trust", "registry-fresh", "registry-member", "registry-never-originates",
    "registry-certifications", "registry-licences", "registry-sounds", "fallback",
)  # fmt: skip


def _own_name(exam: Exam) -> Iterator[Finding]:
    own = socket.gethostname()
    yield machine_findings.name("name-own", own, *observe_machine.look_up(own, LOOK_UP_S))


def _name_of_ari(exam: Exam) -> Iterator[Finding]:
    host = urlsplit(exam.settings.ari.url).hostname or ""
    if observe_machine.is_address(host):
        yield good("name-ari", Message("{host} is an address", host=host))
        return
    yield machine_findings.name("name-ari", host, *observe_machine.look_up(host, LOOK_UP_S))


def _clock(exam: Exam) -> Iterator[Finding]:
    yield machine_findings.synchronised(observe_machine.clock_is_synchronised())
    yield machine_findings.date(exam.now())


def _ledger(exam: Exam) -> Iterator[Finding]:
    settings = exam.settings.ledger
    try:
        path = path_of(settings.own())
    except LedgerError as error:
        remedy = Message("In idtone.yaml: `ledger: {{url: 'sqlite:////var/lib/idtone/ledger.sqlite3'}}`")
        yield bad("ledger", str(error), remedy)
        for topic in LEDGER[1:]:
            yield unknown(topic, Message("ledger.url names no file"), remedy)
        return
    try:
        exists, room = observe_machine.there(path), observe_machine.room(path)
    except OSError as error:
        for topic in LEDGER:
            yield unknown(topic, f"{path}: {error.strerror}", AS_SERVICE)
        return
    rate, trouble = None, None
    if exists:
        try:
            with LedgerReader.open(settings.own()) as reader:
                rate = growth(reader, path, exam.now())
        except LedgerError as error:
            trouble = error
    writable = os.access(observe_machine.existing(path), os.W_OK) and os.access(
        observe_machine.existing(path.parent), os.W_OK
    )
    yield ledger_findings.opened(path, exists, writable, trouble)
    yield ledger_findings.room(room, rate)
    size = observe_machine.size(disk_reserve.reserve_file(path))
    yield ledger_findings.reserve(settings.reserve, size, room.free_bytes, missing_steps_file.read_missing(path))
    yield _aside(exam)
    yield _signed(exam, exists)
    yield _ends(exam)
    yield _token(exam)
    yield ledger_findings.sqlite(sqlite3.sqlite_version_info, observe_machine.is_wal(path))
    key = settings.key_file
    try:
        status = key.stat()
    except FileNotFoundError:
        yield ledger_findings.key(key, None, "", exists)
    except OSError as error:
        yield ledger_findings.key(key, None, error.strerror or type(error).__name__, exists)
    else:
        yield ledger_findings.key(key, (status.st_mode & 0o7777, status.st_size), "", exists)


def _aside(exam: Exam) -> Finding:
    try:
        trees = key_ring.successor_trees_of(exam.settings.ledger, exam.settings.node).trees
    except LedgerError as error:
        return unknown("ledger-aside", str(error), AS_SERVICE)
    return ledger_findings.aside([path for path in (Path(each.file) for each in trees) if observe_machine.there(path)])


def _signed(exam: Exam, exists: bool) -> Finding:
    settings = exam.settings.ledger
    if not exists:
        return ledger_findings.signed(0, "", looked=True)
    try:
        keys = LogKeys(settings, key_ring.successor_trees_of(settings, exam.settings.node))
        key = key_ring.own_key(settings, exam.settings.node)
        reader = LedgerReader.open(settings.own())
    except LedgerError as error:
        return ledger_findings.signed(None, str(error), looked=False)
    with reader:
        try:
            if origin := reader.origin():
                check_name(origin, key.name)
            kept = [file.latest(key) for file in (CheckpointFile(settings.seen()), cosigned_file(settings))]
            leaves = reader.signed_leaves(key, [checkpoint for _, checkpoint in filter(None, kept)])
        except RenamedError as error:
            return ledger_findings.signed(None, str(error), looked=True, remedy=error.remedy)
        except UnsignedError as error:
            is_away = is_in_token(keys.of(key.name).place)
            return ledger_findings.signed(
                None, str(error), looked=True, remedy=ledger_findings.TOKEN_REMEDY if is_away else ""
            )
        except LedgerError as error:
            return ledger_findings.signed(None, str(error), looked=True)
    return ledger_findings.signed(leaves, "", looked=True)


def _ends(exam: Exam) -> Finding:
    settings = exam.settings.ledger
    try:
        keys = LogKeys(settings, key_ring.successor_trees_of(settings, exam.settings.node))
    except LedgerError as error:
        return ledger_findings.ends({}, (), str(error))
    without = keys.successor_trees.without_end
    waiting = {each.after: keys.of(each.after).place for each in without if not each.given_up}
    return ledger_findings.ends(waiting, [each.after for each in without if each.given_up])


def _token(exam: Exam) -> Finding:
    settings = exam.settings.ledger
    try:
        trees = key_ring.successor_trees_of(settings, exam.settings.node)
        keys = LogKeys(settings, trees)
        # A token whose log has ended is needed until it has signed the end.
        origins = [*(each.after for each in trees.unsigned), trees.origin]
        places = {place: origin for origin in origins if is_in_token(place := keys.of(origin).place)}
        if not places:
            return good("ledger-token", Message("not used: the key of the log is in a file"))
        for place, origin in places.items():
            known = keys.verifier(origin).public if keys.is_here(origin) else None
            if keys.read_token_without_pin(place) != known and known:
                other = Message("{place}: the key in the token is another one than that of the log", place=place)
                return ledger_findings.token(place, other)
    except LedgerError as error:
        return ledger_findings.token("", str(error))
    return ledger_findings.token(", ".join(places), "")


def _shared(exam: Exam) -> Iterator[Finding]:
    settings = exam.settings.ledger
    if not settings.is_shared():
        yield good("ledger-postgresql", Message("not used: ledger.url names this node's own file"))
        return
    copy, trouble, name = None, "", ""
    try:
        server = Server.of(settings)
        name = str(server)
        copy = own_replica(server, settings, exam.settings.node)
    except (LedgerError, DocumentError) as error:
        trouble = str(error)
    yield ledger_findings.shared(name, copy, trouble, exam.now())


def _others(exam: Exam) -> Iterator[Finding]:
    settings = exam.settings.ledger
    try:
        servers = [Server.of(settings, url) for url in dict.fromkeys(settings.others) if url != settings.url]
    except (LedgerError, DocumentError) as error:
        yield unknown("ledger-others", str(error), Message("Run this as the user that `idtone serve` runs as"))
        return
    _, silent = ask_all(servers, lambda server: server.schemas(WITHIN_S))
    yield ledger_findings.others(list(map(str, servers)), silent)


LEDGER: Final = (
    "ledger",
    "ledger-room",
    "ledger-reserve",
    "ledger-aside",
    "ledger-key",
    "ledger-signed",
    "ledger-ends",
    "ledger-token",
    "ledger-sqlite",
)


def _fleet_settings(exam: Exam) -> Iterator[Finding]:
    settings, used, trouble = exam.settings, None, ""
    if settings.shared:
        try:
            used = used_fleet_settings.last_used(settings)
        except LedgerError as error:
            trouble = str(error)
    yield settings_findings.shared(settings, used, trouble)


def _service(exam: Exam) -> Iterator[Finding]:
    yield machine_findings.service(exam.running())


def _agi(exam: Exam) -> Iterator[Finding]:
    settings = exam.settings
    if settings.interface is not Interface.AGI:
        yield good("agi", Message("not used: the hook sends its requests over ARI"))
        return
    yield machine_findings.listener(settings.agi.listen, observe_agi.trouble(settings.agi.address()))


def _watchdog(exam: Exam) -> Iterator[Finding]:
    yield machine_findings.watchdog(observe_machine.watchdog(UNIT, SYSTEMD_S))


def _canary(exam: Exam) -> Iterator[Finding]:
    canary = exam.settings.canary
    yield canary_finding.judge(canary, canary_result.read(canary.result), exam.now())


def _backup(exam: Exam) -> Iterator[Finding]:
    backup = exam.settings.backup
    if backup.wanted and backup.result.exists() and not os.access(backup.result, os.R_OK):
        yield backup_finding.unreadable(backup)
        return
    yield backup_finding.judge(backup, backup_result.read(backup.result), exam.now())


CHECKS: Final = (
    Check(("ari", "ari-password"), _asterisk),
    Check(ASTERISK_ANSWERS, _asterisk_answers),
    Check(ASTERISK_FILES, _asterisk_files),
    Check(NEEDLESS_LOAD, _needless_load),
    Check(("open-files",), _open_files),
    Check(HOOK, _hook),
    Check(("hook-use",), _hook_use),
    Check(TRUNKS, _trunks),
    Check(("emergency-trunks",), _emergency_trunks),
    Check(shared_files.SOUNDS, shared_files.sounds_check),
    Check(REGISTRY, _registry),
    Check(("journal",), shared_files.journal_check),
    Check(shared_files.WRITABLE, shared_files.writable_check),
    Check(("registry-cache",), _registry_cache),
    Check(LINES, _lines),
    Check((brake_finding.TOPIC,), _brake),
    Check((suspension_finding.TOPIC,), _own_suspensions),
    Check(("name-own",), _own_name),
    Check(("name-ari",), _name_of_ari),
    Check(("clock-synchronised", "clock-date"), _clock),
    Check(LEDGER, _ledger),
    Check(("ledger-retention", "ledger-holds"), _retention),
    Check(("ledger-timestamp",), lambda exam: iter((_stamped(exam),))),
    Check(("ledger-postgresql",), _shared),
    Check(("ledger-others",), _others),
    Check(("fleet-settings",), _fleet_settings),
    Check((backup_finding.TOPIC,), _backup),
    Check((canary_finding.TOPIC,), _canary),
    Check(("service",), _service),
    Check(("agi",), _agi),
    Check(("watchdog",), _watchdog),
)
