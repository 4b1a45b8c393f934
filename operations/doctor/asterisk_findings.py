"""The doctor's checks of Asterisk, based on its ARI responses and its configuration files."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from idtone.core.errors import AriError, AriRefused
from idtone.core.settings.settings import AriSettings
from idtone.core.translation import Message

from ..planned_changes import RightsChange
from . import asterisk_modules
from .findings import Finding, bad, good, unknown, warning

Address = IPv4Address | IPv6Address

VARIABLES: Final = ("ASTETCDIR", "ASTRUNDIR", "IDTONE_HOOK", "IDTONE_SOUNDS")
"""Global variables that hold Asterisk's folders and the hook's values."""

FAR_S: Final = 2.0
"""Difference between the clocks, in seconds, that changes the order of events. A smaller difference may result from the
response delay."""
IMPOSSIBLE_S: Final = 60.0

SHORT: Final = 16
"""Minimum length of a password that does not count as short."""
SAMPLES: Final = frozenset(
    {"asterisk", "asterisk1234", "changeme", "idtone", "password", "peekaboo", "secret", "secret_password", "…"}
)
"""Passwords that appear in the Asterisk and idtone manuals."""

_RELOAD_ARI: Final = "asterisk -rx 'module reload res_ari.so'"


@dataclass(frozen=True, slots=True)
class AsteriskObservation:
    """The state of an Asterisk, as ARI reports it."""

    version: str
    nearby: bool
    """True if Asterisk is on this machine, so that its files and processes can be read."""
    modules: frozenset[str]
    """The running modules, without `.so`."""
    write_status: int
    """HTTP status of a request that changes nothing but requires write access."""
    contexts: frozenset[str] | None
    """The hook's contexts in the dialplan; None if Asterisk cannot report them."""
    application: bool
    ahead_s: float
    """Asterisk's clock minus ours, in seconds, with an error of up to half a second."""
    variables: Mapping[str, str]
    endpoints: Mapping[str, int] | None = None
    """PJSIP endpoint → number of channels; None if Asterisk cannot report it."""


def unreachable(error: AriError, ari: AriSettings) -> Finding:
    """Explain why Asterisk could not be observed over ARI."""
    if not isinstance(error, AriRefused):
        return bad(
            "ari",
            str(error),
            Message(
                "Start Asterisk; in http.conf: `enabled = yes`, `bindaddr = 127.0.0.1`, `bindport` as in "
                "ari.url; then asterisk -rx 'module reload http'"
            ),
        )
    remedies = {
        401: Message(
            "In ari.conf: [{user}], `type = user`, `password = ` the password in {source}; then {reload}",
            user=ari.user,
            source=_source(ari),
            reload=_RELOAD_ARI,
        ),
        403: Message(
            "In ari.conf, [{user}]: `permit = ` the address of this machine; then {reload}",
            user=ari.user,
            reload=_RELOAD_ARI,
        ),
        404: _not_there(ari),
    }
    return bad(
        "ari",
        Message("{error} at {address}", error=error, address=url_without_password(ari)),
        remedies.get(error.status, Message("Wait until `asterisk -rx 'core waitfullybooted'` ends")),
    )


def _not_there(ari: AriSettings) -> str:
    address = url_without_password(ari)
    if not address.endswith("/ari"):
        return Message(
            "In idtone.yaml: `ari: {{url: '{address}/ari'}}`: the address of ARI ends with /ari", address=address
        )
    return Message(
        "In ari.conf, [general]: `enabled = yes`; {commands}; if http.conf has a `prefix`, write "
        "it before /ari in ari.url, which is {address}",
        commands=asterisk_modules.load_commands(asterisk_modules.loading_order(("res_ari_asterisk",))),
        address=address,
    )


