"""The state of a stop never claims more than is known. Each stage is tested alone, and a stop that goes through all
stages.
"""

import re
from datetime import UTC, datetime, timedelta

import pytest

from idtone.console.office.office_stops import OfficeStops
from idtone.console.stop_states import StopFacts, StopState, own_stages, stages
from idtone.core.number_spans import NumberSpan
from idtone.core.persons import AccountKnownBy, Person
from idtone.core.signed_notes import Signer
from idtone.office.authority.change_registry import suspensions_of
from idtone.office.authority.history import Action, HistoryEntry
from idtone.office.authority.prepared_package import DUTY_FOLDER
from idtone.office.authority.signed_history import HistorySignature
from idtone.office.authority.workspace import Workspace
from idtone.office.desk.suspension_confirmations import Confirmation
from idtone.registry.correspondence.signed_document import sign_document
from idtone.registry.correspondence.suspension_confirmation import KIND
from idtone.registry.differences import suspension_differences
from idtone.registry.parsers import parse_suspensions
from idtone.registry.suspensions.own_suspension import (
    Act,
    NodeConfirmation,
    approved,
    covered,
    lifted,
    ordered,
    put_to_use,
)
from idtone.registry.trust import tuf_roles
from lab.console.office_forms import ME, SECOND, STOPPED, SUSPENSION, request_id
from tools.messages import catalogue_text

