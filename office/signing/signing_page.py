"""HTML for the `idtone-sign` page, without scripts and with every value escaped."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from idtone.core.japan_time import JAPAN
from idtone.core.new_passphrases import suggested_passphrase
from idtone.core.translation import Message, is_japanese, translated
from idtone.registry.trust import tuf_roles

from ..site.site_package import SitePackage
from .holder import Holder, NewKey, OpenedPackage, SignedPackage

_STYLE: Final = (
    "body{font-family:system-ui,'Yu Gothic UI',sans-serif;max-width:60em;margin:1.5em auto;padding:0 1em;"
    "line-height:1.6;color:#16202b;background:#fff}"
    "section{border:1px solid #c4ccd5;padding:.2em 1.2em 1em;margin:1em 0}"
    "label{display:block;margin:.8em 0}label.tick{display:flex;gap:.5em;align-items:baseline}"
    "input[type=text],input[type=password]{display:block;width:100%;max-width:30em;font:inherit;padding:.3em}"
    "button,.button{font:inherit;padding:.5em 1.2em;background:#0b5fa5;color:#fff;border:0;text-decoration:none;"
    "display:inline-block}button.quiet{background:#4f5b68}.problem{border:2px solid #b3261e;padding:.6em 1em}"
    ".good{border:2px solid #1b6e3c;padding:.6em 1em}.quiet{color:#4f5b68}.mono{font-family:monospace;"
    "overflow-wrap:anywhere}table{border-collapse:collapse}td,th{border:1px solid #c4ccd5;padding:.2em .6em;"
    "text-align:left}ul.changes{overflow-wrap:anywhere}"
)
POLICY: Final = (
    "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)
"""Content security policy that allows no scripts, frames or other origins."""


def holder_page(holder: Holder, problem: str | None = None) -> str:
    """Complete page for the key holder's current state. `problem` is the error from the last action."""
    if holder.opened is None:
        main = _opening(holder) + _making(holder.made)
    elif holder.signed is None:
        main = _reading(holder.opened) + _signing(holder.opened, holder.key)
    else:
        main = _signed(holder.signed)
    told = f'<p class="problem" role="alert">{_t(problem)}</p>' if problem else ""
    return _page(told + main + _end())


def ended_page() -> str:
    """Page shown after the program has ended."""
    return _page(f"<p>{_t(Message('The program has ended. You can close this page.'))}</p>")


def _opening(holder: Holder) -> str:
    digest = holder.root.digest()
    if digest:
        kept = (
            f"<p>{_t(Message('You keep the root with this SHA-256. It must be the one that you were told:'))}</p>"
            f'<p class="mono">{digest}</p>'
        )
        chooser = f"<details><summary>{_t(Message('Keep another root'))}</summary>{_root_form()}</details>"
    else:
        first = Message(
            "This program verifies a package with the association's root, a file that you were handed with its SHA-256."
        )
        kept, chooser = f"<p>{_t(first)}</p>", _root_form()
    return (
        f"<section><h2>{_t(Message('Your root'))}</h2>{kept}{chooser}</section>"
        f"<section><h2>{_t(Message('The package'))}</h2>"
        + _form(
            "open",
            _file("package", Message("The package (ZIP)"), ".zip")
            + _tick("first", Message("This is the association's very first edition; there is no root yet"))
            + _button(Message("Open the package")),
        )
        + "</section>"
    )


def _root_form() -> str:
    return _form("root", _file("root", Message("The root (root.json)"), ".json") + _button(Message("Keep this root")))


def _making(made: NewKey | None) -> str:
    if made is not None:
        told = Message(
            "Your key is made. Save both files now: the program has them only until you press the button, or end it. "
            "Give the public half to the association, tell it the id by another channel, and keep the key to "
            "yourself, with a copy in a safe place."
        )
        links = "".join(
            _download(path, made.name + ending, label)
            for path, ending, label in (
                ("key.pem", ".pem", Message("Save the key")),
                ("key.pub", ".pub", Message("Save the public half")),
            )
        )
        return (
            f'<section class="good"><h2>{_t(Message("Make a key"))}</h2><p>{_t(told)}</p>{links}'
            f'<p>{_t(Message("Id:"))} <span class="mono">{made.key_id}</span></p>'
            + _form("forget-key", _button(Message("Both are saved: forget the key"), quiet=True))
            + "</section>"
        )
    offer = Message(
        "Of your own words the page refuses only some that are easy to guess, and it knows no Japanese ones. The "
        "safest passphrase is one that chance has made. Write it on paper, and keep the paper apart from the key. Here "
        "is one for you alone:"
    )
    fields = (
        _text("name", Message("Name of the key, like registry-1"))
        + f'<p>{_t(offer)} <span class="mono">{suggested_passphrase()}</span></p>'
        + _text("passphrase", Message("A new passphrase"), "password")
        + _text("again", Message("The same again"), "password")
        + _button(Message("Make the key"))
    )
    form = _form("new-key", fields)
    return f"<section><details><summary>{_t(Message('Make a key'))}</summary>{form}</details></section>"


