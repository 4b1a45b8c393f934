"""`idtone ledger`: read the evidence, verify and prove it, approve that it is given out, and forget whose it is."""

from __future__ import annotations

from idtone import console

from .approving import approve, list_requests, refuse
from .fleet import nodes
from .forgetting import forget
from .packing import verify_pack
from .proving import prove, show_key, verify_ledger
from .reading import find, list_calls, show, stats
from .witnessing import witness

app = console.group("The evidence of what was decided and heard (再生証跡).")
app.command("list")(list_calls)
app.command()(show)
app.command()(find)
app.command()(stats)
app.command()(nodes)
app.command("verify")(verify_ledger)
app.command()(prove)
app.command("key")(show_key)
app.command()(forget)
app.command()(witness)
app.command("verify-pack")(verify_pack)
app.command("requests")(list_requests)
app.command()(approve)
app.command()(refuse)
