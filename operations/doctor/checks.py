"""The doctor's checks, each of which observes something and judges it."""

import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from idtone.call_control import fallback_conf
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
from idtone.ledger.store.ledger_growth import growth
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
    asterisk_config_files,
    asterisk_findings,
    asterisk_modules,
    asterisk_version,
    backup_finding,
    brake_finding,
    canary_finding,
    customer_lines_findings,
    hook_findings,
    ledger_findings,
    machine_findings,
    needless_work_findings,
    observe_agi,
    observe_machine,
    open_file_limit,
    registry_findings,
    settings_findings,
    shared_file_checks,
    shared_file_findings,
    suspension_finding,
    trunk_findings,
    unsupported_hook_uses,
)
from .check_inputs import AS_SERVICE, BAD_PROFILES, SYSTEMD_S, UNIT, CheckInputs
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
    """A check that yields one finding for each of its topics."""

    topics: tuple[str, ...]
    look: Callable[[CheckInputs], Iterator[Finding]]


def _asterisk(inputs: CheckInputs) -> Iterator[Finding]:
    ari = inputs.settings.ari
    try:
        secret = ari.secret()
    except DocumentError as error:
        inputs.not_looked(error)
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
    from_environment = variable_name(("ari", "password")) in inputs.environment
    file = None
    if ari.password is None and ari.password_file:
        found = observe_machine.mode_and_owner(ari.password_file)
        file = (*found, os.geteuid()) if found else None
    try:
        yield asterisk_findings.reachable(inputs.look(secret), ari)
    except AriError as error:
        yield asterisk_findings.unreachable(error, ari)
    with_hook = inputs.settings.agi_secret() != ""
    yield asterisk_findings.password(secret, ari, from_environment, file, with_hook)


def _asterisk_answers(inputs: CheckInputs) -> Iterator[Finding]:
    seen = inputs.seen
    if seen is None:
        for topic in ASTERISK_ANSWERS[1:]:
            yield unknown(topic, *_NO_ASTERISK)
    # This comes last: an Asterisk that hangs holds up its console too.
    version = inputs.asterisk_version()
    if version is None:
        yield unknown("asterisk-version", *_NO_ASTERISK)
    else:
        yield asterisk_version.judge(version, inputs.now().date(), inputs.settings.interface)
    if seen is None:
        return
    ari = inputs.settings.ari
    yield asterisk_findings.rights(seen, ari)
    yield asterisk_findings.clock(seen)
    yield machine_findings.application(seen.application, inputs.running())
    ours, trouble = _own_hook(inputs)
    if ours is None:
        yield unknown("asterisk-modules", *trouble)
        return
    yield asterisk_modules.judge(seen.modules, asterisk_modules.needed_modules(ours.text))


def _own_hook(inputs: CheckInputs) -> tuple[Hook | None, tuple[str, str]]:
    """The hook that `idtone dialplan export` would write, or None with the reason and the remedy."""
    try:
        inputs.library  # noqa: B018  raises DocumentError for other reasons than `hook`
    except DocumentError:
        return None, BAD_PROFILES
    try:
        return inputs.hook(), ("", "")
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


def _asterisk_files(inputs: CheckInputs) -> Iterator[Finding]:
    seen, folder, ari = inputs.seen, inputs.folder, inputs.settings.ari
    user = None
    if folder is None:
        for topic in ASTERISK_FILES[1:]:
            yield unknown(topic, *_ELSEWHERE)
    else:
        text, _ = asterisk_config_files.text(folder / "asterisk.conf")
        yield asterisk_findings.live_dangerously(text, folder / "asterisk.conf")
        users, _ = asterisk_config_files.text(folder / "ari.conf")
        user = None if users is None else asterisk_findings.sections(users).get(ari.user)
        yield asterisk_findings.origins(users, folder / "ari.conf")
        if seen is None:
            yield unknown("cdr", *_NO_ASTERISK)
        else:
            yield asterisk_findings.cdr(
                seen.modules, *asterisk_config_files.text(folder / "cdr.conf"), folder / "cdr.conf"
            )
    if seen is None:
        yield unknown("ari-exposure", *_NO_ASTERISK)
        return
    parts = urlsplit(ari.url)
    port = parts.port or asterisk_findings.PORTS[parts.scheme]
    yield asterisk_findings.exposure(ari, seen, observe_machine.listening_addresses(port), user)


