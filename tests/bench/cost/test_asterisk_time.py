"""The parts of Asterisk's processor time and their picture, from sampled call stacks."""

from collections import Counter
from xml.etree import ElementTree

import pytest

from bench.cost import asterisk_time, call_stacks
from bench.cost.forwarding_ways import Way
from bench.cost.goals import HOOK

PERF = """
\tffffffff8100 __schedule+0x12 ([kernel.kallsyms])
\tffffffff8101 do_sys_poll ([kernel.kallsyms])
\tffffffff8102 __x64_sys_poll ([kernel.kallsyms])
\t    7f00aa poll (/usr/lib/libc.so.6)
\t    7f00ab autoservice_run (/opt/asterisk/sbin/asterisk)
\t    7f00ac dummy_start (/opt/asterisk/sbin/asterisk)
\t    7f00ad [unknown] (/usr/lib/libc.so.6)

\t    7f00aa [unknown] (/usr/lib/libc.so.6)
\t    7f00ab pbx_builtin_setvar_multiple (/opt/asterisk/sbin/asterisk)
\t    7f00ac operator new(unsigned long) (/opt/asterisk/sbin/asterisk)
"""
U = "ast_app_exec_sub"
TASK = ("worker_start", "ast_taskprocessor_execute", "ast_sip_session_create")
CALL = ("pbx_thread", "__ast_pbx_run", "pbx_exec")


def test_stacks_are_read():
    """A stack begins at the thread's own first function.

    A function without a name is shown by its file. Names may contain parentheses.
    """
    kernel = tuple(name + call_stacks.KERNEL for name in ("__x64_sys_poll", "do_sys_poll", "__schedule"))
    assert call_stacks.fold_stacks(PERF.splitlines()) == {
        ("autoservice_run", "poll", *kernel): 1,
        ("operator new(unsigned long)", "pbx_builtin_setvar_multiple", "[libc.so.6]"): 1,
    }


@pytest.mark.parametrize(
    ("stack", "what", "where"),
    [
        ((*CALL, "pbx_builtin_setvar", "ast_func_write", "malloc"), call_stacks.VARIABLES, call_stacks.PRIORITIES),
        ((*CALL, "pbx_builtin_setvar", "stasis_publish"), call_stacks.BUS, call_stacks.PRIORITIES),
        ((*CALL, "dial_exec_full", U, "file_write", "fopen", "__x64_sys_openat_[k]"), call_stacks.FILES, call_stacks.U),
        ((*CALL, "dial_exec_full", "__x64_sys_poll_[k]", "__schedule_[k]"), call_stacks.THREADS, call_stacks.DIAL),
        ((*CALL, "dial_exec_full", "ast_request"), call_stacks.ELSE, call_stacks.DIAL),
        ((*TASK, "pj_sock_sendto", "__x64_sys_sendto_[k]"), call_stacks.NETWORK, call_stacks.SIP_TASKS),
    ],
)  # fmt: skip
def test_a_stack_belongs_to_one_part(stack, what, where):
    """The function nearest to the running function decides the activity.

    Memory and locks belong to their caller.
    """
    assert (call_stacks.activity(stack), call_stacks.thread_or_step(stack)) == (what, where)


def test_parts_are_the_processor_time_of_a_call():
    """The parts of each way add up to the processor time of its call, and the differences add up to the hook's
    addition.
    """
    found = {
        way: Counter({CALL: 3, ("autoservice_run",): number}) for number, way in enumerate(asterisk_time.PROFILED, 1)
    }
    us = dict.fromkeys(found, 8000.0) | {HOOK: 9000.0}
    for rows in asterisk_time.time_by_part(found, us).values():
        assert sum(row[HOOK] for row in rows) == pytest.approx(9000)
        assert sum(row["hook_adds"] for row in rows) == pytest.approx(1000)


def test_a_way_is_compared_with_native_in_its_turn():
    """A turn in which everything is slow has the same weight as any other turn."""
    blocks = {
        way.value: [
            {"connected_ms": [slow + more] * 9, "post_dial_ms": [slow] * 9, "asterisk_ms": slow * (1 + more),
             "beside_ms": more, "offered": 9, "failed": 0}
            for slow in (1.0, 50.0, 2.0)
        ]
        for way, more in ((Way.NATIVE, 0.0), (Way.FLOOR, 0.25), (Way.DIAL, 0.0))
    }  # fmt: skip
    native, floor, dial = asterisk_time.compare_ways(blocks)
    assert floor["asterisk_of_native"] == pytest.approx(1.25)
    assert native["asterisk_us"] == pytest.approx(1000 * 53 / 3)
    assert (floor["connected_ms"], floor["connected_fastest_ms"]) == (0.25, 0.25)
    assert dial["connected_ms"] is None


def test_the_flame_graph_shows_the_shares():
    """Each function that is wide enough has a box.

    The box is as wide as the function's share, and stands on its caller's box.
    """
    found = Counter({("a<b", "wide"): 600, ("a<b", "other" + call_stacks.KERNEL): 399, ("thin",): 1})
    boxes = [
        (box[0].text, float(box[1].get("width")), float(box[1].get("y")))
        for box in ElementTree.fromstring(call_stacks.flame_graph(found, "title & more")).iter()  # noqa: S314  our own
        if box.tag.endswith("}g")
    ]
    assert [(title, width) for title, width, _ in boxes] == [
        ("a<b (999, 99.90%)", 999.0), ("other (399, 39.90%)", 399.0), ("wide (600, 60.00%)", 600.0)
    ]  # fmt: skip
    assert boxes[0][2] > boxes[1][2] == boxes[2][2]
