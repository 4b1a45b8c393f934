"""The association's published stopping conditions (利用停止条件) that apply to a finding."""

from idtone.core.errors import IdtoneError
from idtone.core.settings.settings import RegistrySettings
from idtone.core.translation import Message
from idtone.registry.local_registry import read_local_registry
from idtone.registry.stopping_conditions import condition_words


def conditions_for(registry: RegistrySettings, finding: str) -> list[Message]:
    """The conditions as lines of text.

    If the registry is unreadable or has no conditions for the finding, a line says so.
    """
    try:
        document = read_local_registry(registry).document
    except IdtoneError:
        return [Message("The registry of this machine cannot be read, so its stopping conditions are not known.")]
    if not document.stopping_conditions:
        return [Message("The registry has no stopping conditions of the association.")]
    found = [each for each in document.stopping_conditions if each.finding == finding]
    head = Message("The association's stopping conditions, version {version}:", version=document.stopping_version)
    lines = [Message("  {id} {words}", id=each.id, words=condition_words(each)) for each in found]
    return [head, *(lines or [Message("  none for this finding")])]