def url_without_password(ari: AriSettings) -> str:
    parts = urlsplit(ari.url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def reachable(seen: AsteriskObservation, ari: AriSettings) -> Finding:
    return good(
        "ari",
        Message(
            "{address} answers to the user {user}: Asterisk {version}",
            address=url_without_password(ari),
            user=ari.user,
            version=seen.version,
        ),
    )


def rights(seen: AsteriskObservation, ari: AriSettings) -> Finding:
    if seen.write_status in (401, 403):
        return bad(
            "ari-rights",
            Message("{user} may only read", user=ari.user),
            Message("In ari.conf, [{user}]: `read_only = no`; then {reload}", user=ari.user, reload=_RELOAD_ARI),
        )
    return good("ari-rights", Message("{user} may write", user=ari.user))


def origins(text: str | None, path: Path) -> Finding:
    """Check that ARI does not allow requests from every web page.

    `text` is the content of ari.conf, or None if it could not be read. The origins are not tested with requests,
    because Asterisk would log every rejected origin.
    """
    topic = "ari-origins"
    look = Message(
        "grep allowed_origins {path}: it must find nothing; or run this as a user who may read it", path=path
    )
    if text is None:
        return unknown(topic, Message("{path} cannot be read here", path=path), look)
    value = sections(text).get("general", {}).get("allowed_origins", "")
    origins = [origin.strip() for origin in value.split(",") if origin.strip()]
    if "*" in origins:
        return warning(
            topic,
            Message("{path} allows every web page", path=path),
            Message(
                "In {path}, [general]: remove `allowed_origins = {value}`; then {reload}",
                path=path,
                value=value,
                reload=_RELOAD_ARI,
            ),
        )
    if not value and _includes_others(text):
        return unknown(topic, Message("{path} includes other files, which were not read", path=path), look)
    return good(
        topic,
        Message("{path} allows {origins}", path=path, origins=", ".join(origins))
        if origins
        else Message("{path} allows no web page", path=path),
    )


def cdr(running: Collection[str], text: str | None, trouble: str, path: Path) -> Finding:
    """Check that Asterisk writes call detail records.

    `running` are the running modules. `text` is the content of cdr.conf, or None if it could not be read. `trouble` is
    then the reason, or empty if the file does not exist.
    """
    topic = "cdr"
    if asterisk_modules.CDR not in running:
        return warning(
            topic,
            Message("{module} is not running", module=asterisk_modules.CDR),
            asterisk_modules.remedy((asterisk_modules.CDR,)),
        )
    look = Message(
        "asterisk -rx 'cdr show status': Logging must be Enabled; or run this as a user who may read {path}", path=path
    )
    if text is None and trouble:
        return unknown(topic, Message("{path}: {trouble}", path=path, trouble=trouble), look)
    value = sections(text or "").get("general", {}).get("enable", "")
    if value and value.lower() not in TRUE:
        remedy = Message("In {path}, [general]: `enable = yes`; then asterisk -rx 'module reload cdr'", path=path)
        return warning(topic, Message("{path} says enable = {value}", path=path, value=value), remedy)
    if not value and _includes_others(text or ""):
        return unknown(topic, Message("{path} includes other files, which were not read", path=path), look)
    return good(
        topic, Message("{module} is running, and {path} does not disable CDRs", module=asterisk_modules.CDR, path=path)
    )


TRUE: Final = frozenset({"yes", "true", "y", "t", "1", "on"})


def _includes_others(text: str) -> bool:
    return bool(re.search(r"^\s*#(?:(?:try)?include|exec)", text, re.MULTILINE))


def password(
    secret: str, ari: AriSettings, from_environment: bool, file: tuple[int, int, int] | None, with_hook: bool = False
) -> Finding:
    """Check that the ARI password is strong and that other users cannot read it.

    `file` has the mode and owner of `ari.password_file` and the current user id, or is None if the password is not in a
    file. `with_hook` is True if the hook's secret is derived from the password.
    """
    topic = "ari-password"
    if secret.lower() in SAMPLES or secret == ari.user:
        return bad(topic, Message("the password is one from the manuals"), _new_password(ari, with_hook))
    if file:
        mode, owner, ourselves = file
        private = RightsChange(Path(str(ari.password_file)), 0o600)
        if mode & 0o007:
            return bad(
                topic,
                Message("all users can read {file} (mode {mode:04o})", file=ari.password_file, mode=mode),
                str(private),
                private,
            )
        if mode & 0o070:
            return warning(
                topic,
                Message("a group can read {file} (mode {mode:04o})", file=ari.password_file, mode=mode),
                str(private),
                private,
            )
        if owner not in (0, ourselves) and ourselves != 0:
            return warning(
                topic,
                Message("{file} belongs to the user {owner}, who can change it", file=ari.password_file, owner=owner),
                f"chown {ourselves} {ari.password_file}",
            )
    if not file and not from_environment:
        return warning(
            topic,
            Message("the password is in the settings file"),
            Message(
                "Write it to a separate file, mode 0600; in idtone.yaml: `ari: {{password_file: /etc/idtone/ari.pw}}`"
            ),
        )
    if len(secret) < SHORT:
        return warning(
            topic, Message("the password has fewer than {least} characters", least=SHORT), _new_password(ari, with_hook)
        )
    return good(topic, Message("long enough, from {source}", source=_source(ari)))


def _new_password(ari: AriSettings, with_hook: bool) -> str:
    if with_hook:
        return Message(
            "Write what `openssl rand -base64 24` prints into {source} and into ari.conf, [{user}], "
            "`password = `; then idtone dialplan export again, {reload}, and restart idtone",
            source=_source(ari),
            user=ari.user,
            reload=_RELOAD_ARI,
        )
    return Message(
        "Write what `openssl rand -base64 24` prints into {source} and into ari.conf, [{user}], "
        "`password = `; then {reload}, and restart idtone",
        source=_source(ari),
        user=ari.user,
        reload=_RELOAD_ARI,
    )


def _source(ari: AriSettings) -> str:
    if ari.password is not None:
        return "IDTONE_ARI_PASSWORD"
    return str(ari.password_file or "ari.password_file")


def exposure(
    ari: AriSettings, seen: AsteriskObservation, listening: Collection[Address] | None, user: Mapping[str, str] | None
) -> Finding:
    """Check that ARI is either closed to the network or protected by TLS and an ACL.

    `listening` are the local addresses on which the port in ari.url is open. `user` is the user's section in ari.conf,
    or None if it could not be read.
    """
    topic = "ari-exposure"
    parts = urlsplit(ari.url)
    limited = user is not None and any(name in user for name in ("permit", "deny", "acl"))
    remedy = Message("In http.conf, [general]: `bindaddr = 127.0.0.1`; then asterisk -rx 'module reload http'")
    if not seen.nearby:
        if parts.scheme == "https":
            return good(topic, Message("Asterisk is on another machine, and the connection uses TLS"))
        return warning(
            topic,
            Message("Asterisk is on another machine, and the connection does not use TLS"),
            Message("Run idtone on Asterisk's machine; or in http.conf: `tlsenable = yes`, and https:// in ari.url"),
        )
    if listening is None:
        return unknown(topic, Message("the machine's open ports cannot be read (/proc/net/tcp)"), remedy)
    outside = sorted(str(address) for address in listening if not address.is_loopback)
    if not outside:
        return good(
            topic,
            Message("on the loopback address only")
            if listening
            else Message("on no port of this machine's own network"),
        )
    found = Message(
        "port {port} is open on {addresses}", port=parts.port or PORTS[parts.scheme], addresses=", ".join(outside)
    )
    if parts.scheme != "https":
        if limited:
            found = Message("{found}, without TLS (the user has an ACL)", found=found)
        else:
            found = Message("{found}, without TLS", found=found)
        return warning(topic, found, remedy)
    if not limited:
        return warning(
            topic,
            Message("{found}, with TLS, and the user has no ACL", found=found),
            Message(
                "In ari.conf, [{user}]: `deny = 0.0.0.0/0`, `permit = 127.0.0.1`; then {reload}",
                user=ari.user,
                reload=_RELOAD_ARI,
            ),
        )
    return good(topic, Message("{found}, with TLS and an ACL", found=found))


PORTS: Final = {"http": 80, "https": 443}


def live_dangerously(text: str | None, path: Path) -> Finding:
    """Check that Asterisk's option `live_dangerously` is off.

    `text` is the content of asterisk.conf, or None if it could not be read.
    """
    topic = "live-dangerously"
    look = Message(
        "grep live_dangerously {path}: it must find no, or nothing; or run this as a user who may read it", path=path
    )
    if text is None:
        return unknown(topic, Message("{path} cannot be read here, and ARI does not give the option", path=path), look)
    value = sections(text).get("options", {}).get("live_dangerously", "")
    if value.lower() in TRUE:
        return bad(
            topic,
            Message("{path} says {value}", path=path, value=value),
            Message("In {path}, [options]: `live_dangerously = no`; then restart Asterisk", path=path),
        )
    if not value and _includes_others(text):
        return unknown(topic, Message("{path} includes other files, which were not read", path=path), look)
    return good(
        topic,
        Message("{path} says {value}", path=path, value=value)
        if value
        else Message("not set in {path}, which means no", path=path),
    )


def clock(seen: AsteriskObservation) -> Finding:
    difference_s = abs(seen.ahead_s)
    found = Message("they differ by {difference_s:.0f} s", difference_s=difference_s)
    remedy = Message("Synchronise both machines: timedatectl set-ntp true")
    if difference_s > IMPOSSIBLE_S:
        return bad("clock-asterisk", found, remedy)
    if difference_s > FAR_S:
        return warning("clock-asterisk", found, remedy)
    return good("clock-asterisk", Message("they agree within two seconds"))


def sections(text: str) -> dict[str, dict[str, str]]:
    """Parse Asterisk's configuration syntax into sections and options.

    `[name](template)` inherits the template's options. If a key is repeated, its last value counts. Includes are not
    followed.
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
