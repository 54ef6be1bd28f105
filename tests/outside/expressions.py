"""The expressions of docs/grafana-dashboard.json, as Prometheus reads them: with a value for each variable of Grafana."""

import json
from pathlib import Path

DASHBOARD = Path(__file__).parent.parent.parent / "docs/grafana-dashboard.json"


def expressions(interval="15s", instance=".*"):
    """(title of the panel, expression) of every query."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    values = {"$__rate_interval": interval, "$instance": instance}
    for panel in panels:
        for query in panel.get("targets", []):
            text = query["expr"]
            for variable, value in values.items():
                text = text.replace(variable, value)
            yield panel["title"], text
