"""The tables of modules agree with the hook and with the lab's Asterisk."""

import re
from pathlib import Path

import pytest

from idtone import dialplan
from idtone.operations.doctor import asterisk_modules
from idtone.operations.doctor.asterisk_modules import (
    APPLICATIONS,
    CORE,
    FIRST,
    FUNCTIONS,
    judge,
    loading_order,
    needed_modules,
)
from idtone.operations.doctor.findings import State
from lab.asterisk import MODULES
from lab.repository import ROOT


def exported(canary: dialplan.Canary | None) -> str:
    return dialplan.hook(
        Path("/sounds"),
        Path("/journal"),
        dialplan.Notice("400/100,0/100", 400),
        dialplan.RequestParameters("ari", "agi://127.0.0.1:4573/", "", 20, "shed"),
        dialplan.FallbackParameters("notice", 21, "called", "called", answer_first=False),
        canary,
    ).text


HOOK = exported(dialplan.Canary(Path("/sounds/canary"), 3))


NAMED_BY_IF = {"CHANNEL", "CONNECTEDLINE", "PJSIP_HEADER", "REDIRECTING"}
"""Functions that follow a `?` or `:` in the hook, as results of IF(). They are not applications."""


def used() -> tuple[set[str], set[str]]:
    """Applications and functions of the hook, found by a search that differs from the product's."""
    applications, functions = set(), set()
    for line in HOOK.splitlines():
        found = re.match(r"(?:exten = [^,]+,1| same = n(?:\([^)]*\))?),(.*)", line)
        if found:
            applications.add(found[1].partition("(")[0])
            nested = {name for name in re.findall(r"(?:[?:]|^TryExec\()(\w+)\(", found[1]) if name[0].isupper()}
            applications |= nested - NAMED_BY_IF
            functions |= {name for name in re.findall(r"\b([A-Z][A-Z_]+)\(", found[1]) if name not in applications}
    return applications, functions


def test_the_tables_have_exactly_the_applications_and_functions_of_the_hook():
    applications, functions = used()
    assert {"Dial", "Stasis", "ExecIf"} <= applications == APPLICATIONS.keys()
    assert {"CUT", "LOCAL", "TIMEOUT", "AST_CONFIG"} <= functions == FUNCTIONS.keys()
    of_hook = {APPLICATIONS[name] for name in applications} | {FUNCTIONS[name] for name in functions}
    assert of_hook - {CORE} <= {*needed_modules(HOOK), "res_pjsip_header_funcs"} <= set(MODULES), (
        "the lab loads what is needed"
    )


def test_headers_are_needed_only_for_trunks_to_other_nodes():
    for name in ("IDTONE_TRUNKS", "IDTONE_IDENTITY_TRUNKS"):
        with_trunks = HOOK.replace(f"\n{name}={dialplan.NO_TRUNKS}", f"\n{name}=^PJSIP/(b)-[0-9a-f]+$")
        assert {*needed_modules(with_trunks)} - {*needed_modules(HOOK)} == {"res_pjsip_header_funcs"}


def test_the_canary_alone_needs_the_module_that_records():
    assert {*needed_modules(HOOK)} - {*needed_modules(exported(None))} == {"app_mixmonitor"}


def test_a_name_that_is_in_no_table_raises_unless_it_is_in_a_comment():
    with pytest.raises(KeyError, match="Congestion"):
        needed_modules("exten = s,1,Congestion(5)\n")
    with pytest.raises(KeyError, match="ODBC_SQL"):
        needed_modules("exten = s,1,Set(X=${ODBC_SQL(1)})\n")
    always = sorted((*asterisk_modules.SERVICE, *asterisk_modules.FORMATS))
    assert needed_modules("; exten = s,1,Congestion(5) of ${ODBC_SQL(1)}\n") == tuple(always)


def test_the_documentation_names_the_same_modules():
    section = (ROOT / "docs" / "how-to" / "install.md").read_text("utf-8")
    named = set(re.findall(r"`((?:app|func|format|res)_\w+)`", section))
    parts = {name for name in asterisk_modules.SERVICE if name != "res_ari"}  # "with its parts"
    assert set(needed_modules(HOOK)) - parts <= named
    assert not {name for name in named if name.startswith(("app_", "func_"))} - set(needed_modules(HOOK))


def test_missing_modules_are_named_with_their_remedy_but_for_cdr_which_has_its_own():
    wanted = needed_modules(HOOK)
    assert judge(set(wanted) | {"chan_pjsip"}, wanted).state is State.GOOD
    finding = judge(set(wanted) - {"func_cut", "app_stasis"}, wanted)
    assert finding.state is State.BAD
    assert finding.found == "not running: app_stasis, func_cut"
    assert "asterisk -rx 'module load func_cut'" in finding.remedy
    assert "`load = app_stasis.so`" in finding.remedy
    assert asterisk_modules.CDR in wanted
    finding = judge({*wanted, "res_pjsip"} - {asterisk_modules.CDR}, wanted)
    assert (finding.state, f"all {len(wanted) - 1} " in finding.found) == (State.GOOD, True)


@pytest.mark.parametrize("running", [set(), {"res_stasis", "res_http_websocket"}])
def test_each_module_comes_after_those_that_it_needs(running):
    order = loading_order(sorted(set(needed_modules(HOOK)) - running), running)
    assert len(set(order)) == len(order)
    assert not running & set(order)
    there = set(running)
    for module in order:
        assert set(FIRST.get(module, ())) <= there, module
        there.add(module)
    assert {"res_ari_model", "res_speech", "res_stasis_recording"} <= set(order), (
        "they are needed although the hook does not name them"
    )


def test_without_pjsip_the_hook_does_not_use_its_module():
    wanted = needed_modules(HOOK)
    assert "func_pjsip_endpoint" in wanted
    without = {*MODULES} - {"res_pjsip", "func_pjsip_endpoint"}
    assert judge(without, wanted).state is State.GOOD
    assert judge({*without, "res_pjsip"}, wanted).state is State.BAD
