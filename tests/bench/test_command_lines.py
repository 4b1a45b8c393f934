import importlib
import importlib.util
import os
import re
import sys
from unittest import mock

import pytest

from lab.repository import ROOT

MAKEFILE = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
OPTIONS_OF_BENCH = next(line for line in MAKEFILE.splitlines() if line.startswith("BENCH = "))
RECIPES = re.findall(r"\$\(VENV\)/bin/python -m ((?:bench|lab|tools)[\w.]*)(.*)", MAKEFILE)
BENCHES = [(module, rest.replace("$(BENCH)", OPTIONS_OF_BENCH)) for module, rest in RECIPES if module[:6] == "bench."]


def test_each_module_that_the_makefile_starts_exists():
    assert {"bench.cost", "lab.demo", "tools.dist"} <= {module for module, _ in RECIPES}
    assert [module for module, _ in RECIPES if importlib.util.find_spec(module) is None] == []


@pytest.mark.parametrize(("module", "recipe"), BENCHES, ids=[module for module, _ in BENCHES])
def test_a_bench_has_each_option_that_the_makefile_passes(module, recipe, monkeypatch, capsys):
    package = importlib.util.find_spec(module).submodule_search_locations is not None
    with mock.patch.dict(os.environ):
        started = importlib.import_module(f"{module}.__main__" if package else module)
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    with pytest.raises(SystemExit) as ended:
        started.main()
    assert ended.value.code == 0
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert set(re.findall(r"--[a-z-]+", recipe)) <= options
