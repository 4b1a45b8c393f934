"""What Asterisk said of itself → findings. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from idtone.errors import AriError, AriRefused
from idtone.settings import AriSettings

from . import modules
from .findings import Finding, bad, good, unknown, warning

Address = IPv4Address | IPv6Address

VARIABLES: Final = ("ASTETCDIR", "ASTRUNDIR", "IDTONE_HOOK", "IDTONE_SOUNDS")
"""Global variables that are asked for: Asterisk's folders, and what the hook says of itself."""

FAR_S: Final = 2.0
"""Clocks that are further apart disturb the order of events; below, it may be the way of the answer."""
IMPOSSIBLE_S: Final = 60.0

SHORT: Final = 16
"""Characters below which a password counts as short."""
SAMPLES: Final = frozenset(
    {"asterisk", "asterisk1234", "changeme", "idtone", "password", "peekaboo", "secret", "secret_password", "…"}
)
"""Passwords that stand in manuals, Asterisk's and ours."""

_RELOAD_ARI: Final = "asterisk -rx 'module reload res_ari.so'"


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at Asterisk over ARI."""

    version: str
    nearby: bool
    """On this machine: its files and processes can be looked at."""
    modules: frozenset[str]
    """Those that are running, without `.so`."""
    write_status: int
    """Of a request that needs the right to write and changes nothing."""
    contexts: frozenset[str] | None
    """Those of the hook's contexts that its dialplan has; None where it cannot be asked."""
    application: bool
    ahead_s: float
    """Its clock minus ours; it counts whole seconds."""
    variables: Mapping[str, str]


def unreachable(error: AriError, ari: AriSettings) -> Finding:
    """Why there is no `Seen`."""
    if not isinstance(error, AriRefused):
        return bad(
            "ari",
            str(error),
            "Start Asterisk; in http.conf: `enabled = yes`, `bindaddr = 127.0.0.1`, `bindport` as in ari.url; then "
            "asterisk -rx 'module reload http'",
        )
    remedies = {
        401: f"In ari.conf: [{ari.user}], `type = user`, `password = ` the one that {_source(ari)} holds; "
        f"then {_RELOAD_ARI}",
        403: f"In ari.conf, [{ari.user}]: `permit = ` the address of this machine; then {_RELOAD_ARI}",
        404: _not_there(ari),
    }
    return bad(
        "ari",
        f"{error} at {shown(ari)}",
        remedies.get(error.status, "Wait until `asterisk -rx 'core waitfullybooted'` ends"),
    )


def _not_there(ari: AriSettings) -> str:
    address = shown(ari)
    if not address.endswith("/ari"):
        return f"In idtone.yaml: `ari: {{url: '{address}/ari'}}`: the address of ARI ends with /ari"
    return (
        f"In ari.conf, [general]: `enabled = yes`; {modules.load(modules.in_order(('res_ari_asterisk',)))}; if "
        f"http.conf has a `prefix`, write it before /ari in ari.url, which is {address}"
    )


