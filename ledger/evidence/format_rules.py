"""The named rules for leaves, proofs and evidence packs.

docs/evidence-format.md, section 7, explains each rule and lists the test vectors.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Final

from idtone.core.errors import ProofError
from idtone.core.translation import Message

SKEW: Final = timedelta(minutes=5)
"""Allowed difference between the clocks of a log, a witness and an authority."""


class Rule(StrEnum):
    """A rule that a verifier checks in a leaf, a proof or an evidence pack."""

    LEAF_FORM = "leaf-form"
    """A leaf is the canonical JSON of an object of section 2.1."""
    LEAF_CALL = "leaf-call"
    """A leaf is of the call that the manifest names."""
    LEAF_AFTER = "leaf-after"
    """`after` is the number of the call's steps in earlier leaves."""
    LEAF_ACT = "leaf-act"
    """An act is one step and one leaf, and its id begins with `act-`."""
    LEAF_END = "leaf-end"
    """A call's first leaf ends with its only step that ends a call."""
    LEAF_FURTHER = "leaf-further"
    """Each further leaf of a call has one step."""
    LEAF_ORDER = "leaf-order"
    """The last steps of the leaves ascend."""
    LEAF_STEPS = "leaf-steps"
    """The ids of a leaf ascend, and no step is in two leaves."""
    LEAF_STEPS_MISSING = "leaf-steps-missing"
    """Between two leaves are at most a million steps that are in no leaf."""
    LEAF_TWICE = "leaf-twice"
    """A leaf is in a pack once."""
    LEAF_LEFT_OUT = "leaf-left-out"
    """A pack has all leaves of its calls that its tree has."""
    LEAF_TIME = "leaf-time"
    """No step is later than the pack, nor than a cosignature of its checkpoint."""
    ACT_REQUEST = "act-request"
    """An approval, a refusal and an export name a request that comes before them."""
    ACT_CALLS = "act-calls"
    """A request selects only calls whose first leaf comes before it."""
    LOG_ENDED = "log-ended"
    """No leaf follows the one that ends the log."""
    PROOF = "proof"
    """The proof is of this leaf, and leads to a checkpoint of the log."""
    FORK = "fork"
    """Checkpoints of one size have one root."""
    COSIGNATURE = "cosignature"
    """Each witness has cosigned each checkpoint, and not later than the pack was made."""
    ZIP = "zip"
    """The ZIP file is of the form of section 6.1."""
    MANIFEST = "manifest"
    """The manifest is canonical and of the form of section 6.2."""
    FORMAT = "format"
    """Format and policy are known."""
    BASIS_FORM = "basis-form"
    """The legal basis is of the form that the format demands."""
    BASIS_ALIKE = "basis-alike"
    """No text of the legal basis looks like a different text."""
    RECORD_TWICE = "record-twice"
    """A call is in a pack once."""
    SEAL = "seal"
    """The log's key has sealed this manifest."""
    FILES = "files"
    """The files are those that the manifest names."""
    NUMBERS = "numbers"
    """The record key opens the numbers."""
    KEYS = "keys"
    """The keys of log and witnesses are of their kinds."""
    REQUEST_FORM = "request-form"
    """The acts of a pack by two persons are a request and its approval by another person."""
    SELECTION = "selection"
    """The approval is of this selection."""
    REQUEST_BASIS = "request-basis"
    """The approval is of this legal basis."""
    REQUEST_NUMBERS = "request-numbers"
    """Numbers are opened only if the approval allows it."""
    REQUEST_TIME = "request-time"
    """The approval comes after the request and in time, and the pack was made in time."""
    REQUEST_ORDER = "request-order"
    """The request comes after the leaves of the records, and the approval after the request."""
    EXPORT_TIME = "export-time"
    """The pack was made after the demand, and not in the future; a request and an export come after the demand."""
    WARRANT = "warrant"
    """The pack was made while the warrant was valid; and so were the request and the export."""
    REPORT = "report"
    """The reports say what the leaves say."""
    REGISTRY = "registry"
    """A registry has the digest in its name; it decided a call of the pack, or was in use at the export."""
    LOG_MEMBER = "log-member"
    """The registry names the log for the member whose licences its calls have."""
    LOG_UNTIL = "log-until"
    """If the registry says that the log's key ended, others have seen each checkpoint before that."""
    WITNESS_POLICY = "witness-policy"
    """Enough witnesses, by the registry, have cosigned each checkpoint."""
    TIMESTAMP = "timestamp"
    """A timestamp is of a checkpoint of the pack, and its time is after the steps and before the pack."""
    PROFILE = "profile"
    """A profile belongs to a sound that was played."""


class Breach(Message):
    """A violation of a rule of the evidence format; `breach` creates one."""

    rule: Rule


def breach(rule: Rule, text: Message) -> Breach:
    """Create the description of a violation of `rule`."""
    self = Breach(text.template, **text.fields)
    self.rule = rule
    return self


class RuleError(ProofError):
    """The error for a leaf that violates a rule of the evidence format."""

    def __init__(self, rule: Rule, text: Message) -> None:
        super().__init__(text)
        self.rule = rule
