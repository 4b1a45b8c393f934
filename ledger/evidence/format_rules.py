"""Named rules for leaves, proofs and evidence packs.

docs/evidence-format.md, section 7, explains each rule and lists the test vectors.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Final

from idtone.core.errors import ProofError
from idtone.core.translation import Message

SKEW: Final = timedelta(minutes=5)
"""Allowed difference between the clocks of a log, a witness and a timestamp authority."""


class Rule(StrEnum):
    """A rule that a verifier checks in a leaf, a proof or an evidence pack."""

    LEAF_FORM = "leaf-form"
    """A leaf is the canonical JSON of an object described in section 2.1."""
    LEAF_CALL = "leaf-call"
    """A leaf belongs to the call that the manifest names."""
    LEAF_AFTER = "leaf-after"
    """`after` is the number of the call's steps in earlier leaves."""
    LEAF_ACT = "leaf-act"
    """An act consists of one step in one leaf, and its id begins with `act-`."""
    LEAF_END = "leaf-end"
    """A call's first leaf ends with the only step in it that ends the call."""
    LEAF_FURTHER = "leaf-further"
    """Each later leaf of a call has one step."""
    LEAF_ORDER = "leaf-order"
    """The ids of the leaves' last steps ascend."""
    LEAF_STEPS = "leaf-steps"
    """The step ids in a leaf ascend, and no step is in two leaves."""
    LEAF_STEPS_MISSING = "leaf-steps-missing"
    """At most a million steps between two leaves are in no leaf."""
    LEAF_TWICE = "leaf-twice"
    """A pack contains each leaf only once."""
    LEAF_LEFT_OUT = "leaf-left-out"
    """A pack contains every leaf that its tree has for the pack's calls."""
    LEAF_TIME = "leaf-time"
    """No step is later than the pack or than a cosignature on its checkpoint."""
    ACT_REQUEST = "act-request"
    """An approval, a refusal or an export names a request that comes before it."""
    ACT_CALLS = "act-calls"
    """A request selects only calls whose first leaf precedes it."""
    LOG_ENDED = "log-ended"
    """No leaf follows the leaf that ends the log."""
    PROOF = "proof"
    """The proof is for this leaf and leads to one of the log's checkpoints."""
    FORK = "fork"
    """Checkpoints of the same size have the same root."""
    COSIGNATURE = "cosignature"
    """Each witness cosigned each checkpoint, and none did so after the pack was made."""
    ZIP = "zip"
    """The ZIP file has the format described in section 6.1."""
    MANIFEST = "manifest"
    """The manifest is canonical and has the format described in section 6.2."""
    FORMAT = "format"
    """The format and the policy are known."""
    BASIS_FORM = "basis-form"
    """The legal basis has the form that the pack's format requires."""
    BASIS_ALIKE = "basis-alike"
    """No text of the legal basis looks like a different text."""
    RECORD_TWICE = "record-twice"
    """A pack contains each call only once."""
    SEAL = "seal"
    """The log's key has sealed this manifest."""
    FILES = "files"
    """The pack contains exactly the files that the manifest names."""
    NUMBERS = "numbers"
    """The record key opens the numbers."""
    KEYS = "keys"
    """The keys given for the log and the witnesses have the right types."""
    REQUEST_FORM = "request-form"
    """A pack made by two persons contains a request and another person's approval."""
    SELECTION = "selection"
    """The approval is for this selection."""
    REQUEST_BASIS = "request-basis"
    """The approval is for this legal basis."""
    REQUEST_NUMBERS = "request-numbers"
    """Numbers are opened only if the approval permits it."""
    REQUEST_TIME = "request-time"
    """The approval followed the request in time, and the pack was made in time."""
    REQUEST_ORDER = "request-order"
    """The request comes after the records' leaves, and the approval after the request."""
    EXPORT_TIME = "export-time"
    """The pack was made after the demand and not in the future, and requests and exports come after the demand."""
    WARRANT = "warrant"
    """The pack, the request and the export were made while the warrant was valid."""
    REPORT = "report"
    """The reports match the leaves."""
    REGISTRY = "registry"
    """A registry matches the digest in its name, and it decided one of the pack's calls or was in use at the export."""
    LOG_MEMBER = "log-member"
    """The registry assigns the log to the member whose licences its calls use."""
    LOG_UNTIL = "log-until"
    """If the registry says that the log's key has ended, others saw each checkpoint before that."""
    WITNESS_POLICY = "witness-policy"
    """Enough of the registry's witnesses have cosigned each checkpoint."""
    TIMESTAMP = "timestamp"
    """A timestamp covers one of the pack's checkpoints, and its time is after the steps and before the pack."""
    PROFILE = "profile"
    """A profile belongs to a sound that was played."""


class Breach(Message):
    """A violation of an evidence format rule. Create it with `breach`."""

    rule: Rule


def breach(rule: Rule, text: Message) -> Breach:
    """Describe a violation of `rule`."""
    self = Breach(text.template, **text.fields)
    self.rule = rule
    return self


class RuleError(ProofError):
    """A leaf violates an evidence format rule."""

    def __init__(self, rule: Rule, text: Message) -> None:
        super().__init__(text)
        self.rule = rule