def _reading(opened: OpenedPackage) -> str:
    changes = [words for words in opened.words if words.partition(":")[0] not in tuf_roles.ROLES]
    first = Message("This is a first edition: everything in it is new. Compare the ids of the keys with the holders.")
    told = f"<p>{_t(first)}</p>" if opened.is_first else ""
    what = Message("What your signature puts in force, compared with what is published now")
    missing = f"<h3>{_t(Message('Signatures'))}</h3>{_missing(list(opened.package.missing()))}"
    if isinstance(opened.package, SitePackage):
        what = Message("What your signature states on the public site")
        return f"<section><h2>{_t(what)}</h2><p>{escape(opened.name)}</p>{_changes(changes)}{missing}</section>"
    rows = "".join(
        f"<tr><td>{name}</td><td>{tuf_roles.ROLES[name].keys}</td><td>{draft.signed.version}</td>"
        f"<td>{draft.signed.expires.astimezone(JAPAN):%Y-%m-%d %H:%M}</td></tr>"
        for name, draft in opened.package.metadata.items()
    )
    heads = (Message("Role"), Message("Keys"), Message("Version"), Message("Valid until (Japan)"))
    return (
        f"<section><h2>{_t(what)}</h2>{told}<p>{escape(opened.name)}</p>{_changes(changes)}"
        f"<table><tr>{''.join(f'<th>{_t(head)}</th>' for head in heads)}</tr>{rows}</table>"
        f"{missing}</section>"
    )


def _changes(words: Sequence[str]) -> str:
    if not words:
        return f"<p>{_t(Message('Nothing changes; the signatures are renewed.'))}</p>"
    return f'<ul class="changes">{"".join(f"<li>{_t(each)}</li>" for each in words)}</ul>'


def _signing(opened: OpenedPackage, key: str) -> str:
    given = f'<p class="mono">{escape(key)}</p>' if key else ""
    token = "" if key else _text("token", Message("Or a key in a token, like hsm:2?label=duty"), required=False)
    fields = (
        f'<input type="hidden" name="shown" value="{opened.sha256}">'
        + given
        + ("" if key else _file("key", Message("The file of your key"), ".pem", required=False))
        + token
        + _text("passphrase", Message("Passphrase of the key, or PIN of the token"), "password")
        + _button(Message("Sign all of this"))
    )
    leave = _form("close", _button(Message("Do not sign: close the package"), quiet=True))
    return f"<section><h2>{_t(Message('Sign'))}</h2>{_form('sign', fields)}{leave}</section>"


def _signed(signed: SignedPackage) -> str:
    told = Message("Signed with the key {key}: {roles}", key=signed.key_id[:8], roles=", ".join(signed.roles))
    back = Message("Give this file back to the association: it is the package with your signature.")
    return (
        f'<section class="good"><h2>{_t(told)}</h2><p>{_t(back)}</p>'
        + _download("signed.zip", signed.name, Message("Save the signed package"))
        + _missing(signed.missing)
        + _form("close", _button(Message("Open another package"), quiet=True))
        + "</section>"
    )


def _missing(missing: Iterable[Message]) -> str:
    told = list(missing) or [Message("all signatures are there")]
    return f"<ul>{''.join(f'<li>{_t(each)}</li>' for each in told)}</ul>"


def _end() -> str:
    return _form("end", _button(Message("End the program"), quiet=True))


# -- parts of a form: `label` is a text to translate ------------------------------------------------------------------


def _form(act: str, fields: str) -> str:
    return f'<form method="post" action="{act}" enctype="multipart/form-data">{fields}</form>'


def _file(name: str, label: Message, accept: str, required: bool = True) -> str:
    return f'<label>{_t(label)} <input type="file" name="{name}" accept="{accept}"{" required" * required}></label>'


def _text(name: str, label: Message, kind: str = "text", required: bool = True) -> str:
    return (
        f'<label>{_t(label)} <input type="{kind}" name="{name}" autocomplete="off" maxlength="1000"'
        f"{' required' * required}></label>"
    )


def _tick(name: str, label: Message) -> str:
    return f'<label class="tick"><input type="checkbox" name="{name}" value="yes"> {_t(label)}</label>'


def _download(path: str, name: str, label: Message) -> str:
    name = escape(name)
    return f'<p><a class="button" href="{path}" download="{name}">{_t(label)} ({name})</a></p>'


def _button(label: Message, quiet: bool = False) -> str:
    return f"<button{' class=quiet' * quiet}>{_t(label)}</button>"


def _t(text: str | None) -> str:
    return escape(translated(text or ""))


def _page(body: str) -> str:
    title = _t(Message("Sign for the association's registry"))
    language = "ja" if is_japanese() else "en"
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1>{body}</body></html>\n"
    )
