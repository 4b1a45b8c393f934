"""Runs a real Asterisk on free ports, with all its files in a scratch folder.

Signals go only to the process that the lab started.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import re
import secrets
import shlex
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree

from idtone import dialplan
from idtone.core.settings.policy import PolicySettings
from idtone.core.settings.settings import load_settings
from idtone.dialplan import FallbackParameters
from idtone.service.hook_from_settings import fallback_parameters, hook_for
from idtone.tones.profile_library import load_library

from .asterisk_installation import AsteriskInstallation
from .pjsip_conf import pjsip
from .rtp import family
from .site import Site, chosen_site, make_reachable

LOOPBACK = "127.0.0.1"
DEFAULT_POLICY = fallback_parameters(PolicySettings())
IDTONE = Path(sys.executable).with_name("idtone")
EVIDENCE, FLEET, OFFICE = (IDTONE.with_name(f"idtone-{each}") for each in ("evidence", "fleet", "office"))
"""Paths of the installed commands."""

MODULES = """
    app_confbridge app_dial app_exec app_originate app_playback app_playtones app_softhangup app_stack app_stasis
    app_userevent app_verbose bridge_builtin_features bridge_simple bridge_native_rtp bridge_holding bridge_softmix
    chan_pjsip codec_alaw codec_ulaw codec_a_mu codec_g722 codec_g726 codec_gsm codec_opus_open_source codec_resample
    codec_speex format_g726 format_gsm format_ogg_opus_open_source format_ogg_speex format_ogg_vorbis format_pcm
    format_sln format_wav func_callerid func_cdr func_channel func_config func_cut func_db func_dialplan func_env
    func_global func_groupcount func_hangupcause func_logic func_math func_pjsip_endpoint func_rand func_strings
    func_timeout func_uri
    pbx_config res_agi res_speech res_ari res_ari_applications res_ari_asterisk res_ari_channels res_ari_events
    res_ari_model res_ari_playbacks res_ari_bridges res_http_websocket res_stasis res_stasis_answer res_stasis_playback
    res_ari_endpoints
    res_stasis_recording res_stasis_snoop res_websocket_client res_pjproject res_pjsip res_pjsip_authenticator_digest
    res_pjsip_caller_id res_pjsip_diversion res_pjsip_sdp_rtp res_pjsip_refer res_pjsip_registrar res_format_attr_h264
    res_format_attr_opus res_pjsip_session res_pjsip_endpoint_identifier_anonymous res_pjsip_endpoint_identifier_ip
    res_pjsip_pubsub res_pjsip_t38 res_pjsip_rfc3326 res_pjsip_header_funcs res_pjsip_dtmf_info res_rtp_asterisk
    res_sorcery_config res_sorcery_memory res_sorcery_astdb res_srtp res_timing_timerfd res_convert res_clioriginate
    app_mixmonitor
""".split()
"""Modules of a small PBX.

