"""Alert rules for Prometheus that idtone ships."""

import yaml

from tools.dashboards import FOLDER

RULES = FOLDER / "idtone-alerts.yml"
ALERTS = [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]