ASTERISK_FILES: Final = ("ari-exposure", "live-dangerously", "ari-origins", "cdr")


def _needless_load(inputs: CheckInputs) -> Iterator[Finding]:
    seen, folder = inputs.seen, inputs.folder
    if seen is None:
        for topic in NEEDLESS_LOAD:
            yield unknown(topic, *_NO_ASTERISK)
        return
    if folder is None:
        yield unknown("cel", *_ELSEWHERE)
    else:
        path = folder / "cel.conf"
        yield needless_work_findings.cel(seen.modules, *asterisk_config_files.text(path), path)
    if seen.endpoints is None:
        yield unknown("endpoint-channels", *_NO_ENDPOINTS)
    else:
        yield needless_work_findings.channels_per_endpoint(seen.endpoints)


NEEDLESS_LOAD: Final = ("cel", "endpoint-channels")


def _open_files(inputs: CheckInputs) -> Iterator[Finding]:
    folder = inputs.own_folder
    if folder is None:
        yield unknown("open-files", *_ELSEWHERE)
        return
    process = inputs.asterisk_pid()
    limits, groups = (
        ("", "") if process is None else (observe_machine.process_file(process, what) for what in ("limits", "cgroup"))
    )
    wanted = open_file_limit.planned_calls(asterisk_config_files.text(folder / "asterisk.conf")[0] or "")
    yield open_file_limit.judge(open_file_limit.limit_of(limits), wanted, open_file_limit.unit_of(groups))