Asterisk starts in 1 s with these, and in 10 s with `autoload`. Some modules exist only in Debian's package
(`codec_opus_open_source`) or in newer versions. The lab loads those that are installed.
"""

_LOAD = re.compile(r"^load = (\w+)\.so$", re.MULTILINE)

EMPTY = [
    f"{name}.conf"
    for name in """
        acl ccss cdr cel cli_aliases cli_permissions confbridge features pjproject stasis udptl websocket_client
    """.split()
]
"""Configuration files that Asterisk reports as missing unless they exist."""

LAB_DIALPLAN = """
    ; The member's PBX. The calling phone sends in SIP headers what the member's own dialplan would know.
    [globals]
    IDTONE_INTERFACE=ari
    FORWARD_CONTEXT=lab-extensions
    TRANSFER_CONTEXT=lab-extensions

    [from-lab]
    exten = _[+0-9].,1,Set(__LAB_CALL=${PJSIP_HEADER(read,X-Lab-Call)})
     same = n,Set(LAB_CALLED=${PJSIP_HEADER(read,X-Lab-Called)})
     same = n,Set(LAB_NUMBER=${PJSIP_HEADER(read,X-Lab-Number)})
     same = n,Set(LAB_DIRECTION=${PJSIP_HEADER(read,X-Lab-Direction)})
     same = n,Set(LAB_TIMEOUT=${PJSIP_HEADER(read,X-Lab-Timeout)})
     same = n,Set(LAB_DEADLINE=${PJSIP_HEADER(read,X-Lab-Deadline)})
     same = n,Set(LAB_INTERFACE=${PJSIP_HEADER(read,X-Lab-Interface)})
     same = n,ExecIf($["${LAB_INTERFACE}" != ""]?Set(__IDTONE_INTERFACE=${LAB_INTERFACE}))
     same = n,ExecIf($[0${LAB_DEADLINE} > 0]?Set(TIMEOUT(absolute)=${LAB_DEADLINE}))
     same = n,Set(LAB_DIAL=PJSIP/${PJSIP_HEADER(read,X-Lab-Endpoint)}/sip:${EXTEN}@${LAB_CALLED}\\;lab=${LAB_CALL})
     same = n,Set(LAB_DESTINATION=${PJSIP_HEADER(read,X-Lab-Destination)})
     same = n,Set(__LAB_PHONE=${LAB_DIAL})
     same = n,GotoIf($["${LAB_DESTINATION}" = ""]?way)
     same = n,Set(LAB_DIAL=${LAB_DESTINATION})
     same = n,Set(REDIRECTING(from-num)=${LAB_NUMBER})
     same = n,Set(REDIRECTING(reason)=cfu)
     same = n,Set(REDIRECTING(count)=1)
     same = n(way),GotoIf($["${PJSIP_HEADER(read,X-Lab-Way)}" = "native"]?native)
     same = n,GotoIf($["${PJSIP_HEADER(read,X-Lab-Way)}" = "inside"]?lab-extensions,${EXTEN},1)
     same = n,GotoIf($["${PJSIP_HEADER(read,X-Lab-Way)}" = "own-dial"]?own-dial)
     same = n,Gosub(idtone-forward,s,1(${LAB_DIAL},${LAB_NUMBER},${LAB_DIRECTION},${LAB_TIMEOUT},${EXTEN}))
     same = n,Hangup(${IDTONE_CAUSE})
     same = n(native),Dial(${LAB_DIAL},,gA(${IDTONE_SOUNDS}/${PJSIP_HEADER(read,X-Lab-Sound)}))
     same = n,Hangup(${HANGUPCAUSE})
     same = n(own-dial),Dial(${LAB_DIAL},,gU(idtone-called^${LAB_NUMBER}^${LAB_DIRECTION}))
     same = n,Hangup(${HANGUPCAUSE})
    include => lab-forwarded
    exten = _room!,1,Goto(lab-extensions,${EXTEN},1)
    exten = h,1,GotoIf($["${LAB_CALL}" = ""]?nameless)
     same = n,Set(LAB_ENDING=${IDTONE_STATUS}:${IDTONE_REASON}:${IDTONE_CALL_ID}:${IDTONE_CAUSE}:${DIALSTATUS})
     same = n,Set(DB(lab/${LAB_CALL})=${LAB_ENDING})
     same = n(nameless),NoOp()

    ; The call comes back to this PBX, to another number of the member, and is forwarded again: here inside Asterisk;
    ; below (*number*phone's port*call) from a carrier, whose signalling names the diverting party, or from a phone
    ; that transfers the call.
    [lab-again]
    exten = _[+0-9].,1,Gosub(idtone-forward,s,1(${LAB_PHONE},${EXTEN},incoming))
     same = n,Hangup(${IDTONE_CAUSE})

    [lab-twice]
    exten = _[+0-9].,1,Gosub(idtone-forward,s,1(Local/${EXTEN}@lab-again,${EXTEN},incoming))
     same = n,Hangup(${IDTONE_CAUSE})

    [lab-forwarded]
    exten = _*.,1,Set(LAB_PHONE=PJSIP/lab/sip:${CUT(EXTEN,*,2)}@127.0.0.1:${CUT(EXTEN,*,3)}\\;lab=${CUT(EXTEN,*,4)})
     same = n,Gosub(idtone-forward,s,1(${LAB_PHONE},${CUT(EXTEN,*,2)},incoming))
     same = n,Hangup(${IDTONE_CAUSE})

    ; The extensions: each phone has the number of its port; there are conference rooms and an answering machine.
    [lab-extensions]
    include => lab-forwarded
    exten = _XXXX!,1,Dial(PJSIP/lab/sip:${EXTEN}@127.0.0.1:${EXTEN}\\;lab=${LAB_CALL})
     same = n,Hangup(${HANGUPCAUSE})
    exten = _gosub.,1,Dial(PJSIP/lab/sip:${EXTEN:5}@127.0.0.1:${EXTEN:5}\\;lab=${LAB_CALL},,U(lab-inside))
     same = n,Hangup(${HANGUPCAUSE})
    exten = _room!,1,Answer()
     same = n,Set(CONFBRIDGE(user,quiet)=yes)
     same = n,ConfBridge(${EXTEN})
     same = n,Hangup()
    exten = machine,1,Answer()
     same = n(again),Playback(${IDTONE_SOUNDS}/notice)
     same = n,Goto(again)

    ; The operator's own subroutine, for a leg that is not the hook's: an earlier call must not affect this Dial().
    [lab-inside]
    exten = s,1,Return()
"""


@cache
def _brief(documentation: Path) -> str:
    """Asterisk's XML documentation without its texts.

    At each start, Asterisk searches the whole file for the text of each function and application. This search takes
    twice as long as the rest of the start. Asterisk needs the entries for configuration options, but only the names of
    the others.
    """
    tree = ElementTree.parse(documentation)  # noqa: S314  Asterisk's own file
    for each in [*tree.getroot()]:
        if each.tag in ("info", "managerEvent", "module"):
            tree.getroot().remove(each)
        elif each.tag != "configInfo":
            each[:] = [ElementTree.Element("synopsis")]
    return ElementTree.tostring(tree.getroot(), encoding="unicode")


def _link_data(directory: Path, into: Path) -> None:
    """Link the data folder of an installation into `into`, with the brief documentation."""
    into.mkdir(exist_ok=True)
    documentation = directory / "documentation" / "core-en_US.xml"
    for path in directory.iterdir():
        if not (path == documentation.parent and documentation.is_file()) and not (into / path.name).is_symlink():
            (into / path.name).symlink_to(path)
    if documentation.is_file():
        (into / "documentation").mkdir(exist_ok=True)
        (into / "documentation" / documentation.name).write_text(_brief(documentation), "utf-8")


@dataclass(frozen=True, slots=True)
class Ending:
    """The variables that the hook left on the caller's channel."""

    status: str
    reason: str
    call_id: str
    cause: str
    dial_status: str


PORTS_OF_A_PROCESS = 400


def _ports() -> Iterator[int]:
    """Yield ports below the kernel's ephemeral range and above Asterisk's RTP ports.

    Each process has its own range, because it binds a free port only some time after finding it. A process claims a
    range by binding a socket name, which the kernel frees when the process ends. Raises RuntimeError if all ranges are
    in use.
    """
    for first in range(20_000, 32_000, PORTS_OF_A_PROCESS):
        claim = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError):
            claim.bind(f"\0idtone-lab-ports-{first}")
            atexit.register(claim.close)
            yield from itertools.cycle(range(first, first + PORTS_OF_A_PROCESS))
        claim.close()
    raise RuntimeError("all ranges of ports are in use; end other runs of the tests")


