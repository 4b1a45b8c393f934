"""The doctor's checks of whether a called party receives the right sound and number.

The checks read Asterisk's PJSIP endpoints and the operator's own Dial() applications.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from idtone.core.translation import Message, joined
from idtone.dialplan import CALLED_CONTEXT, HOOK_FILE

from .asterisk_config_files import Line
from .findings import Finding, good, unknown, warning

MOST_NAMED: Final = 5
_COMMENT: Final = re.compile(r"(?<!\\);.*")
_SECTION: Final = re.compile(r"\s*\[([^\]]+)\](?:\(([^)]*)\))?")
_OPTION: Final = re.compile(r"\s*([^=#\[]+?)\s*=>?\s*(.*?)\s*$")
_TRUE: Final = frozenset({"yes", "true", "y", "t", "1", "on"})
_EXTENSION: Final = re.compile(r"\s*exten\s*=>?\s*([^,]+),\s*(?:1|hint)\s*,", re.IGNORECASE)
_OUTGOING: Final = re.compile(rf"U\({CALLED_CONTEXT}\^[^^)]*\^outgoing\b")
_SETS_NUMBER: Final = re.compile(r"CALLERID\((?:num|number|all)\)\s*=", re.IGNORECASE)
_FORCES: Final = re.compile(r"[,A-Za-z)]f\([^)]")

TRANSCODERS: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(modules.split())
    for name, modules in {
        "g729": "codec_g729 codec_g729a",
        "g723": "codec_g723",
        "opus": "codec_opus codec_opus_open_source",
        "ilbc": "codec_ilbc",
        "speex": "codec_speex",
        "speex16": "codec_speex",
        "speex32": "codec_speex",
        "g722": "codec_g722",
        "g726": "codec_g726",
        "g726aal2": "codec_g726",
        "lpc10": "codec_lpc10",
        "adpcm": "codec_adpcm",
        "codec2": "codec_codec2",
        "silk8": "codec_silk",
        "silk12": "codec_silk",
        "silk16": "codec_silk",
        "silk24": "codec_silk",
        "siren7": "codec_siren7",
        "siren14": "codec_siren14",
        "amr": "codec_amr",
        "amrwb": "codec_amr",
    }.items()
}
"""Codec → modules that can encode it, one of which is enough. G.711, GSM and linear PCM need none, because the sounds
exist in these formats."""


def endpoints(lines: Sequence[Line]) -> dict[str, dict[str, str]]:
    """Each PJSIP endpoint's options by its name, including those from its templates.

    `allow` lists all codecs.
    """
    sections: list[tuple[str, dict[str, str]]] = []
    named: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in lines:
        bare = _COMMENT.sub("", line.text)
        if head := _SECTION.match(bare):
            templates = [each.strip() for each in (head[2] or "").split(",")]
            current = named[head[1]] if "+" in templates and head[1] in named else {}
            for template in templates:
                current |= named.get(template, {})
            named[head[1]] = current
            if "!" not in templates:
                sections.append((head[1], current))
        elif option := _OPTION.match(bare):
            name, value = option[1].lower(), option[2]
            if name == "allow":
                value = ",".join(filter(None, (current.get(name, ""), value)))
            if name == "disallow" and value == "all":
                current.pop("allow", None)
            current[name] = value
    return {name: options for name, options in sections if options.get("type") == "endpoint"}


def codecs(
    found: Mapping[str, Mapping[str, str]] | None, running: Collection[str], trouble: str, path: Path
) -> Finding:
    """Check that Asterisk can play sounds in all of the trunks' codecs.

    `found` are the endpoints' options, or None if pjsip.conf could not be read. `running` are the running modules,
    without `.so`.
    """
    topic = "sound-codecs"
    if found is None:
        return _unread(topic, trouble, path)
    silent: dict[str, list[str]] = {}
    for name, options in found.items():
        for codec in re.split(r"[,|\s]+", options.get("allow", "").lower()):
            needed = TRANSCODERS.get(codec.partition(":")[0])
            if needed and not needed & set(running):
                silent.setdefault(codec.partition(":")[0], []).append(name)
    if not silent:
        return good(topic, Message("Asterisk can play the sounds in every codec of {path}", path=path))
    places = [
        Message("{codec} of {endpoints}", codec=codec, endpoints=_named(names))
        for codec, names in sorted(silent.items())
    ]
    return warning(
        topic,
        Message("without a transcoder, no sound is played in {codecs}", codecs=joined("; ", places)),
        Message(
            "Load a module that codes it ({modules}); or take it out of `allow` in {path}. Asterisk shows its own by: "
            "asterisk -rx 'module show like codec'",
            modules=", ".join(sorted(set().union(*(TRANSCODERS[codec] for codec in silent)))),
            path=path,
        ),
    )


def presented_numbers(
    found: Mapping[str, Mapping[str, str]] | None, dialplan: Sequence[Line], trouble: str, path: Path
) -> Finding:
    """Check that the called party sees the number that idtone checked.

    `found` are the endpoints' options, or None if pjsip.conf could not be read. `dialplan` are the lines of
    extensions.conf.
    """
    topic = "presented-number"
    if found is None:
        return _unread(topic, trouble, path)
    if unset := list(_without_number(dialplan)):
        return warning(
            topic,
            Message("an outgoing Dial() of your own does not set the caller's number: {places}", places=_named(unset)),
            Message("Before this Dial(): Set(CALLERID(num)=FORWARDING_NUMBER); otherwise its calls are refused"),
        )
    other = [name for name, options in found.items() if options.get("from_user")]
    if other:
        return warning(
            topic,
            Message("from_user replaces the number in From: {endpoints}", endpoints=_named(other)),
            Message(
                "If the called party sees From, remove from_user there in {path}; if your carrier asks for it, set "
                "`send_pai = yes`, by which the number that was checked leaves, and see that the carrier shows that",
                path=path,
            ),
        )
    return good(topic, Message("no endpoint of {path} replaces the number that was checked", path=path))


def _without_number(lines: Sequence[Line]) -> Iterator[str]:
    """Places where an extension runs an outgoing Dial() with `idtone-called` without first setting the number."""
    sets = False
    for line in lines:
        if line.path.name == HOOK_FILE:
            continue
        bare = _COMMENT.sub("", line.text)
        if _SECTION.match(bare) or _EXTENSION.match(bare):
            sets = False
        sets = sets or bool(_SETS_NUMBER.search(bare))
        called = _OUTGOING.search(bare)
        if called and not sets and not _FORCES.search(bare):
            yield Message("{path}, line {number}", path=line.path, number=line.number)


def _named(names: Sequence[str]) -> str:
    shown = list(names[:MOST_NAMED])
    if len(names) > MOST_NAMED:
        shown.append(Message("and {count} more", count=len(names) - MOST_NAMED))
    return joined(", ", shown)


def _unread(topic: str, trouble: str, path: Path) -> Finding:
    if not trouble:
        return good(topic, Message("there is no {path}", path=path))
    return unknown(
        topic,
        Message("{path}: {trouble}", path=path, trouble=trouble),
        Message("Run this as a user who may read {path}", path=path),
    )