T = [datetime(2026, 11, 2, hour, tzinfo=UTC) for hour in range(10)]
NOW = T[9]
TABLE = {
    "asked": (StopFacts({StopState.ASKED: T[1]}, [None, None]), "asked, waits for the second person", T[1], "warning"),
    "asked, and a node claims it": (
        StopFacts({StopState.ASKED: T[1]}, [T[2]]), "asked, waits for the second person", T[1], "warning",
    ),
    "approved": (StopFacts({StopState.APPROVED: T[1]}), "approved", T[1], "warning"),
    "approved at an unknown time": (StopFacts({StopState.APPROVED: None}), "approved", None, "warning"),
    "signed": (StopFacts({StopState.APPROVED: T[1], StopState.SIGNED: T[2]}), "signed with the keys", T[2], "warning"),
    "published": (
        StopFacts({StopState.PUBLISHED: T[3], StopState.APPROVED: T[1]}, [None, None]), "published", T[3], "warning",
    ),
    "confirmed by one": (
        StopFacts({StopState.PUBLISHED: T[3]}, [T[4], None]), "in force on 1 of 2 nodes", T[4], "warning",
    ),
    "confirmed by all": (
        StopFacts({StopState.PUBLISHED: T[3]}, [T[5], T[4]]), "in force on 2 of 2 nodes", T[5], "good",
    ),
    "confirmed, and begins later": (
        StopFacts({StopState.PUBLISHED: T[3]}, [T[4]], begins=NOW + timedelta(hours=1)), "published", T[3], "warning",
    ),
    "confirmed before it began": (
        StopFacts({StopState.PUBLISHED: T[3]}, [T[4]], begins=T[6]), "in force on 1 of 1 nodes", T[6], "good",
    ),
    "end approved": (
        StopFacts({StopState.PUBLISHED: T[3], StopState.END_APPROVED: T[6]}, [T[4]]), "end approved", T[6], "warning",
    ),
    "end signed": (
        StopFacts({StopState.END_SIGNED: T[7], StopState.END_APPROVED: T[6]}, [T[4]]),
        "end signed with the keys", T[7], "warning",
    ),
    "ended by one of two": (
        StopFacts({StopState.END_APPROVED: T[6]}, [T[4], T[4]], [T[7], None]), "ended on 1 of 2 nodes", T[7], "warning",
    ),
    "end published": (StopFacts({StopState.END_PUBLISHED: T[7]}), "end published", T[7], "warning"),
    "its time is over": (
        StopFacts({StopState.PUBLISHED: T[3]}, [T[4]], until=T[8]), "its time is over", T[8], "quiet",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("facts", "words", "since", "tone"), TABLE.values(), ids=TABLE.keys())
def test_a_state_says_what_is_known(facts, words, since, tone):
    last = stages(facts, NOW)[-1]
    assert (str(last.words), last.since, last.tone) == (words, since, tone)
    assert not [each for each in stages(facts, NOW) if "waits" in each.past_words], (
        "a stage that is over waits for nobody"
    )


def test_an_own_stop_is_in_force_node_by_node_and_ends_so():
    """Stops of two persons, on two nodes."""

    def act(name: str, at: datetime) -> Act:
        return Act.of(Person(1000, name, AccountKnownBy.CONSOLE), at)

    def said(**more: datetime) -> dict[str, object]:
        return {"elsewhere": (NodeConfirmation(node="pbx-2", **more),)}

    found = []
    one = ordered([NumberSpan(81312345678, 81312345678)], "R-1", act("a", T[1]), persons=2)
    found.append(one)
    found.append(one := approved(one, act("b", T[2])).model_copy(update=said()))
    found.append(one := put_to_use(one, T[3], True, ()))
    found.append(one := one.model_copy(update=said(in_force=T[4])))
    taken = covered(one, one.spans(), T[5])
    found.append(one := lifted(one, act("b", T[5]), 2))
    found.append(one := approved(one, act("a", T[6])))
    found.append(one := one.model_copy(update={"over": T[7]}))
    found.append(one := one.model_copy(update=said(in_force=T[4], over=T[8])))
    assert [(str(last.words), last.since) for each in [*found, taken] if (last := own_stages(each, NOW)[-1])] == [
        ("asked, waits for the second person", T[1]),
        ("approved", T[2]),
        ("in force on 1 of 2 nodes", T[3]),
        ("in force on 2 of 2 nodes", T[4]),
        ("end asked, waits for the second person", T[5]),
        ("end approved", T[6]),
        ("ended on 1 of 2 nodes", T[7]),
        ("ended on 2 of 2 nodes", T[8]),
        ("taken over by the association", T[5]),
    ]


def test_an_end_of_a_part_claims_no_end_of_the_rest():
    head = "issued: 2026-11-02T00:00:00+09:00\nsuspensions:\n"
    terms = "since: 2026-11-01T00:00:00+09:00, reference: R-7"
    stopped, rest = (
        parse_suspensions(head + "".join(f'  - {{numbers: "{each}", {terms}}}\n' for each in numbers), "s.yaml")
        for numbers in (["+81312345600-+81312345699"], ["+81312345600-+81312345609", "+81312345611-+81312345699"])
    )
    lines = []
    for number, action, old, new in (
        (1, Action.LIFT, stopped, rest),
        (2, Action.LIFT, rest, rest.model_copy(update={"suspensions": ()})),
    ):
        what = tuple(suspension_differences(old, new))
        entry = HistoryEntry(at=T[number], action=action, by="a", subject="s", why="w", what=what)
        lines.append((entry, HistorySignature(tuf_roles.SUSPENSIONS, number, ())))
    plain = HistoryEntry(at=T[0], action=Action.LIFT, by="a", subject="s", why="w", what=("its suspension is lifted",))
    lines.insert(0, (plain, HistorySignature(tuf_roles.SUSPENSIONS, 1, ())))
    rows = [
        Confirmation("R-7", "m-0001", node, T[0], is_lifted=True, lifted=at) for node, at in (("a", T[3]), ("b", None))
    ]
    ends = OfficeStops(lines, lambda _, version: T[version], None, None).published_ends(T[0], rows, NOW)
    told = [(len(each.what), each.is_partial, str(each.stages[-1].words)) for each in ends]
    assert told == [(2, False, "ended on 1 of 2 nodes"), (1, True, "end published"), (0, True, "end published")]
    assert all("its suspension is lifted" in words for each in ends for words in each.what)


@pytest.fixture
async def at_office(site_of, office):
    return await site_of(office.folder)


async def test_a_stop_of_the_office_goes_through_all_states(at_office, office):
    page, node = "/office/suspensions", Signer("m-0001/a", b"1" * 32)
    first, second = await at_office.visitor(*ME), await at_office.visitor(*SECOND)
    japanese = await at_office.visitor(*ME, language="ja")
    member = "/office/members/m-0001"
    assert (await first.send(member, f"{member}/add-key", {"key": node.key, "why": "a node"})).status == 303
    office.json("publication publish", *office.all_keys())
    asked = SUSPENSION | {"requested": "2026-11-02T01:10", "until": "2199-03-31"}

    async def state() -> list[str]:
        """The states of the stops on the page: those that wait, those in the file, and the ends."""
        text = (await first.get(page)).text.partition("Confirmations by the nodes")[0]
        stages = re.findall(r'<ol class="stages">.*?</ol>', text, re.DOTALL)
        return [re.findall(r'class="badge \w+">([^<]+)<', each)[-1] for each in stages]

    async def enter(fields: dict[str, str]) -> None:
        assert (await first.send(page, f"{page}/request", fields)).status == 303

    async def approve() -> None:
        again = {"request": request_id((await second.get(page)).text), "entered": STOPPED, "why": "yes"}
        assert (await second.send(page, f"{page}/approve", again)).status == 303

    async def sign() -> None:
        assert (await first.send("/office/publication", "/office/publication/prepare", {"keys": "duty"})).status == 303
        signing = office.run(
            "publication sign", office.folder / DUTY_FOLDER, *office.duty(), "--trust", office.root, "--yes"
        )
        assert signing[0] == 0, signing

    async def publish() -> None:
        assert (await first.send("/office/publication", "/office/publication/publish")).status == 303

    async def confirm(**what: object) -> None:
        found, now = suspensions_of(Workspace(office.folder)), datetime.now(UTC)
        content = {
            "sha256": Workspace(office.folder).repository.file_sha256(tuf_roles.SUSPENSIONS),
            "issued": found.issued.isoformat(), "registry_version": 1, "in_use": now.isoformat(),
            "stops": [], **what,
        }  # fmt: skip
        at_office.console.office_files.desk.accept(sign_document(KIND, "m-0001", content, node, now), now)

    before, walk = await state(), []
    for do in (
        lambda: enter(asked),
        approve,
        sign,
        publish,
        lambda: confirm(stops=[{"reference": "R-7", "calls_ended": 0}]),
        lambda: enter({"action": "lift", "entered": STOPPED, "why": "as asked"}),
        approve,
        sign,
        publish,
        lambda: confirm(lifts=["R-7"]),
    ):
        await do()
        if not walk:  # the card names its period, and claims no state
            card = (await japanese.get(page)).text.partition('class="card"')[2].partition("</section>")[0]
            in_force = catalogue_text("in force on {count} of {nodes} nodes").rpartition("}")[2]
            assert (in_force in card, "2199-03-31" in card) == (False, True)
        shown = await state()
        for each in before:
            shown.remove(each)
        walk.append(shown)
    nodes = sum(
        bool(each.numbers or each.keys) for each in at_office.console.office_files.registered().document.members
    )
    in_force = f"in force on 1 of {nodes} nodes"
    assert walk == [
        ["asked, waits for the second person"],
        ["approved"],
        ["signed with the keys"],
        ["published"],
        [in_force],
        ["end asked, waits for the second person", in_force],
        ["end approved"],
        ["end signed with the keys"],
        ["end published"],
        ["ended on 1 of 1 nodes"],
    ]
