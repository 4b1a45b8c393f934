import base64
from datetime import datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from idtone.core.errors import LedgerError
from idtone.core.numbers import parse
from idtone.ledger.evidence.steps import DAY, SEALED, SEALED_KEY, SIP_CALL_ID_TOKEN, NumberRole, Step
from idtone.ledger.keys.sealing import LedgerKey, day_of, open_with
from lab.ledger.sample_evidence import RING, decided

KEY, _ = RING.make("2026-11-01")
NUMBERS = {NumberRole.FORWARDING: parse("0312345678"), NumberRole.CALLED: parse("05031234567")}
KINDS = {f"{role}_kind": number.kind.value for role, number in NUMBERS.items()}


def test_what_was_sealed_is_opened_and_each_record_has_a_key_of_its_own():
    sealed = KEY.seal("c-1", NUMBERS)
    assert KEY.open("c-1", sealed | KINDS) == NUMBERS
    assert sealed[DAY] == "2026-11-01"
    Step("c-1", decided().kind, decided().at, sealed)  # its details can be stored
    again = KEY.seal("c-1", NUMBERS)
    assert [again[name] == sealed[name] for name in (SEALED, SEALED_KEY, "called_token")] == [False, False, True]


def test_neither_the_number_nor_its_length_shows():
    for number in (parse("0312345678"), parse("09012345679")):
        octets = base64.b64decode(str(KEY.seal("c-1", {NumberRole.CALLER: number})[SEALED]))
        assert number.e164[1:].encode() not in octets
        assert len(octets) == 96 + 16


def test_a_number_has_another_token_on_another_day_and_under_another_key():
    number = parse("0312345678")
    others = [RING.make("2026-11-02")[0], LedgerKey(bytes(32)).make("2026-11-01")[0]]
    assert len({key.token(number) for key in (KEY, *others)}) == 3
    assert KEY.token(parse("+81 3 1234 5678")) == KEY.token(number)


def test_of_a_sip_call_id_there_is_only_a_token_which_no_number_has():
    sealed = KEY.seal("c-1", {}, "0312345678@phone")
    assert sealed[SIP_CALL_ID_TOKEN] == KEY.sip_call_id_token("0312345678@phone")
    assert KEY.open("c-1", sealed) == {}
    assert len(base64.b64decode(str(sealed[SEALED]))) == 96 + 16
    number = parse("0312345678")
    assert len({KEY.token(number), KEY.sip_call_id_token(number.e164), KEY.sip_call_id_token("0312345678")}) == 3
    assert RING.make("2026-11-02")[0].sip_call_id_token("x") != KEY.sip_call_id_token("x")
    assert SIP_CALL_ID_TOKEN not in KEY.seal("c-1", NUMBERS)


def test_what_is_not_as_it_was_sealed_or_another_calls_or_days_is_not_opened():
    sealed = KEY.seal("c-1", NUMBERS) | KINDS
    for key, call, damage in (
        (KEY, "c-1", {SEALED: "x"}),
        (KEY, "c-1", {SEALED: "AAAA"}),
        (KEY, "c-1", {SEALED_KEY: "AAAA"}),
        (KEY, "c-1", {SEALED: f"{sealed[SEALED]}*"}),
        (KEY, "c-1", {SEALED_KEY: f"{sealed[SEALED_KEY]}*"}),
        (KEY, "c-1", {"called_kind": "none"}),
        (KEY, "c-2", {}),
        (RING.make("2026-11-01")[0], "c-1", {}),
    ):
        with pytest.raises(LedgerError, match=f"of call {call} are not what was sealed"):
            key.open(call, sealed | damage)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_ledgers_key_has_32_bytes(length):
    with pytest.raises(LedgerError, match=f"has {length} bytes instead of 32"):
        LedgerKey(bytes(length))


def test_a_key_of_a_day_is_kept_under_the_ledgers_key_and_its_day():
    key, kept = RING.make("2026-11-01")
    assert RING.unwrap("2026-11-01", kept).token(parse("0312345678")) == key.token(parse("0312345678"))
    for ring, day, octets in (
        (LedgerKey(bytes(32)), "2026-11-01", kept),
        (RING, "2026-11-02", kept),
        (RING, "2026-11-01", kept[:-1]),
        (RING, "2026-11-01", b""),
    ):
        with pytest.raises(LedgerError, match="was not made with this ledger's key"):
            ring.unwrap(day, octets)


def test_days_are_those_of_utc():
    japan = timezone(timedelta(hours=9))
    assert day_of(datetime(2026, 11, 1, 8, 59, tzinfo=japan)) == "2026-10-31"
    assert day_of(datetime(2026, 11, 1, 9, 0, tzinfo=japan)) == "2026-11-01"


@pytest.mark.parametrize("content", [b'{"called": "+81312345678"}', b'{"called":"0312345678"}'])
def test_another_spelling_of_the_numbers_is_not_opened(content):
    key = bytes(32)
    sealed = base64.b64encode(AESGCM(key).encrypt(bytes(12), content.ljust(96), b"c-1")).decode()
    with pytest.raises(LedgerError, match="not what was sealed"):
        open_with(key, "c-1", {SEALED: sealed, "called_kind": "fixed"})


def test_a_version_opens_and_verifies_what_each_version_before_wrote():
    """The values are from one key: a day key, a held record's key, a call, and MACs.

    If the code computed other values, old ledgers would be unreadable.
    """
    key = LedgerKey(bytes(range(32)))
    day = key.unwrap(
        "2026-11-01",
        bytes.fromhex(
            "000102030405060708090a0b9757e072f39ef733954e3c905d797a2a"
            "1abb1594601fdc0b1d4a8308fa09675ff3bbf6bdb1a3f46c0b03d1382e564376"
        ),
    )
    held = bytes.fromhex(
        "000102030405060708090a0bfebd23d4de1768e2ec95876c9c12901e"
        "34c995994634792c6f9a18f9fb91dd354e8fd192293c6b990f3038d0e192005a"
    )
    assert key.unwrap_record("c-1", held) == bytes(range(32))
    assert key.unwrap_record("c-1", key.wrap_record("c-1", bytes(32))) == bytes(32)
    with pytest.raises(LedgerError, match="held call c-1"):
        LedgerKey(bytes(32)).unwrap_record("c-1", held)
    sealed = {
        SEALED: "dZ7Wv9lA5tkqkoseIB2iqOBwYmYetlgN/b6To+XffXZuf8acCtKYJhPjUdXh7kluiSdhxllRZoVwlh8GakBuxMlPHiqx8XDC"
        "86nz5zYEaLl9NRa5AIhlYRSGNGPef/GQjCAEkdS6S8o5pLS6lk5EwA==",
        SEALED_KEY: "AAECAwQFBgcICQoLuL1M6A5jitceOkLQHPodOpPdAy8hNaFq6m/MTL4HpVIcGaIxQwk9EKklmVWowfX5",
        "called_kind": "fixed",
    }
    number = parse("0312345678")
    assert day.open("c-1", sealed) == {NumberRole.CALLED: number}
    with pytest.raises(LedgerError, match="call c-2 are not what was sealed"):
        day.record_key("c-2", sealed)
    assert day.token(number) == "6c06d5c99c1da22ad528f2f2d96fbb54"
    assert day.sip_call_id_token("x@y") == "541d87276d737d8f78eacfa3950fa83f"
    macs = [each.line_mac(b"line") for each in (key.step_key("idtone.example/a"), key.pending_key())]
    assert macs == ["3f9ae172d047ec951297f0f6dcfd9b14", "6ef51a58cda5ae902ef62970bbef4a0b"]
