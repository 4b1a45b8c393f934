"""Describes the changes that a key holder reads before signing a package, after verifying the package."""

from datetime import datetime

from tuf.api.metadata import Metadata, Root

from idtone.core.errors import UsageError

from ..authority.edition import Edition
from ..authority.edition_rules import check_edition, check_issued, describe_edition, verify_published_part


def summarize_package(edition: Edition, kept: Metadata[Root] | None, now: datetime) -> list[str]:
    """Describe every change in an edition for a key holder, with complete numbers.

    `kept` is the root that the key holder has stored, or None for the association's first edition. Raises UsageError if
    the root is missing or does not match the package, or TrustError or DocumentError if the package breaks a rule.
    """
    if edition.before and kept is None:
        raise UsageError("the package changes what is published; give the root that you keep")
    if not edition.before and kept is not None:
        raise UsageError("the package is a first edition: no root that you keep can verify it")
    if kept is not None:
        verify_published_part(edition, kept)
    check_edition(edition, now)
    check_issued(edition, now)
    return list(describe_edition(edition, is_whole=True))
