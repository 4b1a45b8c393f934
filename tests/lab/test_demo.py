"""`make demo` installs only idtone, without the tools for its development."""

import configparser
import re
import subprocess
import sys

from lab.repository import ROOT

WITHOUT_TOOLS = """
import sys
from importlib.metadata import packages_distributions

tools = set(sys.argv[1:])
modules = {name for name, of in packages_distributions().items() if {each.lower() for each in of} <= tools}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in modules:
            raise ModuleNotFoundError(f"No module named {name!r}")

assert {"pytest", "pylibsrtp"} <= modules
sys.meta_path.insert(0, Absent())
import lab.demo
from lab.publication import LAB_REGISTRY, publication
publication(LAB_REGISTRY)
"""


def test_the_demo_needs_no_tool_for_development():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    tools = re.findall(r"^([\w-]+)", config["options.extras_require"]["dev"].lower(), re.MULTILINE)
    command = [sys.executable, "-c", WITHOUT_TOOLS, *tools]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
