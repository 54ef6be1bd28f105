"""Another implementation of HdrHistogram (hdrh) reads `histograms.hlog`, and finds the percentiles of `summary.csv`.

    interval_log.py RESULTS_DIR

Exit code 0 when every operation of the whole fleet agrees, in every percentile.
"""

import csv
import math
import sys

from hdrh.histogram import HdrHistogram

RESULTS = sys.argv[1]
PERCENTILES = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p999": 99.9}
# Milliseconds in a tick, by what docs/RESULTS.md says.
LONG = {"notify_next", "notify_next_at_least", "first_notification", "execution"}
# summary.csv has three decimals.
ROUNDING_MS = 0.000_6


def histograms():
    """The seconds of each tag, added up."""
    found = {}
    with open(f"{RESULTS}/histograms.hlog") as log:
        for line in log:
            if not line.startswith("Tag="):
                continue
            tag, _start, _length, _max, payload = line.strip().split(",")
            name = tag.removeprefix("Tag=")
            if name not in found:
                found[name] = HdrHistogram(1, 30 * 24 * 3_600_000 if name.split(".")[0] in LONG else 3_600_000_000, 3)
            found[name].decode_and_add(payload)
    return found


def value_at(histogram, percentile):
    """The smallest value that this part of all does not exceed, as HdrHistogram defines it. hdrh's own get_value_at_percentile rounds the
    rank instead, and may name the value one rank below."""
    rank, below = max(1, math.ceil(round(percentile / 100 * histogram.get_total_count(), 9))), 0
    for item in histogram.get_recorded_iterator():
        below += item.count_added_in_this_iter_step
        if below >= rank:
            return histogram.get_highest_equivalent_value(item.value_iterated_to)
    raise AssertionError("an empty histogram")


def main():
    found, compared = histograms(), 0
    with open(f"{RESULTS}/summary.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["scope"] == "all"]
    for row in rows:
        for measure in ("service", "response"):
            if not row[f"{measure}_ms_p50"]:
                continue
            histogram = found[f"{row['operation']}.{measure}"]
            scale = 1 if row["operation"] in LONG else 1_000
            for name, percentile in PERCENTILES.items():
                told, read = float(row[f"{measure}_ms_{name}"]), value_at(histogram, percentile) / scale
                assert abs(told - read) <= ROUNDING_MS, f"{row['operation']} {measure} {name}: {told} in summary.csv, {read} by hdrh"
                assert histogram.get_value_at_percentile(percentile) / scale <= read, "the rank below is not above"
                compared += 1
    assert compared > 50, f"only {compared} figures were compared"
    print(f"hdrh reads the same {compared} percentiles")


main()
