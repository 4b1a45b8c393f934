"""The page of the nodes in a browser, while they report."""

import json
from contextlib import closing

from idtone.console.access.cookies import LANGUAGE, SESSION
from idtone.console.access.rights import Role
from idtone.operations.fleet.findings import RIVALS
from lab.console.browser.browser import WAIT_S
from lab.console.browser.layout_faults import LOOKS, faults_here
from lab.console.site import name_of, site_in_thread
from lab.ledger.replication.nodes import made_nodes
from lab.ledger.replication.nodes import nodes as replicated
from lab.nightly_tests import rest_at_night
from lab.operations.fleet.example_states import state
from tools.messages import catalogue_text

__all__ = ["made_nodes", "replicated"]

APART = "its service is not connected to Asterisk"
RIVAL = "another service reports as this node, too"


@rest_at_night(("language", "looks"), LOOKS.items())
def test_a_page_that_is_open_follows_the_reports(browser, settings, replicated, language, looks):
    """It can be read with findings of every node, however narrow the window is."""
    shared = settings.model_copy(update={"ledger": replicated["tokyo"].settings, "node": "tokyo"})
    apart, rival = [catalogue_text(text) if language == "ja" else text for text in (APART, RIVAL)]
    # Left open by a failure, it would make whichever test fail during which it is collected.
    with closing(replicated["osaka"].connection()) as connection, site_in_thread(shared) as site:
        connection.report("aaaa", json.dumps(state(ari__connected=False)))
        token, _ = site.console.sessions.begin(name_of(Role.VIEWER), "")
        browser.keep(site.address, {LANGUAGE.name: language, SESSION.name: token})
        browser.look(*looks[0])
        browser.open(f"{site.address}/nodes")
        browser.wait_for(apart, WAIT_S)
        assert rival not in browser.text()
        connection.report("aaaa", json.dumps(state(rivals=RIVALS)))
        browser.wait_for(rival, WAIT_S)
        assert apart not in browser.text()
        assert faults_here(browser, f"nodes-{language}", looks) == []
        assert browser.errors() == []
        browser.open("about:blank")
