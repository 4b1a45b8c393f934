"""The browser's detector gives Python's verdicts, and its package is small and whole."""

import json
import os
import re
import subprocess
import tarfile

from lab.repository import ROOT

from idtone.tones.detector.script import detector_script
from lab.node import find_or_get_node
from lab.tones.detector import corpus

FOLDER = ROOT / "tones" / "detector"
PACKED_LIMIT = 60_000


def test_its_own_tests_in_node_pass_with_the_verdicts_of_python(tmp_path):
    corpus.write(tmp_path)
    done = subprocess.run(
        [*find_or_get_node(), "--test", str(ROOT / "lab/tones/detector/detector.test.mjs")],
        env=os.environ | {"DETECTOR": str(FOLDER), "CORPUS": str(tmp_path)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    failed = re.findall(r"^not ok .*?^  \.\.\.$", done.stdout, re.MULTILINE | re.DOTALL)
    assert done.returncode == 0, "\n".join(failed) + done.stderr


def test_the_package_needs_nothing_and_is_small(tmp_path):
    described = json.loads((FOLDER / "package.json").read_text("utf-8"))
    assert not {"dependencies", "peerDependencies", "scripts"} & described.keys()
    files = {path for pattern in ["package.json", "README.md", *described["files"]] for path in FOLDER.glob(pattern)}
    named = {path.name for path in files}
    assert {"detector.js", "listen.js", "processor.js", "detector.d.ts", "README.md", "README.ja.md"} <= named
    assert not [name for name in named if name.endswith(".py")]
    for path in files:
        for imported in re.findall(r' from "([^"]+)"', path.read_text("utf-8")):
            assert imported.startswith("./"), path
    packed = tmp_path / "detector.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        for path in files:
            archive.add(path, f"package/{path.name}")
    assert packed.stat().st_size <= PACKED_LIMIT


def test_the_script_for_a_page_without_modules_has_all_that_they_export(tmp_path):
    exported = {
        name
        for module in ("detector.js", "listen.js")
        for name in re.findall(
            r"^export (?:async )?(?:function|class|const) (\w+)", (FOLDER / module).read_text("utf-8"), re.MULTILINE
        )
    }
    script = tmp_path / "detector.cjs"
    script.write_text(
        f"{detector_script()}\nconsole.log(JSON.stringify(Object.keys(idtoneDetector)))", encoding="utf-8"
    )
    assert "import " not in re.sub(r"/\*\*.*?\*/", "", script.read_text("utf-8"), flags=re.DOTALL)
    done = subprocess.run([*find_or_get_node(), str(script)], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) == exported
