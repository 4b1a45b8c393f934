"""The doctor's checks of the dialplan hook: its file, its #include, and whether it is loaded."""

from collections.abc import Collection
from pathlib import Path
from shlex import quote

from idtone.core.translation import Message
from idtone.dialplan import CALLED_CONTEXT, FORWARD_CONTEXT, HOOK_FILE, Hook

from .asterisk_modules import DIALPLAN_VIEW
from .asterisk_modules import remedy as modules_remedy
from .findings import Finding, bad, good, unknown, warning


def _export(folder: Path, config: Path | None) -> str:
    option = f" -c {quote(str(config))}" if config else ""
    return f"idtone dialplan export{option} {quote(str(folder))} && asterisk -rx 'dialplan reload'"


def loaded_hook(
    ours: Hook,
    digest: str,
    sounds: str,
    contexts: Collection[str] | None,
    running: Collection[str],
    wanted_sounds: Path,
    folder: Path,
    config: Path | None,
) -> Finding:
    """Check that Asterisk has loaded the hook that idtone exports.

    `digest` and `sounds` are the hook's variables, and both are empty if no hook is loaded. Because the variables
    survive a reload that removes the hook, `contexts` has the hook's contexts in the dialplan, or None if Asterisk
    cannot report them. `running` are Asterisk's running modules.
    """
    topic = "hook-loaded"
    remedy = _export(folder, config)
    include = Message(
        "In {extensions}: `#include {file}`; then {remedy}",
        extensions=folder / "extensions.conf",
        file=HOOK_FILE,
        remedy=remedy,
    )
    if not sounds or contexts == frozenset():
        if sounds:
            found = Message("Asterisk has not loaded the hook; it only has the variables of an earlier one")
        else:
            found = Message("Asterisk has not loaded the hook")
        return bad(topic, found, include)
    if contexts is not None and (missing := sorted({CALLED_CONTEXT, FORWARD_CONTEXT} - set(contexts))):
        return bad(topic, Message("the dialplan has no {names}", names=", ".join(missing)), include)
    if sounds != str(wanted_sounds):
        return bad(
            topic,
            Message(
                "it plays the sounds in {sounds}, but the settings say {wanted_sounds}",
                sounds=sounds,
                wanted_sounds=wanted_sounds,
            ),
            remedy,
        )
    if digest != ours.digest:
        found = Message(
            "it is of another version or has other settings ({digest}; here: {ours})",
            digest=digest or Message("older"),
            ours=ours.digest,
        )
        return bad(topic, found, remedy)
    if contexts is None:
        return unknown(
            topic,
            Message(
                "its variables are of this version ({digest}); Asterisk cannot say whether its extensions exist",
                digest=digest,
            ),
            modules_remedy(DIALPLAN_VIEW, running),
        )
    return good(topic, Message("it is of this version, with these settings ({digest})", digest=digest))


def hook_file(ours: Hook, text: str | None, trouble: str, path: Path, config: Path | None) -> Finding:
    """Check that the hook file is the one that idtone exports.

    `text` is the content, or None if the file could not be read. `trouble` is then the reason, or empty if the file
    does not exist.
    """
    topic = "hook-file"
    if text == ours.text:
        return good(topic, Message("{path} is unmodified", path=path))
    if trouble:
        look = Message(
            "Run this as a user who may read {path}; or name Asterisk's folder: --asterisk-etc DIR", path=path
        )
        return unknown(topic, Message("{path}: {trouble}", path=path, trouble=trouble), look)
    remedy = _export(path.parent, config)
    if text is None:
        return warning(
            topic,
            Message(
                "{path} does not exist: Asterisk reads another file, or loses the hook at its next start", path=path
            ),
            remedy,
        )
    if f"={ours.digest}\n" in text:
        return bad(topic, Message("{path} was changed after its export", path=path), remedy)
    return bad(topic, Message("{path} is of another version or has other settings", path=path), remedy)


def hook_include(including: Collection[Path] | None, folder: Path, is_loaded: bool) -> Finding:
    """Check that Asterisk's dialplan includes the hook.

    `including` are the files in `folder` that include the hook, or None if they could not be read.
    """
    topic = "hook-include"
    remedy = Message(
        "In {extensions}: `#include {file}`; then asterisk -rx 'dialplan reload'",
        extensions=folder / "extensions.conf",
        file=HOOK_FILE,
    )
    if including is None:
        look = Message(
            "Run this as a user who may read {folder}; or name Asterisk's folder: --asterisk-etc DIR", folder=folder
        )
        return unknown(topic, Message("{folder} cannot be read here", folder=folder), look)
    if including:
        return good(topic, ", ".join(sorted(map(str, including))))
    if is_loaded:
        return warning(
            topic,
            Message(
                "no file in {folder} includes {file}, although Asterisk has loaded it", folder=folder, file=HOOK_FILE
            ),
            remedy,
        )
    return bad(topic, Message("no file in {folder} includes {file}", folder=folder, file=HOOK_FILE), remedy)
