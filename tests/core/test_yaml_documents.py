"""Reading YAML: the texts that are accepted, and the place of each fault."""

import json
import time
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Field

from idtone.core.errors import DocumentError, Fault
from idtone.core.yaml_documents import Model, ValidationFault, load, parse, read_text, read_tree


class Leaf(Model):
    name: str
    from_hz: int = Field(alias="from", default=0)
    pause: timedelta = timedelta(0)


class Tree(Model):
    leaves: tuple[Leaf, ...] = ()
    title: str | None = None
    trunk: Leaf | None = None


def faults(text: str) -> tuple[Fault, ...]:
    with pytest.raises(DocumentError) as caught:
        parse(text, "tree.yaml", Tree)
    return caught.value.faults


def fault(text: str) -> Fault:
    [only] = faults(text)
    return only


def test_a_scalar_stays_the_text_of_the_file():
    texts = "a: 0312345678\nb: yes\nc: 1_000\nd: 2026-01-01\ne: 0x1F\nf: ~\ng:\nh: ''\ni: 'null'\nj: ! b\n"
    assert read_tree(texts, "f") == {
        "a": "0312345678", "b": "yes", "c": "1_000", "d": "2026-01-01", "e": "0x1F", "f": None, "g": None, "h": "",
        "i": "null", "j": "b",
    }  # fmt: skip


def test_a_good_file_is_its_model():
    for text in ("", "# nothing\n", "---\n", "--- {}\n", "{}", "\ufeff"):
        assert parse(text, "tree.yaml", Tree) == Tree(), ascii(text)
    text = "title: Oak\nleaves:\n  - {name: a, from: 400}\n  - name: b\n    pause: PT1M\n"
    tree = parse(text, "tree.yaml", Tree)
    assert (tree.title, [leaf.name for leaf in tree.leaves]) == ("Oak", ["a", "b"])
    assert (tree.leaves[0].from_hz, tree.leaves[1].pause) == (400, timedelta(minutes=1))


@pytest.mark.parametrize(
    ("text", "line", "column", "field", "problem", "remedy"),
    [
        ("title: a\nleafs: []\n", 2, 1, "leafs", "is not a known key", "Did you mean 'leaves'"),
        ("title: a\nzzz: []\n", 2, 1, "zzz", "is not a known key", "Known here: leaves, title, trunk"),
        ("leaves:\n- name: a\n  form: 1\n", 3, 3, "leaves[0].form", "is not a known key", "Did you mean 'from'"),
        ("trunk:\n  name: a\n  nam: b\n", 3, 3, "trunk.nam", "is not a known key", "Did you mean 'name'"),
        ("title: a\nleaves:\n  - name: a\n  - from: 1\n", 4, 5, "leaves[1].name", "is missing", "Add it"),
        ("title: a\ntrunk: {}\n", 2, 1, "trunk.name", "is missing", "Add it"),
        (
            "leaves:\n  - name: a\n    from: many\n", 3, 5, "leaves[0].from", "is not a whole number",
            "Write a whole number",
        ),
        ("leaves: [{name: a, pause: long}]", 1, 20, "leaves[0].pause", "is not a length of time", "PT12H"),
        ("leaves: a\n", 1, 1, "leaves", "is not a list", "Write a list"),
        ("leaves: [\n  a]\n", 2, 3, "leaves[0]", "does not have keys and values", "Write 'key: value' lines"),
        ("title: [a]\n", 1, 1, "title", "is not a plain text", "Write a text"),
        ("- a\n", 1, 1, "", "does not have keys and values", "Write 'key: value' lines"),
        ("just text\n", 1, 1, "", "does not have keys and values", "Write 'key: value' lines"),
    ],
)  # fmt: skip
def test_faults_of_the_model(text, line, column, field, problem, remedy):
    found = fault(text)
    assert (found.file, found.line, found.column, found.field) == ("tree.yaml", line, column, field)
    assert problem in found.problem
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        ("title: a\ntitle: b\n", 2, 1, "is there twice"),
        ("leaves:\n  - {name: a, name: b}\n", 2, 15, "is there twice"),
        ("title: &a b\n", 1, 8, "has an anchor"),
        ("title: *a\n", 1, 8, "is an alias"),
        ("title: !!python/object:os.system x\n", 1, 8, "has a tag"),
        ("title: !x a\n", 1, 8, "has a tag"),
        ("leaves: !!set {}\n", 1, 9, "has a tag"),
        ("title: a\n---\ntitle: b\n", 2, 1, "begins a second document"),
        ("%YAML 1.2\n---\ntitle: a\n", 1, 1, "begins a line with '%'"),
        ("title: a\n...\n%TAG ! x:\n---\n", 3, 1, "begins a line with '%'"),
        ("title: a\0b\n", 1, 9, "does not allow"),
        ("title: a\nleaves: \x07\n", 2, 9, "does not allow"),
        ("title: \ud800\n", 1, 8, "does not allow"),
        ("~: a\n", 1, 1, "key that is not text"),
        ("? [a]\n: b\n", 1, 3, "key that is not text"),
        ("title: a\n b: c\n", 2, 3, "not well-formed"),
        ("title: 'a\n", 2, 1, "not well-formed"),
        ("title:\ta: b\n", 1, 9, "not well-formed"),
        ("leaves: [a\n", 2, 1, "not well-formed"),
        ("trunk:\n\tname: 音\n", 2, 1, "has a tab here"),
        ("title: 音\nleaves:\n  - name: a\n\t- name: b\n", 4, 1, "has a tab here"),
        ("title: @a\n", 1, 8, "begins with '@'"),
        ("<<: {title: a}\n", 1, 1, "is not a known key"),  # no merge keys
    ],
)
def test_faults_of_syntax(text, line, column, problem):
    found = faults(text)[0]
    assert (found.line, found.column) == (line, column)
    assert problem in found.problem
    assert found.remedy


