"""Analysis of sampled call stacks: the share of each part, and a flame graph.

A stack is a tuple of function names, from the thread's first function to the running function. A kernel function's name
ends in `_[k]`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from typing import Final

Stack = tuple[str, ...]
KERNEL: Final = "_[k]"
_FRAME: Final = re.compile(r"\s+[0-9a-f]+ (.*?)(?:\+0x[0-9a-f]+)? \(([^()]*(?:\([^)]*\))?)\)$")
_STARTS: Final = frozenset({"dummy_start", "start_thread", "clone3", "__clone3", "__libc_start_main", "_start"})
"""Functions at the beginning of each thread."""


def fold_stacks(lines: Iterable[str]) -> Counter[Stack]:
    """Number of samples of each stack, from the output of `perf script -F ip,sym,dso`."""
    found, frames = Counter[Stack](), list[str]()
    for line in lines:
        if read := _FRAME.match(line):
            frames.append(_named(read[1], read[2]))
        elif frames:
            found[_trimmed(frames)] += 1
            frames = []
    if frames:
        found[_trimmed(frames)] += 1
    return found


def _named(function: str, file: str) -> str:
    if file.startswith("[kernel") or file.endswith(".ko"):
        return function + KERNEL
    return f"[{file.rpartition('/')[2]}]" if function == "[unknown]" else function


def _trimmed(frames: list[str]) -> Stack:
    stack = frames[::-1]
    starts = [place for place, name in enumerate(stack[:4]) if name in _STARTS]
    return tuple(stack[starts[-1] + 1 if starts else 0 :]) or ("[unknown]",)


# -- by what is done ---------------------------------------------------------------------------------------------------

_SYSTEM_CALL: Final = re.compile(
    r"(?:__x64_sys|__se_sys|__do_sys|__sys|do_sys|ksys)_(\w+?)(?:_time64)?" + re.escape(KERNEL)
)
_THREADS: Final = frozenset(
    "futex poll ppoll select pselect6 epoll_wait epoll_pwait nanosleep clock_nanosleep clone clone3 exit exit_group "
    "sched_yield madvise munmap mprotect set_robust_list rt_sigprocmask eventfd timerfd_settime".split()
)
_NETWORK: Final = frozenset(
    "sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg socket bind connect accept accept4 getsockname setsockopt "
    "getsockopt shutdown epoll_ctl".split()
)
THREADS, NETWORK, ELSE = "waiting, waking and switching threads", "network", "dialplan, channels, bridges"
FILES, ARI, BUS = "sound and journal files", "ARI, JSON, WebSocket", "bus messages and snapshots"
VARIABLES, SIP, RTP = "variables, functions, expressions", "SIP", "RTP"
MEMORY: Final = "memory and strings, unknown callers"


def _any(names: str) -> re.Pattern[str]:
    return re.compile("|".join(names.split()))


WHAT: Final[Mapping[str, re.Pattern[str]]] = {
    FILES: _any(r"""
        ast_(openstream|readfile|readframe|streamfile|stopstream|closestream|seekstream|waitstream|filedelete)\w*
        ast_(file)?exists\w* ast_readaudio\w* ast_fsread\w* filehelper\w* fileexists\w* waitstream\w* filestream_\w+
        (pcm|wav|slinear|g722|gsm)_(read|open|rewrite|close|seek) file_(read|read2|write|count_line|format) stat_read
    """),
    ARI: _any(r"""
        (ast_)?(ari|json|http|websocket|ws)_\w+ stasis_app_\w+ app_(send|handler)\w* httpd_\w+ handle_tcptls\w*
        stasis_(start|end)_\w+ session_(write|read|send)\w* \[libjansson.* message_received_handler control_\w+
        sub_(channel|default|bridge)\w* iostream_\w+ ast_iostream_\w+
    """),
    BUS: _any(r"""
        stasis_\w+ ast_(channel|bridge|endpoint|multi|system)_(publish|snapshot|channel_blob|object_blob)\w* publish_\w+
        dispatch_\w+ subscription_invoke topic_\w+ router_dispatch caching_\w+ endpoint_publish\w* cdr_\w+ cel_\w+
        handle_\w+_message channel_snapshot\w* snapshot_\w+ internal_stasis\w* manager_\w+ device_state_\w+ devstate_\w+
        sub_\w+_cache\w* send_subscription\w* subscription_\w+
    """),
    RTP: _any(r"""(ast_|native_|multi_)?(rtp|rtcp|srtp)_\w+ \w*_rtp_\w* bridge_p2p\w* rtp\w*"""),
    VARIABLES: _any(r"""
        (ast_)?(pbx_)?(str_)?substitute_variables\w* ast_str_substitute\w* ast_func_(read|write)\w*
        pbx_builtin_\w*var\w* pbx_(retrieve_variable|substitute\w*|builtin_gotoif|checkcondition)
        ast_str_retrieve_variable ast_yy\w+ ast_expr\w*
        ast_custom_function_\w+ acf_\w+ func_\w+ pjsip_acf_\w+ \w+_(func|exec)_(read|write)2? ast_var_\w+ frame_set_var
        (gosub|return|gosubif|stackpeek|peek)_\w+ __?re_\w+ re_(search|compile|match)\w* reg(comp|exec|free)\w*
        (global|shared|timeout|group|group_count|callerid|connectedline|redirecting|regex|cut|uri|filter|if|len|env)_\w+
        (uriencode|uridecode|filter|regex|listfilter|acf|strftime|import)_?\w*
    """),
    SIP: _any(r"""
        (ast_)?(pjsip|pj|pjmedia|sip|chan_pjsip|tsx|inv|dlg|mod|endpt|transport|ioqueue|sorcery|session|invite)_\w+
        ast_(sip|sorcery)_\w+ distribut\w+ on_(rx|tx)_\w+ \[(libasteriskpj|res_pjsip|chan_pjsip).* udp_on_\w+
        int_parse_\w+ parse_\w*hdr\w* handle_\w*sdp\w* \w+_on_rx_\w+
    """),
}  # fmt: skip
"""Activity → its functions, in order of precedence. A function that none of them names (memory, strings, locks) belongs
to its caller.
"""


def activity(stack: Stack) -> str:
    """Activity in a sampled stack: a name of `WHAT`, THREADS, NETWORK, MEMORY, or ELSE.

    If the kernel runs, the system call decides between THREADS, NETWORK and the function that called the kernel.
    Otherwise the last function that `WHAT` names decides. MEMORY is for stacks that show only the C library.
    """
    for name in reversed(stack):
        if name.endswith(KERNEL):
            call = _SYSTEM_CALL.fullmatch(name)
            if call and call[1] in _THREADS:
                return THREADS
            if call and call[1] in _NETWORK:
                return NETWORK
            continue
        for part, pattern in WHAT.items():
            if pattern.fullmatch(name):
                return part
    known = [name for name in stack if not name.endswith(KERNEL) and not _OF_LIBC.fullmatch(name)]
    return ELSE if known else THREADS if stack[-1].endswith(KERNEL) else MEMORY


_OF_LIBC: Final = _any(r"""
    \[.* worker_start \w*(alloc|free|chunk|futex|syscall|pthread|madvise|trim|mutex)\w*(@.*)?
    \w*(print|scan|str|mem)\w*(@.*)?
    __random_r clone3 __?poll\w*
""")
"""Functions of the C library, which keeps no frame pointers: a stack of only these does not show their callers."""


# -- by where ---------------------------------------------------------------------------------------------------------

U, HANGUP, STASIS = "the call: `U()` and what it plays", "the call: hangup handlers", "the call: `Stasis()`"
DIAL, BRIDGE, PRIORITIES = "the call: `Dial()`", "the call: the bridge", "the call: other priorities"
BRIDGED: Final = "the called party's thread in the bridge"
AUTOSERVICE: Final = "the thread that reads waiting channels"
SIP_THREAD, SIP_TASKS, BUS_TASKS = "the SIP reader thread", "SIP tasks", "bus tasks"
WEBSOCKET, DEVICES = "the WebSocket thread", "the device-state thread"
OTHERS: Final = "other threads, and stacks without a beginning"
_HANGUP_RUN: Final = "ast_pbx_hangup_handler_run"
_CALL: Final = (
    (HANGUP, _HANGUP_RUN), (U, "ast_app_exec_sub"), (STASIS, "stasis_app_exec"),
    (BRIDGE, "ast_bridge_call_with_flags"), (DIAL, "dial_exec_full"),
)  # fmt: skip
"""Steps of the thread that runs the dialplan, each with its function. The first step whose function is in the stack
counts.
"""
_THREADS_OF: Final = (
    (BRIDGED, "bridge_channel_ind_thread"), (BRIDGED, "bridge_channel_depart_thread"), (AUTOSERVICE, "autoservice_run"),
    (SIP_THREAD, "monitor_thread_exec"), (WEBSOCKET, "httpd_helper_thread"), (WEBSOCKET, "handle_tcptls_connection"),
    (DEVICES, "do_devstate_changes"),
)  # fmt: skip
_TASKS: Final = (
    (BUS_TASKS, _any(r"dispatch_exec\w* stasis_\w+ subscription_invoke router_dispatch")),
    (SIP_TASKS, _any(r"\w*(sip|session|invite|distribut|transport|pj_|sdp)\w* answer hangup indicate call read_pjsip")),
)
"""Tasks of threads that serve all calls, each with a function near the thread's first one."""


def thread_or_step(stack: Stack) -> str:
    """The call's step, or the thread that serves all calls, in a sampled stack."""
    inside = frozenset(stack)
    if "__ast_pbx_run" in inside or _HANGUP_RUN in inside:
        return next((step for step, function in _CALL if function in inside), PRIORITIES)
    if thread := next((thread for thread, function in _THREADS_OF if function in inside), None):
        return thread
    if "ast_taskprocessor_execute" in inside:
        task = stack[stack.index("ast_taskprocessor_execute") + 1 :][:4]
        return next((name for name, pattern in _TASKS if any(pattern.fullmatch(each) for each in task)), OTHERS)
    return OTHERS


def part_shares(stacks: Mapping[Stack, int], of: Callable[[Stack], str]) -> dict[str, float]:
    """Share of the samples by part, such as an activity or a thread."""
    counted = Counter[str]()
    for stack, samples in stacks.items():
        counted[of(stack)] += samples
    whole = counted.total()
    return {name: samples / whole for name, samples in counted.most_common()}


# -- the picture ------------------------------------------------------------------------------------------------------

_WIDTH, _ROW, _LETTER, _TOP = 1000.0, 13, 5.4, 30
_LEAST: Final = 4.0
"""Functions below this share are left out."""
_STYLE: Final = (
    "text{font:9px Verdana,sans-serif}#title{font-size:14px;text-anchor:middle}"
    "g>rect:hover{stroke:#000;stroke-width:.5}"
)


def flame_graph(stacks: Mapping[Stack, int], title: str) -> str:
    """Draw a flame graph of sampled stacks as SVG.

    A function is as wide as its share of the samples, and stands on its caller.
    """
    whole, ordered = sum(stacks.values()), sorted(stacks.items())
    boxes = [*_boxes(ordered, 0, whole)]
    height = _TOP + _ROW * (1 + max((depth for depth, *_ in boxes), default=0)) + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH:.0f}" height="{height}" '
        f'viewBox="0 0 {_WIDTH:.0f} {height}">',
        f"<style>{_STYLE}</style>",
        '<rect width="100%" height="100%" fill="#f4f4e4"/>',
        f'<text id="title" x="{_WIDTH / 2:.0f}" y="18">{escape(title)}</text>',
    ]
    for depth, left, width, name, samples in boxes:
        y = height - 10 - _ROW * (depth + 1)
        label = name if len(name) * _LETTER < width else name[: max(0, int(width / _LETTER) - 2)] + ".."
        text = f'<text x="{left + 2:.1f}" y="{y + 9}">{escape(label)}</text>' if width > 4 * _LETTER else ""
        lines.append(
            f'<g><title>{escape(name)} ({samples}, {samples / whole:.2%})</title><rect x="{left:.1f}" y="{y}" '
            f'width="{width:.1f}" height="12" fill="{_colour(name)}"/>{text}</g>'
        )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _boxes(
    stacks: list[tuple[Stack, int]], depth: int, whole: int, first: int = 0
) -> Iterator[tuple[int, float, float, str, int]]:
    """Depth, left edge, width, function and samples of each box. All stacks have the same functions below `depth`."""
    groups: dict[str, list[tuple[Stack, int]]] = {}
    for stack, samples in stacks:
        if len(stack) > depth:
            groups.setdefault(stack[depth], []).append((stack, samples))
    for name, group in groups.items():
        samples = sum(each for _, each in group)
        if _WIDTH * samples / whole >= _LEAST:
            yield depth, _WIDTH * first / whole, _WIDTH * samples / whole, name.removesuffix(KERNEL), samples
            yield from _boxes(group, depth + 1, whole, first)
        first += samples


def _colour(name: str) -> str:
    number = sum(place * ord(letter) for place, letter in enumerate(name, 1))
    return f"rgb({225 + number % 30},{110 + number % 100},{30 + number % 25})"
