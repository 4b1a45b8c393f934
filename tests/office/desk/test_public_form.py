"""The head of the public forms."""

from pathlib import Path

from idtone.office.desk.public_form import PublicPages, page


def test_the_head_names_the_association_and_a_registry_that_cannot_be_read_does_not_stop_the_server(tmp_path: Path):
    registry = tmp_path / "registry.yaml"
    for text, head in (
        ("registry: {association: 'A & B'}\n", "<header><strong>A &amp; B</strong></header>"),
        ("registry: [", "<header></header>"),
        ("\0", "<header></header>"),
        ("members: []\n", "<header></header>"),
    ):
        registry.write_text(text)
        assert head in str(PublicPages.of(tmp_path, ()).html(page(("題", "Title"), "")).text)
    registry.unlink()
    assert PublicPages.of(tmp_path, ()).association == ""