def test_depth_is_limited():
    assert read_tree("[" * 16 + "]" * 16, "f") == json.loads("[" * 16 + "]" * 16)
    found = faults("leaves: " + "[" * 16 + "\n" + "]" * 16)
    assert "nested more than 16 deep" in found[0].problem
    assert (found[0].line, found[0].column) == (1, 24)


def test_all_faults_come_together_in_the_order_of_their_places_up_to_200():
    text = "zzz: 1\nleaves:\n  - from: x\n    nme: b\n  - name: a\n    from: y\n"
    assert [(found.line, found.field) for found in faults(text)] == [
        (1, "zzz"),
        (3, "leaves[0].from"),
        (3, "leaves[0].name"),
        (4, "leaves[0].nme"),
        (6, "leaves[1].from"),
    ]
    found = faults("leaves:\n" + "".join(f"  - {{name: a, k{n}: 1}}\n" for n in range(300)))
    assert len(found) == 201
    assert (found[0].line, found[0].problem) == (0, "has 100 more faults")
    assert [one.line for one in found[1:]] == list(range(2, 202))


def test_rules_get_the_model_and_their_faults_are_located():
    def rule(tree: Tree) -> list[ValidationFault]:
        return [
            ValidationFault(("leaves", n, "from"), "is odd", "Double it")
            for n, leaf in enumerate(tree.leaves)
            if leaf.from_hz % 2
        ]

    text = "leaves:\n- name: a\n  from: 2\n- name: b\n  from: 3\n"
    with pytest.raises(DocumentError) as caught:
        parse(text, "tree.yaml", Tree, rule)
    assert str(caught.value) == "tree.yaml:5:3: leaves[1].from: is odd. Double it"
    assert parse("leaves: [{name: a, from: 2}]", "tree.yaml", Tree, rule).leaves[0].from_hz == 2

    def of_nothing(_: Tree) -> list[ValidationFault]:
        return [ValidationFault(where, "is none", "Write one") for where in (("leaves", 0, "pause"), ("trunk",))]

    with pytest.raises(DocumentError) as caught:
        parse("title: x\nleaves:\n  - name: a\n", "tree.yaml", Tree, of_nothing)
    places = [(found.line, found.column) for found in caught.value.faults]
    assert places == [(1, 1), (3, 5)], "the nearest place above"


