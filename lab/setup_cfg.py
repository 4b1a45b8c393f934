"""The distribution according to setup.cfg: its libraries, and the packages behind the links in `idtone/`."""

import configparser

from setuptools import find_packages

from lab.repository import ROOT


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def package_folders() -> dict[str, str]:
    """Name of each package → its real folder behind the links."""
    packages = find_packages(str(ROOT), include=setup_cfg()["options.packages.find"]["include"].split())
    return {name: str((ROOT / name.replace(".", "/")).resolve().relative_to(ROOT.resolve())) for name in packages}
