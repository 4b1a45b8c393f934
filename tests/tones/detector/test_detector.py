"""The browser's detector gives Python's verdicts, and its package is small and complete."""

import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from idtone.tones.detector.detector_bundle import detector_bundle
from lab.node_js import find_or_get_node
from lab.repository import ROOT
from lab.tones.detector import corpus
from tools import detector_package as detector

FOLDER = ROOT / "tones" / "detector"
SIZE_LIMIT = 60_000


@pytest.mark.breadth
def test_its_own_tests_in_node_pass_with_the_verdicts_of_python(tmp_path):
    corpus.write(tmp_path)
    assert _failed(FOLDER, tmp_path) == []


def _failed(detector_folder, corpus_folder):
    """The failures of the detector's own tests, which run in Node.js."""
    done = subprocess.run(
        [*find_or_get_node(), "--test", str(Path(corpus.__file__).with_name("detector.test.mjs"))],
        env=os.environ | {"DETECTOR": str(detector_folder), "CORPUS": str(corpus_folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    failed = re.findall(r"^not ok .*?^  \.\.\.$", done.stdout, re.MULTILINE | re.DOTALL)
    assert failed or done.returncode == 0, done.stdout + done.stderr
    return failed


def test_the_package_needs_nothing_and_names_what_is_there():
    described = json.loads((FOLDER / "package.json").read_text("utf-8"))
    assert not {"dependencies", "peerDependencies", "scripts"} & described.keys()
    for export in described["exports"].values():
        for path in [export] if isinstance(export, str) else export.values():
            assert (FOLDER / path).is_file()
    for path in FOLDER.glob("*.js"):
        assert all(name.startswith("./") for name in re.findall(r' from "([^"]+)"', path.read_text("utf-8"))), path


@pytest.mark.nightly
def test_the_package_for_npm_is_small_and_works(tmp_path):
    with tarfile.open(detector.build(tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    files = [path for path in (tmp_path / "package").iterdir() if path.is_file()]
    assert {path.name for path in files} >= {"LICENSE", "README.md", "README.ja.md", "detector.d.ts", "listen.js"}
    assert sum(path.stat().st_size for path in files) <= SIZE_LIMIT
    corpus.write(tmp_path)
    assert _failed(tmp_path / "package", tmp_path) == []


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
        f"{detector_bundle()}\nconsole.log(JSON.stringify(Object.keys(idtoneDetector)))", encoding="utf-8"
    )
    assert "import " not in re.sub(r"/\*\*.*?\*/", "", script.read_text("utf-8"), flags=re.DOTALL)
    done = subprocess.run([*find_or_get_node(), str(script)], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) == exported