def _hook(inputs: CheckInputs) -> Iterator[Finding]:
    seen, folder = inputs.seen, inputs.folder
    ours, trouble = _own_hook(inputs)
    digest = seen.variables[HOOK_GLOBAL] if seen else ""
    if ours is None:
        yield unknown("hook-loaded", *trouble)
    elif seen is None:
        yield unknown("hook-loaded", *_NO_ASTERISK)
    else:
        place = folder or Path(seen.variables["ASTETCDIR"])
        yield hook_findings.loaded_hook(
            ours,
            digest,
            seen.variables["IDTONE_SOUNDS"],
            seen.contexts,
            seen.modules,
            inputs.settings.sounds.directory,
            place,
            inputs.config,
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
        yield hook_findings.hook_file(ours, *observe_machine.read_text(path), path, inputs.config)
    is_loaded = bool(digest) and (seen is None or seen.contexts != frozenset())
    yield hook_findings.hook_include(observe_machine.files_including_hook(folder), folder, is_loaded)


HOOK: Final = ("hook-loaded", "hook-file", "hook-include")


def _hook_use(inputs: CheckInputs) -> Iterator[Finding]:
    folder = inputs.folder
    if folder is None:
        yield unknown("hook-use", *_ELSEWHERE)
        return
    first, trouble = asterisk_config_files.lines_of(folder / "extensions.conf")
    if first is None:
        yield unsupported_hook_uses.judge(None, (), trouble or Message("there is no extensions.conf"), folder)
        return
    files = [asterisk_config_files.files_like(folder, f"{name}*.conf") for name in ("extensions", "queues", "followme")]
    trouble = "; ".join(why for _, why in files if why)
    dialplan, queues, followme = (lines or [] for lines, _ in files)
    found = None if trouble else unsupported_hook_uses.uses(dialplan, queues, followme)
    callers_hear = any(Party.CALLER in parties for parties in inputs.settings.policy.policy(None).notify.values())
    callers = unsupported_hook_uses.behind_local(dialplan, queues, followme) if callers_hear else []
    yield unsupported_hook_uses.judge(found, callers, trouble, folder)


def _trunks(inputs: CheckInputs) -> Iterator[Finding]:
    folder = inputs.folder
    if folder is None:
        for topic in TRUNKS:
            yield unknown(topic, *_ELSEWHERE)
        return
    path = folder / "pjsip.conf"
    lines, trouble = asterisk_config_files.lines_of(path)
    endpoints = None if lines is None else trunk_findings.endpoints(lines)
    if inputs.seen is None:
        yield unknown("sound-codecs", *_NO_ASTERISK)
    else:
        yield trunk_findings.codecs(endpoints, inputs.seen.modules, trouble, path)
    dialplan, _ = asterisk_config_files.files_like(folder, "extensions*.conf")
    yield trunk_findings.presented_numbers(endpoints, dialplan or (), trouble, path)


TRUNKS: Final = ("sound-codecs", "presented-number")


def _emergency_trunks(inputs: CheckInputs) -> Iterator[Finding]:
    yield settings_findings.emergency_trunks(inputs.settings)


def _registry(inputs: CheckInputs) -> Iterator[Finding]:
    settings, now = inputs.settings, inputs.now()
    source, left = settings.registry.source, settings.sounds.directory / FALLBACK_FILE
    try:
        seen = read_local_registry(settings.registry)
    except (DocumentError, TrustError) as error:
        yield registry_findings.faulty(error, source)
        for topic in REGISTRY[1:-1]:
            yield registry_findings.not_read(topic, source)
        yield shared_file_findings.fallback_file(None, *observe_machine.read_text(left), left)
        return
    document, index = seen.document, seen.index()
    yield registry_findings.readable(document, source, now)
    yield registry_findings.trusted(index.trust, source)
    yield registry_findings.registry_age(index, now, settings.policy.registry_stale)
    yield registry_findings.node_member(settings.association.member, index)
    yield registry_findings.never_originating(index.never_originating)
    yield registry_findings.certifications(document, settings.association.member, now)
    yield registry_findings.licence_states(document, now, index.licence_lapses(settings.association.member, now))
    policy = settings.policy.policy(settings.association.member)
    try:
        chosen = registry_findings.chosen_sounds(policy.tones, settings.association.member, index, now)
        yield chosen or registry_findings.sounds(document, inputs.library, now)
    except DocumentError:
        yield unknown("registry-sounds", *BAD_PROFILES)
    usable = fallback_conf.UsableNumbers.by_policy(policy, settings.lines.source is not None)
    try:
        stops = StopsInUse(suspensions_path(settings)).index
    except (LedgerError, UsageError):
        stops = NO_STOPS  # the finding on this node's own suspensions says so
    text = fallback_conf.text_for(index, usable, stops=stops).text
    yield shared_file_findings.fallback_file(text, *observe_machine.read_text(left), left)


def _registry_cache(inputs: CheckInputs) -> Iterator[Finding]:
    settings = inputs.settings.registry
    try:
        root = settings.root_file()
    except DocumentError:
        yield registry_findings.not_read("registry-cache", settings.source)
        return
    if root is None:
        yield registry_findings.no_verified_copy()
        return
    folder = settings.cache.resolve()
    service, _ = inputs.service_user()
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
    yield registry_findings.verified_copy(folder, above, held, os.geteuid(), service.user if service else None)


def _lines(inputs: CheckInputs) -> Iterator[Finding]:
    settings = inputs.settings
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
    yield customer_lines_findings.fallback_table(*observe_machine.read_text(left), left)
    try:
        yield customer_lines_findings.number_holders(
            entries, read_local_registry(settings.registry).index(), settings.association.member, inputs.now()
        )
    except (DocumentError, TrustError):
        yield registry_findings.not_read("lines-members", settings.registry.source)
    if inputs.seen is None:
        yield unknown("lines-endpoints", *_NO_ASTERISK)
        return
    if inputs.seen.endpoints is None:
        yield unknown("lines-endpoints", *_NO_ENDPOINTS)
        return
    policy, trunks = settings.policy, settings.fleet.trunks
    yield customer_lines_findings.endpoints(
        inputs.seen.endpoints, index.knows, {*policy.emergency_trunks, *policy.diversion_trunks, *trunks}
    )


def _brake(inputs: CheckInputs) -> Iterator[Finding]:
    path, now = None, inputs.now().astimezone()
    try:
        path = state_path(inputs.settings)
        yield brake_finding.judge(inputs.settings.brake.highest, read_state(path).holds, now)
    except (LedgerError, UsageError) as error:
        yield brake_finding.unreadable(str(error), path is None or os.access(path, os.R_OK))


def _own_suspensions(inputs: CheckInputs) -> Iterator[Finding]:
    path = None
    try:
        path = suspensions_path(inputs.settings)
        yield suspension_finding.judge(read_suspensions(path).suspensions, inputs.now())
    except (LedgerError, UsageError) as error:
        yield suspension_finding.unreadable(str(error), path is None or os.access(path, os.R_OK))


def _retention(inputs: CheckInputs) -> Iterator[Finding]:
    settings = inputs.settings.ledger
    yield ledger_findings.retention(settings.retention)
    try:
        if not path_of(settings.own_url()).exists():
            yield ledger_findings.legal_holds((), 0)
            return
        with LedgerReader.open(settings.own_url()) as reader:
            found = [
                each for each in legal_holds(reader.acts(frozenset({StepKind.DUTY}))).values() if each.lifted is None
            ]
    except (LedgerError, OSError) as error:
        yield unknown("ledger-holds", str(error), AS_SERVICE)
        return
    yield ledger_findings.legal_holds([each.id for each in found if each.is_due(inputs.now())], len(found))


def _stamped(inputs: CheckInputs) -> Finding:
    settings = inputs.settings.ledger
    stamps, leaves, newest = Stamps(settings.stamps()), 0, None
    try:
        if settings.timestamp.url and path_of(settings.own_url()).exists():
            with LedgerReader.open(settings.own_url()) as reader:
                signed = reader.checkpoint()
            if signed:
                checkpoint = Checkpoint.parse(Note.parse(signed.encode()).text)
                leaves = checkpoint.size
                if stamps.folder.exists():
                    os.listdir(stamps.folder)  # `glob` finds nothing in a folder that cannot be read
                newest = stamps.newest(checkpoint.origin)
    except (LedgerError, OSError) as error:
        return unknown("ledger-timestamp", str(error), AS_SERVICE)
    return ledger_findings.timestamps(settings.timestamp.url, newest, leaves, settings.timestamp.every, inputs.now())


LINES: Final = ("lines", "lines-fallback", "lines-members", "lines-endpoints")
REGISTRY: Final = (
    "registry", "registry-trust", "registry-fresh", "registry-member", "registry-never-originates",
    "registry-certifications", "registry-licences", "registry-sounds", "fallback",
)  # fmt: skip


def _own_name(inputs: CheckInputs) -> Iterator[Finding]:
    own = socket.gethostname()
    yield machine_findings.name_look_up("name-own", own, *observe_machine.look_up(own, LOOK_UP_S))


def _name_of_ari(inputs: CheckInputs) -> Iterator[Finding]:
    host = urlsplit(inputs.settings.ari.url).hostname or ""
    if observe_machine.is_address(host):
        yield good("name-ari", Message("{host} is an address", host=host))
        return
    yield machine_findings.name_look_up("name-ari", host, *observe_machine.look_up(host, LOOK_UP_S))


def _clock(inputs: CheckInputs) -> Iterator[Finding]:
    yield machine_findings.clock_synchronisation(observe_machine.clock_is_synchronised())
    yield machine_findings.clock_date(inputs.now())


def _ledger(inputs: CheckInputs) -> Iterator[Finding]:
    settings = inputs.settings.ledger
    try:
        path = path_of(settings.own_url())
    except LedgerError as error:
        remedy = Message("In idtone.yaml: `ledger: {{url: 'sqlite:////var/lib/idtone/ledger.sqlite3'}}`")
        yield bad("ledger", str(error), remedy)
        for topic in LEDGER[1:]:
            yield unknown(topic, Message("ledger.url names no file"), remedy)
        return
    try:
        exists, room = observe_machine.exists(path), observe_machine.free_space(path)
    except OSError as error:
        for topic in LEDGER:
            yield unknown(topic, f"{path}: {error.strerror}", AS_SERVICE)
        return
    rate, trouble = None, None
    if exists:
        try:
            with LedgerReader.open(settings.own_url()) as reader:
                rate = growth(reader, path, inputs.now())
        except LedgerError as error:
            trouble = error
    writable = os.access(observe_machine.nearest_existing(path), os.W_OK) and os.access(
        observe_machine.nearest_existing(path.parent), os.W_OK
    )
    yield ledger_findings.ledger_access(path, exists, writable, trouble)
    yield ledger_findings.free_space(room, rate)
    size = observe_machine.size(disk_reserve.reserve_file(path))
    yield ledger_findings.reserve(settings.reserve, size, room.free_bytes, missing_steps_file.read_missing(path))
    yield _aside(inputs)
    yield _signed(inputs, exists)
    yield _ends(inputs)
    yield _token(inputs)
    yield ledger_findings.sqlite(sqlite3.sqlite_version_info, observe_machine.is_wal(path))
    key = settings.key_file
    try:
        status = key.stat()
    except FileNotFoundError:
        yield ledger_findings.key_file(key, None, "", exists)
    except OSError as error:
        yield ledger_findings.key_file(key, None, error.strerror or type(error).__name__, exists)
    else:
        yield ledger_findings.key_file(key, (status.st_mode & 0o7777, status.st_size), "", exists)


def _aside(inputs: CheckInputs) -> Finding:
    try:
        trees = key_ring.successor_trees_of(inputs.settings.ledger, inputs.settings.node).trees
    except LedgerError as error:
        return unknown("ledger-aside", str(error), AS_SERVICE)
    return ledger_findings.ledgers_set_aside(
        [path for path in (Path(each.file) for each in trees) if observe_machine.exists(path)]
    )


def _signed(inputs: CheckInputs, exists: bool) -> Finding:
    settings = inputs.settings.ledger
    if not exists:
        return ledger_findings.signature(0, "", looked=True)
    try:
        keys = LogKeys(settings, key_ring.successor_trees_of(settings, inputs.settings.node))
        key = key_ring.own_key(settings, inputs.settings.node)
        reader = LedgerReader.open(settings.own_url())
    except LedgerError as error:
        return ledger_findings.signature(None, str(error), looked=False)
    with reader:
        try:
            if origin := reader.origin():
                check_name(origin, key.name)
            kept = [file.latest(key) for file in (CheckpointFile(settings.checkpoint_file()), cosigned_file(settings))]
            leaves = reader.signed_leaves(key, [checkpoint for _, checkpoint in filter(None, kept)])
        except RenamedError as error:
            return ledger_findings.signature(None, str(error), looked=True, remedy=error.remedy)
        except UnsignedError as error:
            is_away = is_in_token(keys.of(key.name).place)
            return ledger_findings.signature(
                None, str(error), looked=True, remedy=ledger_findings.TOKEN_REMEDY if is_away else ""
            )
        except LedgerError as error:
            return ledger_findings.signature(None, str(error), looked=True)
    return ledger_findings.signature(leaves, "", looked=True)


def _ends(inputs: CheckInputs) -> Finding:
    settings = inputs.settings.ledger
    try:
        keys = LogKeys(settings, key_ring.successor_trees_of(settings, inputs.settings.node))
    except LedgerError as error:
        return ledger_findings.earlier_log_ends({}, (), str(error))
    without = keys.successor_trees.without_end
    waiting = {each.after: keys.of(each.after).place for each in without if not each.given_up}
    return ledger_findings.earlier_log_ends(waiting, [each.after for each in without if each.given_up])


def _token(inputs: CheckInputs) -> Finding:
    settings = inputs.settings.ledger
    try:
        trees = key_ring.successor_trees_of(settings, inputs.settings.node)
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


def _shared(inputs: CheckInputs) -> Iterator[Finding]:
    settings = inputs.settings.ledger
    if not settings.is_shared():
        yield good("ledger-postgresql", Message("not used: ledger.url names this node's own file"))
        return
    copy, trouble, name = None, "", ""
    try:
        server = Server.of(settings)
        name = str(server)
        copy = own_replica(server, settings, inputs.settings.node)
    except (LedgerError, DocumentError) as error:
        trouble = str(error)
    yield ledger_findings.replica(name, copy, trouble, inputs.now())


def _others(inputs: CheckInputs) -> Iterator[Finding]:
    settings = inputs.settings.ledger
    try:
        servers = [Server.of(settings, url) for url in dict.fromkeys(settings.others) if url != settings.url]
    except (LedgerError, DocumentError) as error:
        yield unknown("ledger-others", str(error), Message("Run this as the user that `idtone serve` runs as"))
        return
    _, silent = ask_all(servers, lambda server: server.schemas(WITHIN_S))
    yield ledger_findings.other_servers(list(map(str, servers)), silent)


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


def _fleet_settings(inputs: CheckInputs) -> Iterator[Finding]:
    settings, used, trouble = inputs.settings, None, ""
    if settings.shared:
        try:
            used = used_fleet_settings.last_used(settings)
        except LedgerError as error:
            trouble = str(error)
    yield settings_findings.fleet_settings(settings, used, trouble)


def _service(inputs: CheckInputs) -> Iterator[Finding]:
    yield machine_findings.service(inputs.running())


def _agi(inputs: CheckInputs) -> Iterator[Finding]:
    settings = inputs.settings
    if settings.interface is not Interface.AGI:
        yield good("agi", Message("not used: the hook sends its requests over ARI"))
        return
    yield machine_findings.listener(settings.agi.listen, observe_agi.listener_trouble(settings.agi.address()))


def _watchdog(inputs: CheckInputs) -> Iterator[Finding]:
    yield machine_findings.watchdog(observe_machine.watchdog(UNIT, SYSTEMD_S))


def _canary(inputs: CheckInputs) -> Iterator[Finding]:
    canary = inputs.settings.canary
    yield canary_finding.judge(canary, canary_result.read(canary.result), inputs.now().astimezone())


def _backup(inputs: CheckInputs) -> Iterator[Finding]:
    backup = inputs.settings.backup
    if backup.is_on and backup.result.exists() and not os.access(backup.result, os.R_OK):
        yield backup_finding.unreadable(backup)
        return
    yield backup_finding.judge(backup, backup_result.read(backup.result), inputs.now().astimezone())


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
    Check(shared_file_checks.SOUNDS, shared_file_checks.sounds_check),
    Check(REGISTRY, _registry),
    Check(("journal",), shared_file_checks.journal_check),
    Check(shared_file_checks.WRITABLE, shared_file_checks.writable_check),
    Check(("registry-cache",), _registry_cache),
    Check(LINES, _lines),
    Check((brake_finding.TOPIC,), _brake),
    Check((suspension_finding.TOPIC,), _own_suspensions),
    Check(("name-own",), _own_name),
    Check(("name-ari",), _name_of_ari),
    Check(("clock-synchronised", "clock-date"), _clock),
    Check(LEDGER, _ledger),
    Check(("ledger-retention", "ledger-holds"), _retention),
    Check(("ledger-timestamp",), lambda inputs: iter((_stamped(inputs),))),
    Check(("ledger-postgresql",), _shared),
    Check(("ledger-others",), _others),
    Check(("fleet-settings",), _fleet_settings),
    Check((backup_finding.TOPIC,), _backup),
    Check((canary_finding.TOPIC,), _canary),
    Check(("service",), _service),
    Check(("agi",), _agi),
    Check(("watchdog",), _watchdog),
)