_PORTS = _ports()


def free_ports(count: int, kind: socket.SocketKind = socket.SOCK_STREAM, host: str = LOOPBACK) -> list[int]:
    """The given number of ports that are free at present."""
    found: list[int] = []
    while len(found) < count:
        port = next(_PORTS)
        with contextlib.suppress(OSError), socket.socket(family(host), kind) as opened:
            opened.bind((host, port))
            found.append(port)
    return found


@dataclass
class Asterisk:
    """A real Asterisk whose files are all in the folder `scratch`."""

    installation: AsteriskInstallation
    scratch: Path
    dialplan_files: Mapping[str, str] = field(default_factory=dict)
    """File name → content, for files to add to the configuration folder or to replace there."""
    exported: Mapping[str, str] = field(default_factory=dict)
    """Further settings of the hook, as environment variables."""
    ari_password: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    site: Site = field(default_factory=chosen_site)

    def __post_init__(self) -> None:
        kind = socket.SOCK_DGRAM if self.site.transport == "udp" else socket.SOCK_STREAM
        (self.sip_port,) = free_ports(1, kind, self.site.host)
        self.http_port, self.agi_port = free_ports(2)
        self.etc = self.scratch / "etc"
        self.data = self.scratch / "data"
        self.sounds = self.scratch / "sounds"
        self.process: subprocess.Popen[bytes] | None = None
        self._alone = DEFAULT_POLICY

    @property
    def certificate(self) -> Path | None:
        """File with the key and certificate for SIP over TLS, or None if the site does not use TLS."""
        return self.etc / "sip.pem" if self.site.transport == "tls" else None

    @property
    def ari_url(self) -> str:
        return f"http://{LOOPBACK}:{self.http_port}/ari"

    @property
    def sip_address(self) -> tuple[str, int]:
        return self.site.host, self.sip_port

    @property
    def has_opus(self) -> bool:
        """True if this Asterisk decodes Opus, as Debian's does. A build from the public sources does not."""
        return not self.installation.without(["codec_opus_open_source"])

    @property
    def has_srtp(self) -> bool:
        """True if the site uses SRTP and this Asterisk was built with libsrtp."""
        return self.site.srtp and not self.installation.without(["res_srtp"])

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self, timeout_s: float = 120) -> None:
        """Write the configuration, start Asterisk and wait until it has fully booted. Raises RuntimeError."""
        self._write_configuration()
        log = (self.scratch / "console").open("ab")
        with log:
            command = [*self.installation.command, "-f", "-C", str(self.etc / "asterisk.conf")]
            self.process = subprocess.Popen(
                self.site.command("asterisk", command, self.scratch),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.scratch,
                start_new_session=True,
                env=self.site.environment(self.scratch),
                umask=self.site.umask,
            )
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            if self.process.poll() is not None:
                raise RuntimeError(f"Asterisk ended with {self.process.returncode}:\n{self.log()[-3000:]}")
            with contextlib.suppress(BlockingIOError):  # Asterisk answers only after it has booted
                if (self.scratch / "run" / "asterisk.ctl").exists() and "fully booted" in self.command(
                    "core waitfullybooted", max(1.0, left_s)
                ):
                    self._fill()
                    return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"Asterisk did not start within {timeout_s} s:\n{self.log()[-3000:]}")

    def stop(self) -> None:
        """Stop Asterisk, and kill it if it still runs after 10 s."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def kill(self) -> None:
        """Kill Asterisk after a test. An orderly stop takes 1.6 s."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self) -> Asterisk:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def in_path(self, folder: Path) -> str:
        """A value for PATH that makes `asterisk` start this Asterisk. Writes the script `asterisk` into `folder`."""
        program = folder / "asterisk"
        program.write_text(f'#!/bin/sh\nexec {shlex.join(self.installation.command)} "$@"\n')
        program.chmod(0o755)
        return os.pathsep.join((str(folder), os.environ["PATH"]))

    def set_fallback_policy(self, policy: FallbackParameters) -> None:
        """Set the hook's fallback policy, as an export with these settings would."""
        if policy == self._alone:
            return
        for name, value in policy.globals.items():
            self.command(f"dialplan set global {name} {value}")
        self._alone = policy

    # -- questions ----------------------------------------------------------------------------------------------

    def command(self, text: str, timeout_s: float = 10) -> str:
        """The output of a console command, or an empty string if Asterisk does not run.

        Raises BlockingIOError if Asterisk does not answer in time. This method uses Asterisk's socket directly, as
        `asterisk -rx` does. A new process for each command would load the machine more than the calls do.
        """
        with socket.socket(socket.AF_UNIX) as console:
            # settimeout() does not work here: connect() must block until Asterisk has accepted the earlier connections.
            for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
                console.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", round(timeout_s), 0))
            try:
                console.connect(str(self.scratch / "run" / "asterisk.ctl"))
                console.sendall(f"cli quit after {text}\0".encode())
                said = b"".join(iter(lambda: console.recv(65536), b""))
            except (FileNotFoundError, ConnectionError):
                return ""
        return said.decode(errors="replace").partition("\n")[2]  # after the line with Asterisk's name and version

    def channels(self) -> int:
        """Number of channels, not counting the site's idle channels."""
        return self._count("core show channels count", "active channel") - self.site.idle_channels

    def bridges(self) -> int:
        return max(0, len(self.command("bridge show all").strip().splitlines()) - 1)

    def endings(self) -> dict[str, Ending]:
        """The lab's name of a call → its ending, for each call that has ended."""
        found = {}
        for line in self.command("database show lab").splitlines():
            key, separator, value = line.partition(" : ") if " : " in line else line.partition(": ")
            if separator and key.strip().startswith("/lab/"):
                found[key.strip().removeprefix("/lab/")] = Ending(*value.strip().split(":"))
        return found

    def log(self) -> str:
        path = self.scratch / "log" / "full"
        return path.read_text(errors="replace") if path.exists() else (self.scratch / "console").read_text()

    def complaints(self) -> list[str]:
        """Lines with warnings or errors in Asterisk's log."""
        return [line for line in self.log().splitlines() if "WARNING" in line or "ERROR" in line]

    def _count(self, command: str, what: str) -> int:
        for line in self.command(command).splitlines():
            number, _, rest = line.strip().partition(" ")
            if rest.startswith(what):
                return int(number)
        raise RuntimeError(f"Asterisk does not answer {command!r}")

    # -- configuration ------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Create the site's idle channels, which are both ends of Local channels that wait.

        Tests replace extensions.conf, so these channels do not use it.
        """
        if not self.site.idle_channels:
            return
        for step in ("1,Answer", "2,Wait(86400)"):
            self.command(f"dialplan add extension s,{step} into lab-idle")
        for _ in range(self.site.idle_channels // 2):
            self.command("channel originate Local/s@lab-idle/n application Wait 86400")
        deadline = time.monotonic() + 30
        while self.channels() < 0:
            if time.monotonic() > deadline:
                raise RuntimeError(f"Asterisk made no {self.site.idle_channels} idle channels:\n{self.log()[-3000:]}")
            time.sleep(0.02)

    def _write_configuration(self) -> None:
        self._write_files()
        self.site.give(self.sounds, "idtone", 0o2750)
        settings = {
            "IDTONE_SOUNDS_DIRECTORY": str(self.sounds),
            "IDTONE_INTERFACE": "agi",
            "IDTONE_AGI_LISTEN": f"{LOOPBACK}:{self.agi_port}",
            "IDTONE_ARI_PASSWORD": self.ari_password,
            **self.exported,
        }
        hook = hook_for(load_settings(None, os.environ | settings), load_library())
        self.hook_digest = hook.digest
        self._alone = DEFAULT_POLICY
        dialplan.export(self.etc, hook)
        self.site.share(self.etc)
        for name in ("run", "log", "spool", "db", "keys"):
            self.site.give(self.scratch / name, "asterisk", 0o750)
        make_reachable(self.scratch)

    def _write_files(self) -> None:
        for folder in ("etc", "run", "log", "spool", "db", "keys"):
            (self.scratch / folder).mkdir(parents=True, exist_ok=True)
        _link_data(self.installation.data_directory, self.data)
        for name, text in self._files().items():
            (self.etc / name).parent.mkdir(exist_ok=True)
            (self.etc / name).write_text(dedent(self._installed(text) if name == "modules.conf" else text))
        if self.certificate:
            # Imported here because the tutorial's Asterisk starts with only the standard library.
            from lab.registry.trust.publication_server import write_certificate

            write_certificate(self.certificate)

    def _installed(self, text: str) -> str:
        """The content `text` of a modules.conf without the modules that this Asterisk lacks."""
        missing = self.installation.without(_LOAD.findall(text))
        return _LOAD.sub(lambda line: "" if line[1] in missing else line[0], text)

    def _files(self) -> dict[str, str]:
        # RTP is bound to one address. Otherwise Asterisk resolves its own host name for each stream (ast_find_ourip),
        # and a slow resolver blocks calls for seconds.
        scratch, installation = self.scratch, self.installation
        return {
            "asterisk.conf": f"""
                [directories]
                astetcdir => {self.etc}
                astmoddir => {installation.module_directory}
                astdatadir => {self.data}
                astdbdir => {scratch}/db
                astkeydir => {scratch}/keys
                astvarlibdir => {scratch}/db
                astspooldir => {scratch}/spool
                astrundir => {scratch}/run
                astlogdir => {scratch}/log
            """,
            "modules.conf": "[modules]\nautoload = no\n" + "".join(f"load = {name}.so\n" for name in MODULES),
            "logger.conf": "[logfiles]\nfull = notice,warning,error\n",
            "http.conf": f"[general]\nenabled = yes\nbindaddr = {LOOPBACK}\nbindport = {self.http_port}\n",
            "ari.conf": f"""
                [general]
                enabled = yes
                [idtone]
                type = user
                password = {self.ari_password}
            """,
            "pjsip.conf": pjsip(
                self.sip_address, self.site.transport, self.site.trusted, self.certificate, self.has_srtp
            ),
            "rtp.conf": "[general]\nrtpstart = 10000\nrtpend = 19999\nstrictrtp = no\nicesupport = no\n",
            "extensions.conf": f"#include idtone.conf\n{dedent(LAB_DIALPLAN)}",
            "indications.conf": "[general]\ncountry = jp\n[jp]\ndescription = Japan\nring = 400+15/1000,0/2000\n",
            **dict.fromkeys(EMPTY, ""),
            **self.dialplan_files,
        }
