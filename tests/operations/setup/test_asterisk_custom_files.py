"""The choice of the files for an operator's lines, by the #includes in Asterisk's own files."""

import pytest

from idtone.operations.asterisk_custom_files import ARI_GENERAL, ARI_USERS, DIALPLAN, HTTP, custom_file_for


@pytest.mark.parametrize(
    ("purpose", "main", "distribution", "file"),
    [
        (DIALPLAN, "", "", "extensions.conf"),
        (DIALPLAN, "; #include extensions_custom.conf\n[general]\n", "", "extensions.conf"),
        (DIALPLAN, "#include extensions_custom.conf\n", "FreePBX", "extensions_custom.conf"),
        (DIALPLAN, '#tryinclude "/etc/asterisk/extensions_custom.conf"\n', "FreePBX", "extensions_custom.conf"),
        (DIALPLAN, "#include extensions_extra.d/*.conf\n", "Wazo", "extensions_extra.d/90-idtone-hook.conf"),
        (DIALPLAN, "#include vitalpbx/extensions__*.conf\n", "VitalPBX", "vitalpbx/extensions__90-idtone-hook.conf"),
        (ARI_USERS, "[general]\n#include ari_additional_custom.conf\n", "FreePBX", "ari_additional_custom.conf"),
        (ARI_USERS, "[general]\n#tryinclude ari.d/*.conf\n", "Wazo", "ari.d/90-idtone-user.conf"),
        (ARI_GENERAL, "[general]\n#include ari_general_custom.conf\n", "FreePBX", "ari_general_custom.conf"),
        (ARI_GENERAL, "[general]\n", "", "ari.conf"),
        (HTTP, "[general]\n#include http_custom.conf\n", "FreePBX", "http_custom.conf"),
    ],
)
def test_places(purpose, main, distribution, file):
    place = custom_file_for(purpose, main)
    assert (place.distribution, place.file) == (distribution, file)
