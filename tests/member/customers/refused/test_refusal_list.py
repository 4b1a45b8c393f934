"""The list of refusals as a file, and a check against it."""

import base64
from datetime import date

import pytest

from idtone.core.errors import TrustError
from idtone.member.customers.refused.customer_identity import CustomerIdentity
from idtone.member.customers.refused.identity_keys import KEYS_LIMIT, default_table
from idtone.member.customers.refused.oprf import VOPRF, KeyPair
from idtone.member.customers.refused.refusal_check import RefusalCheck
from idtone.member.customers.refused.refusal_list import RefusalList, RefusedToken, list_differences, pack_list
from idtone.office.refused.refusal_key import RefusalKey

TABLE, KEY, TODAY = default_table(), RefusalKey(b"k" * 32), date(2026, 11, 27)
SINCE, UNTIL = date(2026, 11, 1), date(2026, 12, 1)
REFUSED = CustomerIdentity(kind="person", name="髙橋 太郎", kana="タカハシ タロウ", born="1980-04-01")
SPELT = CustomerIdentity(kind="person", name="TARO TAKAHASHI", born="1980-04-01")
OTHER = CustomerIdentity(kind="person", name="高橋 太郎", kana="タカハシ タロウ", born="1980-04-02")
ROWS = [RefusedToken(token, SINCE, UNTIL, 7) for token in KEY.tokens(1, TABLE.keys_of(REFUSED))]
FILLING = [RefusedToken(bytes([n]) * 16, SINCE, UNTIL, n) for n in range(256)]


def listed(rows=(*ROWS, *FILLING), epoch: int = 1, key: RefusalKey = KEY) -> RefusalList:
    return RefusalList(pack_list(rows, epoch, key.key_pair(epoch).public, TABLE, TODAY))


def evaluated(check: RefusalCheck, pair: KeyPair, claimed: KeyPair | None = None) -> dict[str, object]:
    blinded = [base64.b64decode(each) for each in check.content()["blinded"]]
    found = VOPRF.evaluate(pair.secret, blinded)
    proof = VOPRF.prove(claimed or pair, blinded, found)
    return {"evaluated": [base64.b64encode(e).decode() for e in found], "proof": base64.b64encode(proof).decode()}


@pytest.mark.parametrize("customer", [REFUSED, SPELT, OTHER])
@pytest.mark.parametrize(
    ("day", "in_force"), [("10-31", False), ("11-01", True), ("11-27", True), ("11-30", True), ("12-01", False)]
)
def test_a_check(customer, day, in_force):
    check = RefusalCheck(customer, listed())
    found = check.matches(evaluated(check, KEY.key_pair(1)), date.fromisoformat(f"2026-{day}"))
    assert {match.reference for match in found} == ({"X-7"} if in_force and customer != OTHER else set())


def test_checks_look_alike():
    contents = [RefusalCheck(customer, listed()).content() for customer in (REFUSED, REFUSED, OTHER)]
    sent = [each for content in contents for each in content["blinded"]]
    assert len(set(sent)) == 3 * KEYS_LIMIT
    assert all(content.keys() == {"epoch", "blinded"} for content in contents)


WRONG = RefusalKey(b"w" * 32).key_pair(1)


@pytest.mark.parametrize(
    "change",
    [
        lambda check, good: evaluated(check, WRONG),
        lambda check, good: evaluated(check, WRONG, KEY.key_pair(1)),
        lambda check, good: evaluated(RefusalCheck(REFUSED, listed()), KEY.key_pair(1)),
        lambda check, good: evaluated(check, KEY.key_pair(2)),
        lambda check, good: good | {"evaluated": good["evaluated"][1:]},
        lambda check, good: good | {"evaluated": [base64.b64encode(bytes(32)).decode(), *good["evaluated"][1:]]},
        lambda check, good: good | {"evaluated": [1, *good["evaluated"][1:]]},
        lambda check, good: good | {"proof": None},
        lambda check, good: {},
    ],
    ids=["another key", "its proof by the right key", "of another check", "another epoch", "one less", "the identity",
         "a number", "no proof", "nothing"],
)  # fmt: skip
def test_an_answer_that_the_key_of_the_list_did_not_make_is_refused(change):
    check = RefusalCheck(REFUSED, listed())
    with pytest.raises(TrustError):
        check.matches(change(check, evaluated(check, KEY.key_pair(1))), TODAY)


def test_each_row_is_found_and_nothing_else():
    one = listed()
    one.check_order()
    assert sorted(one) == sorted([*ROWS, *FILLING])
    assert all(list(one.find(row.token, TODAY)) == [row] for row in FILLING)
    assert not list(one.find(b"\x01" * 15 + b"\x02", TODAY))
    twice = [RefusedToken(b"a" * 16, SINCE, UNTIL, 1), RefusedToken(b"a" * 16, SINCE, date(2027, 1, 1), 2)]
    assert list(listed(twice).find(b"a" * 16, TODAY)) == twice
    assert len(listed([])) == 0


WHOLE = pack_list(FILLING, 1, KEY.key_pair(1).public, TABLE, TODAY)


@pytest.mark.parametrize(
    "octets",
    [
        b"", WHOLE[:-1], WHOLE + b"\0", WHOLE.replace(b"/1\n", b"/2\n", 1),
        WHOLE.replace(b'"count":256', b'"count":255'),
        WHOLE.replace(b'"epoch":1', b'"epoch":true'), WHOLE.replace(b"2026-11-27", b"2026-11-99"),
        WHOLE.replace(b'"legal_forms"', b'"illegal_forms"'), b"idtone-refusals/1\n" + b"[" * 9999 + b"\n",
    ],
)  # fmt: skip
def test_a_damaged_list_is_refused(octets):
    with pytest.raises(TrustError, match="not a list of refusals"):
        RefusalList(octets)


def test_a_list_out_of_order_is_not_signed():
    mixed = bytearray(WHOLE)
    at = WHOLE.index(b"\x07" * 16)
    mixed[at : at + 32] = mixed[at + 16 : at + 32] + mixed[at : at + 16]
    with pytest.raises(TrustError):
        RefusalList(bytes(mixed)).check_order()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (None, listed(FILLING), ["a list of refusals by a new key, epoch 1: 256 tokens"]),
        (listed(FILLING), listed(FILLING[1:]), ["0 tokens more, 1 fewer; 255 in all"]),
        (listed(FILLING), listed(FILLING, 2), ["a list of refusals by a new key, epoch 2: 256 tokens"]),
        (listed(FILLING), listed(FILLING, 1, RefusalKey(b"w" * 32)),
         ["0 tokens more, 0 fewer; 256 in all", "another key in the same epoch"]),
        (listed(FILLING), None, ["no list of refusals any more; it had 256 tokens"]),
        (None, None, []),
    ],
)  # fmt: skip
def test_differences_in_words(old, new, words):
    assert list(list_differences(old, new)) == words
