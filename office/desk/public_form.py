"""The desk's public forms in Japanese and English: plain HTML without scripts, with all visitors' values escaped."""

import asyncio
import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from yaml import YAMLError

from idtone.core.errors import IdtoneError
from idtone.core.text_cleaning import clean_text
from idtone.core.yaml_documents import read_text, read_tree
from idtone.registry.trust import tuf_roles

from ..authority.yaml_text import read_value
from .field_problem import FieldProblem

TRAP: Final = "website"
"""Name of a field hidden from people. Programs that fill in every field reveal themselves."""
_STYLE: Final = (
    ":root{color-scheme:light dark;--paper:#fff;--raised:#f3f5f8;--ink:#16202b;--quiet:#4f5b68;--line:#4f5b68;"
    "--accent:#0b5fa5;--on:#fff;--bad:#b3261e}"
    "@media(prefers-color-scheme:dark){:root{--paper:#11161c;--raised:#1c242d;--ink:#e8edf2;--quiet:#a9b5c1;"
    "--line:#a9b5c1;--accent:#7ab8f5;--on:#0b1a29;--bad:#ff9c94}}"
    "*{box-sizing:border-box}body{font-family:system-ui,'Noto Sans JP','Hiragino Sans','Yu Gothic UI',sans-serif;"
    "margin:0;line-height:1.6;background:var(--paper);color:var(--ink)}"
    "main{max-width:42em;margin:0 auto;padding:1.5em 1em 3em}"
    "header{display:flex;flex-wrap:wrap;gap:.25em 1.25em;align-items:center;padding:.5em 1em;background:var(--raised);"
    "border-bottom:1px solid var(--line)}header a{line-height:1.3;padding:.2em 0}header a [lang=en]{font-size:.8em}"
    "h1{font-size:1.5em;line-height:1.3;border-bottom:1px solid var(--line);padding-bottom:.6em}"
    "label,fieldset{display:block;margin:1em 0;font-weight:600}"
    "fieldset{border:1px solid var(--line);border-radius:.3em}"
    "legend{float:left;width:100%;padding-bottom:1em}legend+*{clear:both}"
    ".must{float:right;font-size:.8em;font-weight:400;border:1px solid currentcolor;border-radius:.2em;padding:0 .3em}"
    "input,textarea,select,button{font:inherit;border:1px solid var(--line);border-radius:.3em;padding:.4em .5em;"
    "max-width:100%;background:var(--paper);color:var(--ink)}"
    "input[type=text],input[type=tel],textarea,select{width:100%}input[type=checkbox]{width:1.2em;height:1.2em}"
    "button{background:var(--accent);border-color:var(--accent);color:var(--on);padding:.5em 1.5em;cursor:pointer}"
    "button [lang=en]{color:var(--on)}a{color:var(--accent)}"
    ":focus-visible{outline:3px solid var(--accent);outline-offset:2px}"
    "[lang=en]{color:var(--quiet);display:block;font-weight:400}a [lang=en]{color:inherit}"
    ".bad{display:block;font-weight:400;color:var(--bad)}.bad [lang=en],.problem a [lang=en]{color:inherit}"
    "[aria-invalid]{border:2px solid var(--bad)}"
    ".problem{border-left:.3em solid var(--bad);background:var(--raised);padding:1em}.receipt{font-size:1.5em}"
    ".trap{position:absolute;left:-9999px}"
)
"""Style sheet that imitates the console's, which the desk does not have."""
POLICY: Final = (
    "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)
"""Content security policy that allows no scripts, frames or other origins."""
COMMON_PROBLEMS: Final = {
    "character": ("使えない文字 {character} があります。取り除いてください。",
                  "There is the character {character}, which cannot be used. Leave it out."),
    "size": ("送られた内容が大きすぎます。短くしてください。", "This is too large. Shorten it, and send it again."),
    "busy": ("ただいま混み合っています。前の画面に戻り、1 時間ほど後にもう一度送ってください。",
             "There are too many requests. Go back, and send it again in an hour."),
    "failed": ("ただいま受け付けられません。しばらくしてから送ってください。",
               "The desk cannot accept it now. Send it again later."),
    "form": ("このページの様式から送ってください。", "Send it by the form on this page."),
}  # fmt: skip
"""Japanese and English texts for problems that can occur in any form."""
MUST: Final = '<span class="must">必須 / required</span>'
_HEAD: Final = "<header></header>"
_CORRECT: Final = ("次の点を直してください。", "Please correct the following:")
_FIELD_LIMIT: Final = 16 * 1024
"""Maximum size of a field in bytes."""
_FORM_LIMIT: Final = 1024 * 1024
"""Maximum total size of all fields in bytes."""
_PARTS_LIMIT: Final = 30
_CHUNK: Final = 64 * 1024
_MALFORMED: Final = (ValueError, AssertionError, RuntimeError, LookupError, HttpProcessingError)
"""Errors that aiohttp raises for a malformed body or an unknown encoding."""
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
Problems = Mapping[str, tuple[str, str]]
"""Japanese and English text of each problem."""


class FormError(Exception):
    """The desk rejects a form.

    `problem` concerns the form as a whole. `wrong` contains errors in individual fields.
    """

    def __init__(
        self,
        problem: str | None,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
        wrong: Mapping[str, FieldProblem] = MappingProxyType({}),
    ) -> None:
        super().__init__(problem)
        self.problem, self.status, self.wrong = problem, status, wrong


async def read_form(
    request: web.Request,
    values: dict[str, str],
    files: Mapping[str, int] = MappingProxyType({}),
    long: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, bytes]:
    """Read the form's fields into `values` and return the uploaded files that are not empty.

    `files` and `long` map file fields and long text fields to their maximum size in bytes. Raises FormError, including
    when another field contains a file.
    """
    if (request.content_length or 0) > _FORM_LIMIT + sum(files.values()) + sum(long.values()):
        raise FormError("size", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if request.content_type != "multipart/form-data":
        raise FormError("form", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    taken: dict[str, bytes] = {}
    try:
        parts = await request.multipart()
        for _ in range(_PARTS_LIMIT):
            part: Any = await parts.next()
            if part is None:
                return taken
            if not isinstance(part, BodyPartReader) or not part.name:
                raise FormError("form")
            if part.filename and part.name not in files:
                raise FormError("attachments" if not files else "form")
            octets = await _held(part, {**long, **files}.get(part.name, _FIELD_LIMIT))
            if part.name not in files:
                # A long one takes half a second, in which the desk would answer nobody.
                values[part.name] = await asyncio.to_thread(_text, octets) if part.name in long else _text(octets)
            elif octets:
                taken[part.name] = octets
    except _MALFORMED as error:
        raise FormError("form") from error
    raise FormError("form")


async def read_texts(request: web.Request, *names: str) -> tuple[str, ...]:
    """Read the named short fields of a form without files. Returns empty texts if the body is malformed."""
    try:
        sent = await request.post()
    except _MALFORMED:
        return ("",) * len(names)
    return tuple(str(sent.get(name, ""))[:200] for name in names)


def _text(octets: bytes) -> str:
    return clean_text(octets.decode("utf-8", "replace")).strip()


async def _held(part: BodyPartReader, limit: int) -> bytes:
    held = bytearray()
    while chunk := await part.read_chunk(_CHUNK):
        held += chunk
        if len(held) > limit:
            raise FormError("size", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return bytes(held)


def text_field(
    problems: Problems,
    name: str,
    title: tuple[str, str],
    value: str,
    kind: str = "text",
    wrong: Mapping[str, FieldProblem] = MappingProxyType({}),
    *,
    required: bool = False,
    more: str = "",
) -> str:
    """HTML for an input field and its label.

    `value` must already be escaped. `more` is HTML with additional attributes.
    """
    return (
        f"<label>{MUST * required}{bilingual(*title)}"
        f'<input type="{kind}" name="{name}" value="{value}" maxlength="200"{more}'
        f"{' required' * required}{fault_attributes(name, wrong)}>{error_at(problems, name, wrong)}</label>"
    )


def hidden_trap_field() -> str:
    """HTML for a field that is hidden from people but filled in by robots."""
    return (
        f'<div class="trap" aria-hidden="true"><label>Website<input type="text" name="{TRAP}" tabindex="-1" '
        'autocomplete="off"></label></div>'
    )


def fault_attributes(name: str, wrong: Mapping[str, FieldProblem]) -> str:
    """HTML attributes that mark a field as invalid; empty if the field has no error.

    The first field with an error receives the focus.
    """
    if name not in wrong:
        return ""
    focus = " autofocus" * (name == next(iter(wrong)))
    return f' id="field-{name}" aria-invalid="true" aria-describedby="error-{name}"{focus}'


def error_at(problems: Problems, name: str, wrong: Mapping[str, FieldProblem]) -> str:
    """HTML for a field's error, to be shown next to the field; empty if there is none."""
    if name not in wrong:
        return ""
    return f'<span class="bad" id="error-{name}">{_words(problems, *wrong[name])}</span>'


def all_wrong(problems: Problems, wrong: Mapping[str, FieldProblem]) -> str:
    """HTML for all fields' errors, each linked to its field."""
    if not wrong:
        return ""
    each = "".join(
        f'<li><a href="#field-{name}">{_words(problems, *problem)}</a></li>' for name, problem in wrong.items()
    )
    return f'<div class="problem" role="alert"><p>{bilingual(*_CORRECT)}</p><ul>{each}</ul></div>'


def problem_box(problems: Problems, problem: str) -> str:
    return f'<div class="problem" role="alert">{_words(problems, problem)}</div>'


def _words(problems: Problems, problem: str, character: str = "") -> str:
    return bilingual(*(words.replace("{character}", escape(character)) for words in problems[problem]))


def bilingual(japanese: str, english: str) -> str:
    """HTML for a text in both languages. The arguments are already HTML."""
    return f'<span lang="ja">{japanese}</span> <span lang="en">{english}</span>'


def page(title: tuple[str, str], body: str) -> str:
    """HTML for a complete page. `body` is already HTML."""
    return (
        f'<!doctype html><html lang="ja"><head><meta charset="utf-8"><title>{title[0]} / {title[1]}</title>'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f"<style>{_STYLE}</style></head><body>{_HEAD}<main><h1>{bilingual(*title)}</h1>{body}</main></body></html>\n"
    )


@dataclass(frozen=True, slots=True)
class PublicPages:
    """Common header of the desk's public pages: the association's name and links to the other pages."""

    association: str
    """Name of the association; empty if the registry cannot be read."""
    links: Sequence[tuple[str, str, str]]
    """Path, Japanese text and English text of each link."""

    @classmethod
    def of(cls, folder: Path, links: Sequence[tuple[str, str, str]]) -> Self:
        """Read the association's name from its folder. The name is empty if the registry cannot be read."""
        try:
            return cls(association_of(folder), links)
        except IdtoneError:  # the parts that do not work without it say so
            return cls("", links)

    def html(self, text: str, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
        """Response with a page and headers that block injected content."""
        links = "".join(
            f'<a href="{path}">{bilingual(japanese, english)}</a>' for path, japanese, english in self.links
        )
        name = f"<strong>{escape(self.association)}</strong>" if self.association else ""
        text = text.replace(_HEAD, f"<header>{name}{links}</header>", 1)
        return web.Response(text=text, status=status, content_type="text/html", headers=_HEADERS)


def association_of(folder: Path) -> str:
    """Name of the association in the folder's registry. Raises IdtoneError."""
    path = folder / tuf_roles.REGISTRY_FILE
    text = read_text(path)
    try:
        return read_value(text, ("registry", "association"))
    except YAMLError:
        read_tree(text, str(path))  # raises DocumentError, which names the fault
        raise