def test_a_key_is_shown_short_printable_and_without_a_number():
    for key, shown in {
        "0312345678": "…5678",
        "03-1234-5678": "…5678",
        "+81 3 1234 5678": "…5678",
        "k" * 100: "k" * 40 + "…",
        '"a\\e[2Jb"': "a�[2Jb",
        "2026-01-10": "2026-01-10",
    }.items():
        assert fault(f"{key}: 1").field == shown
        assert faults(f"{key}: 1\n{key}: 2")[0].field == shown


def test_a_value_is_never_shown():
    text = "leaves: [0312345678, {name: a, from: 0312345678x, pause: '0312345678'}]\ntrunk: 0312345678\n"
    assert len(faults(text)) == 4
    assert not any("1234" in str(found) for found in faults(text))
    for broken in ("a: &0312345678 x", "a: *0312345678", "a: !0312345678 x", "a: '0312345678", "0312345678\n: b: c"):
        assert not any("1234" in str(found) for found in faults(broken))


def test_a_file_is_read_from_disk(tmp_path):
    path = tmp_path / "tree.yaml"
    path.write_bytes(b"\xef\xbb\xbftitle: \xe6\xa8\xb9\r\n")
    assert load(path, Tree).title == "樹"
    path.write_bytes(b"#" * 100)
    assert len(read_text(path, size_limit=100)) == 100
    (tmp_path / "large.yaml").write_bytes(b"#" * 101)
    (tmp_path / "latin.yaml").write_bytes(b"title: a\n# caf\xe9\n")
    for name, line, problem in (
        ("none.yaml", 0, "cannot be read: No such file"),
        (".", 0, "cannot be read: Is a directory"),
        ("latin.yaml", 2, "is not UTF-8 here"),
        ("large.yaml", 0, "is larger than 100 bytes"),
    ):
        with pytest.raises(DocumentError) as caught:
            read_text(tmp_path / name, size_limit=100)
        [found] = caught.value.faults
        assert (found.file, found.line, problem in found.problem) == (str(tmp_path / name), line, True)
        assert found.remedy


BOMB = "a: &a [x,x]\n" + "".join(
    f"{after}: &{after} [*{name},*{name}]\n" for name, after in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB, "[" * 1_000_000, "{" * 1_000_000, "- " * 500_000, "? " * 500_000, "&a " * 300_000,
        "[" + "&a x," * 200_000 + "]", "%TAG !a! x\n" * 90_000, "---\n" * 250_000, '"' + "a" * 1_000_000,
        "{" + ",".join(f"k{n}: 1" for n in range(50_000)) + "}", "\x00" * 1_000_000,
    ],
    ids=lambda text: ascii(text[:12]),
)  # fmt: skip
def test_hostile_text_is_refused_quickly(text):
    started = time.monotonic()
    assert faults(text)
    assert time.monotonic() - started < 10  # the slowest takes 0.5 s on an idle machine


PIECES = [
    "leaves", "name", "title", "1", "樹", "~", ":", ": ", "- ", "? ", "[", "]", "{", "}", ",", "'", '"', "\\x", "#",
    "|\n", "\n", "\n  ", "\t", "&a", "*a", "!t", "<<", "---\n", "...\n", "%", ">\n", "\x85", "\u2028", "\ufeff",
]  # fmt: skip
yamlish = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


@given(yamlish | st.text(max_size=60))
@example("? a")
@example("[a: b]")
@example("[? a]")
@example("{a, b}")
@example("{[a]: b}")
@example("- - a: b\n  - c")
@example("'\\ud83d'")
@example('"\\ud83d"')
@settings(deadline=None)
def test_any_text_is_a_model_or_located_faults(text):
    try:
        parse(text, "tree.yaml", Tree)
    except DocumentError as error:
        found = error.faults
    else:
        return
    lines = text.count("\n") + text.count("\r") + text.count("\x85") + text.count("\u2028") + text.count("\u2029") + 1
    assert found == tuple(sorted(found))
    assert all(one.file == "tree.yaml" and 0 <= one.line <= lines + 1 and one.remedy for one in found)


@given(
    st.recursive(
        st.text(max_size=8).filter(lambda text: text.isprintable()),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner),
        max_leaves=8,
    )
)
@settings(max_examples=60, deadline=None)
def test_json_is_read_back_as_it_was(value):
    assert read_tree(json.dumps(value, ensure_ascii=False), "f") == value
