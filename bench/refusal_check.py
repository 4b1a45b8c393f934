"""The cost of a customer's check against a million tokens, beside one bare evaluation.

    python -m bench.refusal_check [--tokens N] [--checks N] [--json]

The cost is the processor time of the member and of the desk; a bare evaluation is two multiplications in the group.

The desk's time includes its rule, its signature, its store, and its ledger on a disk. As in `idtone-office customer
check`, each check reads the list from a file and compares its SHA-256. Times are valid for this machine and run only.
"""

import base64
import hashlib
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from rich.progress import track

from idtone.core.japan_time import JAPAN
from idtone.core.signed_notes import Signer
from idtone.member.customers.refused import ristretto255 as group
from idtone.member.customers.refused.identity_keys import default_table
from idtone.member.customers.refused.refusal_check import KIND, RefusalCheck
from idtone.member.customers.refused.refusal_list import RefusalList, RefusedToken, pack_list
from idtone.office.desk.document_desk import DocumentDesk
from idtone.office.refused.blind_evaluation import BlindEvaluation
from idtone.office.refused.change_refusals import Refusals
from idtone.office.refused.refusal_basis import FIELDS, Basis, record_basis
from idtone.office.refused.refusal_key import RefusalKey
from idtone.registry.correspondence.signed_document import sign_document
from lab.registry.examples import GOOD

from .bench_output import PROGRESS, options, report
from .identity_matching import draw_customer, usual_spelling

TOKENS: Final = 1_000_000
CHECKS: Final = 50
KEY: Final = RefusalKey(b"k" * 32)
SIGNER: Final = Signer("m-0001/pbx-1", b"1" * 32)
SINCE, UNTIL = date(2026, 1, 1), date(2096, 1, 1)


def measure(tokens: int, checks: int) -> dict[str, Any]:
    """Check customers against `tokens` refused ones; returns median milliseconds of processor time.

    Half of the customers are refused, and the checks must find them all.
    """
    chance = random.Random(7)
    table, pair = default_table(), KEY.key_pair(1)
    customers = [usual_spelling(draw_customer(chance)) for _ in range(checks)]
    rows = [RefusedToken(chance.randbytes(16), SINCE, UNTIL, number) for number in range(tokens)]
    for number, customer in enumerate(customers[::2]):
        rows += [RefusedToken(token, SINCE, UNTIL, number) for token in KEY.tokens(1, table.keys_of(customer))]
    now = datetime.now(UTC)
    today = now.astimezone(JAPAN).date()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        at = GOOD.index("    licences:")
        text = f"{GOOD[:at]}    keys: ['{SIGNER.key}']\n{GOOD[at:]}"
        (folder / "registry.yaml").write_text(text.partition("suspensions:")[0])
        said = dict.fromkeys(FIELDS, "bench")
        record_basis(folder, Basis.JOINT_USE, today.isoformat(), said, now, str)
        Refusals(folder).begin_epoch(None, KEY, "bench", now)
        desk = DocumentDesk(folder, {KIND: BlindEvaluation(KEY)})
        (folder / "authority.yaml").write_text("refusals: {checks_per_day: 100000}\n")
        path = folder / "list"
        made = _timed(lambda: path.write_bytes(pack_list(rows, 1, pair.public, table, today)))[0]
        digest, size = hashlib.sha256(path.read_bytes()).digest(), path.stat().st_size
        reads, begins, desks, ends, bares = [], [], [], [], []
        with desk.ledger.open():
            for number, customer in enumerate(track(customers, "checks", console=PROGRESS, transient=True)):
                spent, refusals = _timed(lambda: _read(path, digest))
                reads.append(spent)
                spent, (check, document) = _timed(lambda: _asked(customer, refusals, now))  # noqa: B023
                begins.append(spent)
                spent, answer = _timed(lambda: desk.accept(document, now))  # noqa: B023
                desks.append(spent)
                received = json.loads(json.dumps(answer))
                spent, found = _timed(lambda: check.matches(received, today))  # noqa: B023
                ends.append(spent)
                assert bool(found) is (number % 2 == 0), customer.kind
                element = base64.b64decode(check.content()["blinded"][0])
                bares.append(
                    _timed(lambda: (group.multiply_base(pair.secret), group.multiply(pair.secret, element)))[0]  # noqa: B023
                )
    parts = {
        "read the list": reads,
        "blind and sign": begins,
        "desk": desks,
        "verify and compare": ends,
    }
    whole = statistics.median(map(sum, zip(*parts.values(), strict=True)))
    return {
        "tokens": tokens, "list_mb": size / 1e6,
        "making_the_list_s": made / 1000, "ms": {part: statistics.median(each) for part, each in parts.items()},
        "check_ms": whole, "bare_evaluation_ms": statistics.median(bares), "ratio": whole / statistics.median(bares),
    }  # fmt: skip


def _read(path: Path, digest: bytes) -> RefusalList:
    octets = path.read_bytes()
    assert hashlib.sha256(octets).digest() == digest
    return RefusalList(octets)


def _asked(customer: Any, refusals: RefusalList, now: datetime) -> tuple[RefusalCheck, bytes]:
    check = RefusalCheck(customer, refusals)
    return check, sign_document(KIND, "m-0001", check.content(), SIGNER, now)


def _timed(done: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.process_time()
    result = done()
    return (time.process_time() - begun) * 1000, result


def main() -> None:
    given = options(__doc__, tokens=TOKENS, checks=CHECKS).parse_args()
    report("a check of a customer", measure(given.tokens, given.checks), given.json)


if __name__ == "__main__":
    main()
