"""The page of the nodes that share a PostgreSQL, and the calls of another one of them."""

import html
import json
import re

import pytest

from idtone.console.access.rights import Role
from idtone.console.operator import nodes
from idtone.console.operator.evidence_statistics import STATISTICS
from lab.console.site import events, running_site
from lab.ledger.replication.nodes import made_nodes
from lab.ledger.replication.nodes import nodes as replicated
from lab.ledger.sample_evidence import heard_call
from lab.operations.fleet.example_states import state

__all__ = ["made_nodes", "replicated"]


@pytest.mark.nightly
async def test_nodes_of_one_postgresql(settings, replicated):
    node = replicated["tokyo"]
    connection = replicated["osaka"].connection()
    connection.report("aaaa", json.dumps(state(ari__connected=False, instance__version="<b>1")))
    connection.close()
    shared = settings.model_copy(update={"ledger": node.settings, "node": "tokyo"})
    async with running_site(shared) as site:
        visitor = await site.visitor(Role.VIEWER)
        text = (await visitor.get("/nodes")).text
        assert re.findall(r'<th scope="row">(\w+)</th>', text.partition("Finding")[0]) == ["osaka", "sendai", "tokyo"]
        assert "1 of 3 nodes report" in text
        assert "its service is not connected to Asterisk" in text
        assert text.count("it reports no state") == 2
        assert "<b>1" not in text
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())}
        async with visitor.http.get(f"{site.address}/nodes/changes", headers=headers) as answer:
            streamed = ""
            while streamed.count("event: states") < 2:
                streamed += (await answer.content.readany()).decode()
        assert "&lt;b&gt;1" in streamed
    rows = nodes.node_rows(nodes._ledgers(node.settings))
    assert {row.newest for row in rows} - {None}


async def test_calls_of_another_node(settings, replicated):
    """The numbers of the other node's calls stay sealed, and its proofs need its own key."""
    shared = settings.model_copy(update={"ledger": replicated["tokyo"].settings, "node": "tokyo"})
    async with running_site(shared) as site:
        visitor = await site.visitor(Role.INVESTIGATOR)

        async def found(query: str) -> list[str]:
            return re.findall(r'class="mono long"[^>]*>([^<]+)<', (await visitor.get(f"/calls{query}")).text)

        assert set(await found("")) == {"tokyo-heard", "tokyo-refused", "tokyo-going-on"}
        theirs = {"osaka-heard", "osaka-refused", "osaka-going-on"}
        assert set(await found("?node=osaka")) == theirs
        assert set(await found("?node=osaka&outcome=REFUSE")) == {"osaka-refused"}
        page = (await visitor.get("/calls?node=osaka")).text
        assert "/calls/osaka-heard?node=osaka" in page
        assert "Search by telephone number" not in page
        rows = (await visitor.get("/calls.csv?node=osaka")).text.splitlines()
        assert {name for row in rows for name in theirs if name in row} == theirs
        whole = await visitor.get("/calls?node=osaka&call=osaka-h")
        assert (whole.status, whole.headers["Location"]) == (303, "/calls/osaka-heard?node=osaka")
        call = (await visitor.get("/calls/osaka-heard?node=osaka")).text
        assert str(replicated["osaka"].key) in html.unescape(call)
        assert 'badge good">good<' in call
        assert "Open the telephone numbers" not in call
        (path,) = re.findall(r'href="([^"]+/proof[^"]*)"', call)
        with replicated["osaka"].own() as own:
            proof = str(own.proofs("osaka-heard")[0].proof)
        assert (await visitor.get(html.unescape(path))).text == proof
        path = "/calls/osaka-heard/numbers?node=osaka"
        refused = await visitor.send("/calls/tokyo-heard", path, {"purpose": "a sufficient purpose"})
        assert (refused.status, "on the node of the call alone" in refused.text) == (403, True)
        assert (await visitor.get("/calls/osaka-heard")).status == 404
        unknown = await visitor.get("/calls?node=nagoya")
        assert (unknown.status, "there is no ledger of a node nagoya yet" in unknown.text) == (400, True)


@pytest.mark.nightly
async def test_statistics_of_another_node(settings, replicated):
    replicated["osaka"].write(heard_call("osaka-later", 5000))
    replicated["osaka"].replicate()
    shared = settings.model_copy(update={"ledger": replicated["tokyo"].settings, "node": "tokyo"})
    async with running_site(shared) as site:
        visitor = await site.visitor(Role.VIEWER)
        for node, calls in (("", 3), ("osaka", 4)):
            query = f"from=2026-10-01&to=2026-11-30&node={node}"
            page = (await visitor.get(f"/evidence/statistics?{query}")).text
            address = re.findall(r'sse-connect="([^"]+)"', page)[0]
            await events(visitor, html.unescape(address))
            rows = (await visitor.get(f"/evidence/statistics/day.csv?{query}")).text.splitlines()
            assert sum(int(row.split(",")[1]) for row in rows[1:]) == calls
        assert "there is no ledger of a node nagoya yet" in (await visitor.get("/evidence/statistics?node=nagoya")).text
        assert {*site.app[STATISTICS]} == {"", "osaka"}


async def test_a_node_without_others_has_no_page_of_them(site):
    assert (await (await site.visitor(Role.VIEWER)).get("/nodes")).status == 404
