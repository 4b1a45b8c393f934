"""The registry's files by role: how each is parsed, and how two editions of it are compared. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from idtone.core.documents import Model, ValidationFault, parse, validate
from idtone.core.errors import DocumentError

from .differences import never_originates_differences, registry_differences, suspension_differences
from .model import NeverOriginatesDocument, RegistryDocument, SuspensionsDocument
from .trust import tuf_roles
from .validation_rules import never_originates_faults, signed_faults, suspension_faults


@dataclass(frozen=True, slots=True)
class Kind:
    """`differences` takes the old and the new document, and perhaps a `Say`. `head` returns the part of a document with
    the fields `stamp`, which differ in each edition; `lists` names its lists.
    """

    model: type[Model]
    rules: Callable[[Any], Iterable[ValidationFault]]
    differences: Callable[..., Iterable[str]]
    head: Callable[[Any], Any]
    stamp: tuple[str, ...]
    lists: tuple[str, ...]

    def parse(self, text: str, name: str) -> Any:
        """Raises DocumentError with every fault; `name` is the file name in the faults. The last documents are
        remembered: a publication looks at the same two files in several places, and they may be large.
        """
        try:
            return _parsed(self, text)
        except DocumentError as error:
            raise DocumentError(replace(fault, file=name) for fault in error.faults) from error

    def emptied(self, document: Any) -> Any:
        """The document with empty lists, to which its first edition is compared."""
        return document.model_copy(update=dict.fromkeys(self.lists, ()))

    def checked(self, tree: Any, text: str, name: str) -> Any:
        """The document as from `parse`, from the tree that `documents.read_tree` has read in the text."""
        return validate(tree, text, name, self.model, self.rules)

    def unchecked(self, tree: Any, text: str, name: str) -> Any:
        """The document as from `checked`, without the rules between values, for a text that has already passed them."""
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
