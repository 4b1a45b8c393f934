"""Whether the hook that calls meet is the one that this version exports with these settings. Pure."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from shlex import quote

from idtone.dialplan import CALLED_CONTEXT, FORWARD_CONTEXT, HOOK_FILE, Hook

from .findings import Finding, bad, good, unknown, warning
from .modules import DIALPLAN_VIEW
from .modules import remedy as modules_remedy


def _export(folder: Path, config: Path | None) -> str:
    option = f" -c {quote(str(config))}" if config else ""
    return f"idtone dialplan export{option} {quote(str(folder))} && asterisk -rx 'dialplan reload'"


def loaded(
    ours: Hook,
    digest: str,
    sounds: str,
    contexts: Collection[str] | None,
    running: Collection[str],
    wanted_sounds: Path,
    folder: Path,
    config: Path | None,
) -> Finding:
    """`digest` and `sounds` are the loaded hook's variables; both empty where there is none. Variables outlive a reload
    that takes the hook out, so `contexts` says which of its contexts the dialplan has; None where that cannot be asked.
    `running` are Asterisk's modules.
    """
    topic = "hook-loaded"
    remedy = _export(folder, config)
    include = f"In {folder / 'extensions.conf'}: `#include {HOOK_FILE}`; then {remedy}"
    if not sounds or contexts == frozenset():
        left = "; only its variables are left of an earlier one" if sounds else ""
        return bad(topic, f"Asterisk has loaded no hook{left}", include)
    if contexts is not None and (missing := sorted({CALLED_CONTEXT, FORWARD_CONTEXT} - set(contexts))):
        return bad(topic, f"the dialplan has no {', '.join(missing)}", include)
    if sounds != str(wanted_sounds):
        return bad(topic, f"it looks for the sounds in {sounds}, and the settings say {wanted_sounds}", remedy)
    if digest != ours.digest:
        return bad(topic, f"another version's, or other settings' ({digest or 'older'}; here: {ours.digest})", remedy)
    if contexts is None:
        return unknown(
            topic,
            f"its variables are this version's ({digest}); Asterisk cannot be asked whether its extensions are there",
            modules_remedy(DIALPLAN_VIEW, running),
        )
    return good(topic, f"this version's, with these settings ({digest})")


def file(ours: Hook, text: str | None, trouble: str, path: Path, config: Path | None) -> Finding:
    """`text` is the file's, None where it could not be read: `trouble` says why; empty means there is none."""
    topic = "hook-file"
    if text == ours.text:
        return good(topic, f"{path} is unmodified")
    if trouble:
        look = f"Run this as a user who may read {path}; or name Asterisk's folder: --asterisk-etc DIR"
        return unknown(topic, f"{path}: {trouble}", look)
    remedy = _export(path.parent, config)
    if text is None:
        return warning(
            topic, f"there is no {path}; Asterisk has it from elsewhere, or loses it at its next start", remedy
        )
    if f"={ours.digest}\n" in text:
        return bad(topic, f"{path} was changed after its export", remedy)
    return bad(topic, f"{path} is of another version or of other settings", remedy)


def include(including: Collection[Path] | None, folder: Path, is_loaded: bool) -> Finding:
    """`including` are the files in `folder` that include the hook's; None where that could not be looked at."""
    topic = "hook-include"
    remedy = f"In {folder / 'extensions.conf'}: `#include {HOOK_FILE}`; then asterisk -rx 'dialplan reload'"
    if including is None:
        look = f"Run this as a user who may read {folder}; or name Asterisk's folder: --asterisk-etc DIR"
        return unknown(topic, f"{folder} cannot be read here", look)
    if including:
        return good(topic, ", ".join(sorted(map(str, including))))
    if is_loaded:
        return warning(topic, f"no file in {folder} includes {HOOK_FILE}, though it was loaded", remedy)
    return bad(topic, f"no file in {folder} includes {HOOK_FILE}", remedy)
