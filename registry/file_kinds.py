"""Kinds of registry files by role, each with functions that parse it and compare two editions."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from idtone.core.errors import DocumentError
from idtone.core.yaml_documents import Model, ValidationFault, parse, validate

from .differences import never_originates_differences, registry_differences, suspension_differences
from .model import NeverOriginatesDocument, RegistryDocument, SuspensionsDocument
from .trust import tuf_roles
from .validation_rules import never_originates_faults, signed_faults, suspension_faults


@dataclass(frozen=True, slots=True)
class Kind:
    """Functions for one kind of registry file.

    `differences` compares an old and a new document, and optionally takes a `Say`. `head` returns the part of a
    document with the fields named in `stamp`, which differ between editions. `lists` names the document's lists.
    """

    model: type[Model]
    rules: Callable[[Any], Iterable[ValidationFault]]
    differences: Callable[..., Iterable[str]]
    head: Callable[[Any], Any]
    stamp: tuple[str, ...]
    lists: tuple[str, ...]

    def parse(self, text: str, name: str) -> Any:
        """Parse and validate a document. Raises DocumentError with every fault, in the file `name`.

        The latest documents are cached, because a publication reads the same large files in several places.
        """
        try:
            return _parsed(self, text)
        except DocumentError as error:
            raise DocumentError(replace(fault, file=name) for fault in error.faults) from error

    def emptied(self, document: Any) -> Any:
        """Copy of the document with empty lists, for comparison with the first edition."""
        return document.model_copy(update=dict.fromkeys(self.lists, ()))

    def checked(self, tree: Any, text: str, name: str) -> Any:
        """Validate a document from the tree that `yaml_documents.read_tree` made from the text."""
        return validate(tree, text, name, self.model, self.rules)

    def unchecked(self, tree: Any, text: str, name: str) -> Any:
        """Convert a tree into a document without checking values that depend on each other.

        The text must already have passed the rules.
        """
        return validate(tree, text, name, self.model)


@lru_cache(maxsize=4)
def _parsed(kind: Kind, text: str) -> Any:
    return parse(text, "", kind.model, kind.rules)


KINDS: Final = {
    tuf_roles.REGISTRY: Kind(
        RegistryDocument,
        signed_faults,
        registry_differences,
        lambda document: document.registry,
        ("version", "issued"),
        ("tones", "members", "chains", "portings", "evaluations"),
    ),
    tuf_roles.SUSPENSIONS: Kind(
        SuspensionsDocument,
        suspension_faults,
        suspension_differences,
        lambda document: document,
        ("issued",),
        ("suspensions",),
    ),
    tuf_roles.NEVER_ORIGINATES: Kind(
        NeverOriginatesDocument,
        never_originates_faults,
        never_originates_differences,
        lambda document: document,
        ("issued",),
        ("never_originates",),
    ),
}