def shown(ari: AriSettings) -> str:
    """`ari.url` without a name and password in it."""
    parts = urlsplit(ari.url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def reachable(seen: Seen, ari: AriSettings) -> Finding:
    return good("ari", f"{shown(ari)} answers to the user {ari.user}: Asterisk {seen.version}")


def rights(seen: Seen, ari: AriSettings) -> Finding:
    if seen.write_status in (401, 403):
        return bad(
            "ari-rights",
            f"{ari.user} may only read",
            f"In ari.conf, [{ari.user}]: `read_only = no`; then {_RELOAD_ARI}",
        )
    return good("ari-rights", f"{ari.user} may write")


def origins(text: str | None, path: Path) -> Finding:
    """`text` is that of ari.conf, None where it could not be read. Asterisk is not asked: it logs each web page that it
    is asked about and does not allow.
    """
    topic = "ari-origins"
    look = f"grep allowed_origins {path}: it must say nothing; or run this as a user who may read it"
    if text is None:
        return unknown(topic, f"{path} cannot be read here", look)
    value = sections(text).get("general", {}).get("allowed_origins", "")
    origins = [origin.strip() for origin in value.split(",") if origin.strip()]
    if "*" in origins:
        return warning(
            topic,
            f"{path} allows every web page",
            f"In {path}, [general]: remove `allowed_origins = {value}`; then {_RELOAD_ARI}",
        )
    if not value and _includes_others(text):
        return unknown(topic, f"{path} includes other files, which were not looked at", look)
    return good(topic, f"{path} allows {', '.join(origins)}" if origins else f"{path} allows no web page")


def cdr(running: Collection[str], text: str | None, trouble: str, path: Path) -> Finding:
    """`running` are the modules that run. `text` is that of cdr.conf, None where it could not be read: `trouble` says
    why, empty where there is no such file.
    """
    topic = "cdr"
    if modules.CDR not in running:
        return warning(topic, f"{modules.CDR} is not running", modules.remedy((modules.CDR,)))
    look = f"asterisk -rx 'cdr show status': Logging must be Enabled; or run this as a user who may read {path}"
    if text is None and trouble:
        return unknown(topic, f"{path}: {trouble}", look)
    value = sections(text or "").get("general", {}).get("enable", "")
    if value and value.lower() not in _TRUE:
        remedy = f"In {path}, [general]: `enable = yes`; then asterisk -rx 'module reload cdr'"
        return warning(topic, f"{path} says enable = {value}", remedy)
    if not value and _includes_others(text or ""):
        return unknown(topic, f"{path} includes other files, which were not looked at", look)
    return good(topic, f"{modules.CDR} is running, and {path} does not disable CDRs")


_TRUE: Final = frozenset({"yes", "true", "y", "t", "1", "on"})


def _includes_others(text: str) -> bool:
    return bool(re.search(r"^\s*#(?:(?:try)?include|exec)", text, re.MULTILINE))


def password(
    secret: str, ari: AriSettings, from_environment: bool, file: tuple[int, int, int] | None, with_hook: bool = False
) -> Finding:
    """`file` is mode, owner and our own user id for `ari.password_file`, where the password comes from there.
    `with_hook` says that the hook's secret follows from the password.
    """
    topic = "ari-password"
    if secret.lower() in SAMPLES or secret == ari.user:
        return bad(topic, "the password is one from the manuals", _new_password(ari, with_hook))
    if file:
        mode, owner, ourselves = file
        if mode & 0o007:
            return bad(
                topic, f"all users can read {ari.password_file} (mode {mode:04o})", f"chmod 600 {ari.password_file}"
            )
        if mode & 0o070:
            return warning(
                topic, f"a group can read {ari.password_file} (mode {mode:04o})", f"chmod 600 {ari.password_file}"
            )
        if owner not in (0, ourselves) and ourselves != 0:
            return warning(
                topic,
                f"{ari.password_file} belongs to the user {owner}, who can change it",
                f"chown {ourselves} {ari.password_file}",
            )
    if not file and not from_environment:
        return warning(
            topic,
            "the password is in the settings file",
            "Write it to a file of its own, mode 0600; in idtone.yaml: `ari: {password_file: /etc/idtone/ari.pw}`",
        )
    if len(secret) < SHORT:
        return warning(topic, f"the password has fewer than {SHORT} characters", _new_password(ari, with_hook))
    return good(topic, f"long enough, from {_source(ari)}")


def _new_password(ari: AriSettings, with_hook: bool) -> str:
    export = "idtone dialplan export again, " if with_hook else ""
    return (
        f"Write what `openssl rand -base64 24` prints into {_source(ari)} and into ari.conf, [{ari.user}], "
        f"`password = `; then {export}{_RELOAD_ARI}, and restart idtone"
    )


def _source(ari: AriSettings) -> str:
    if ari.password is not None:
        return "IDTONE_ARI_PASSWORD"
    return str(ari.password_file or "ari.password_file")


def exposure(
    ari: AriSettings, seen: Seen, listening: Collection[Address] | None, user: Mapping[str, str] | None
) -> Finding:
    """`listening` are the addresses on which ari.url's port is open here; `user` is his section of ari.conf.

    Either is None where it could not be read.
    """
    topic = "ari-exposure"
    parts = urlsplit(ari.url)
    limited = user is not None and any(name in user for name in ("permit", "deny", "acl"))
    remedy = "In http.conf, [general]: `bindaddr = 127.0.0.1`; then asterisk -rx 'module reload http'"
    if not seen.nearby:
        if parts.scheme == "https":
            return good(topic, "Asterisk is on another machine, and is spoken to over TLS")
        return warning(
            topic,
            "Asterisk is on another machine, and is spoken to without TLS",
            "Run idtone beside Asterisk, or in http.conf: `tlsenable = yes`, and https:// in ari.url",
        )
    if listening is None:
        return unknown(topic, "the machine's open ports cannot be read (/proc/net/tcp)", remedy)
    outside = sorted(str(address) for address in listening if not address.is_loopback)
    if not outside:
        return good(topic, "on the loopback address only" if listening else "on no port of this machine's own network")
    found = f"port {parts.port or PORTS[parts.scheme]} is open on {', '.join(outside)}"
    if parts.scheme != "https":
        return warning(topic, f"{found}, without TLS{' (the user has an ACL)' if limited else ''}", remedy)
    if not limited:
        return warning(
            topic,
            f"{found}, with TLS, and the user has no ACL",
            f"In ari.conf, [{ari.user}]: `deny = 0.0.0.0/0`, `permit = 127.0.0.1`; then {_RELOAD_ARI}",
        )
    return good(topic, f"{found}, with TLS and an ACL")


PORTS: Final = {"http": 80, "https": 443}


def live_dangerously(text: str | None, path: Path) -> Finding:
    """`text` is that of asterisk.conf, None where it could not be read. ARI does not tell."""
    topic = "live-dangerously"
    look = f"grep live_dangerously {path}: it must say no, or nothing; or run this as a user who may read it"
    if text is None:
        return unknown(topic, f"{path} cannot be read here, and ARI does not tell", look)
    value = sections(text).get("options", {}).get("live_dangerously", "")
    if value.lower() in _TRUE:
        return bad(
            topic, f"{path} says {value}", f"In {path}, [options]: `live_dangerously = no`; then restart Asterisk"
        )
    if not value and _includes_others(text):
        return unknown(topic, f"{path} includes other files, which were not looked at", look)
    return good(topic, f"{path} says {value}" if value else f"not set in {path}, which means no")


def clock(seen: Seen) -> Finding:
    apart_s = abs(seen.ahead_s)
    found = f"apart by {apart_s:.0f} s"
    remedy = "Let both machines follow one time service: timedatectl set-ntp true"
    if apart_s > IMPOSSIBLE_S:
        return bad("clock-asterisk", found, remedy)
    if apart_s > FAR_S:
        return warning("clock-asterisk", found, remedy)
    return good("clock-asterisk", "the same to the second")


def sections(text: str) -> dict[str, dict[str, str]]:
    """A file in Asterisk's configuration syntax, as far as single options are looked for in it.

    `[name](template)` takes over the template's options. The last of two equal keys counts. Includes are not followed.
    """
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in text.splitlines():
        bare = re.sub(r"(?<!\\);.*", "", line).strip()
        if head := re.fullmatch(r"\[([^\]]+)\](?:\(([^)]*)\))?", bare):
            current = found.setdefault(head[1], {})
            for template in (head[2] or "").split(","):
                current |= found.get(template.strip(), {})
        elif option := re.fullmatch(r"([^=#]+?)\s*=>?\s*(.*)", bare):
            current[option[1].lower()] = option[2]
    return found
