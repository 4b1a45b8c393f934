"""Records of evidence pack deliveries, with their receipts and confirmations."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from idtone.core.errors import UsageError
from idtone.core.settings.settings import Settings
from idtone.core.signed_notes import VerifierKey

from ..evidence.steps import Step
from ..keys.key_ring import KeyRing, require_keys
from .disclosure_request import DisclosureRules
from .disclosures import Disclosure, receipt_objection
from .pack import digest
from .pack_file import BYTES_LIMIT, read_zip
from .pack_verification import verify_pack_files
from .record_act import record_act


def disclosure_of_pack(
    pack: Path, known: Mapping[str, Disclosure], key: VerifierKey, limit: int = BYTES_LIMIT
) -> Disclosure:
    """Find the disclosure for which an evidence pack was made.

    Raises UsageError if the pack was changed or the ledger does not know it. Raises LedgerError.
    """
    files = read_zip(pack, limit)
    if faults := verify_pack_files(files, key, now=datetime.now(UTC)).faults:
        raise UsageError("{pack}: {fault}; hand over the pack as it was made", pack=pack, fault=faults[0])
    found = next((each for each in known.values() if each.sha256 == digest(files)), None)
    if found is None:
        raise UsageError("{pack}: this ledger has made no such pack; name the pack's file", pack=pack)
    return found


def record_delivery(settings: Settings, known: Mapping[str, Disclosure], make: Callable[[str], Step]) -> str:
    """Record a receipt or a confirmation in the ledger, and return the act's id.

    Raises UsageError if the act is not allowed. Raises LedgerError.
    """
    require_keys(settings.ledger, settings.node)
    if why := receipt_objection(make("act"), known, datetime.now(UTC)):
        raise UsageError(why)
    key_ring = KeyRing.of(settings.ledger, settings.node)
    return record_act(settings.ledger.own_url(), settings.node, key_ring, make, DisclosureRules.of(settings.ledger))
