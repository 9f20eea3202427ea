"""The efficiencies that talp-pages reads and recomputes from the export of a sweep with probes, against the factors of each row.

    factors_check.py RUN EXPORTED     RUN: efficiency.csv; EXPORTED: talp_*.json of the row serial-r1-t1 and of those with factors
"""
import csv
import json
import math
import sys
from pathlib import Path

from talp_pages.io.dataframe_handling import load_talp_json_df

run, exported = Path(sys.argv[1]), Path(sys.argv[2])
rows = {}
for line in csv.DictReader(open(run / "efficiency.csv")):
    rows.setdefault(line["row"], {})[line["factor"]] = float(line["value"])
assert rows and all(len(factors) == 9 for factors in rows.values()), rows


def frame(row):
    return load_talp_json_df(exported / ("talp_%s.json" % row)).iloc[0]


def near(name, found, expected):
    assert abs(found - expected) <= 1e-6 * expected, (name, found, expected)


serial = frame("serial-r1-t1")
for row, factors in rows.items():
    job, cores = frame(row), json.load(open(exported / ("talp_%s.json" % row)))["resources"]["numCpus"]
    communication = math.prod(factors[name] for name in ("jitter", "serialisation", "transfer", "loader"))
    near(row + ": LB", job["mpiLoadBalance"], factors["load_balance"])
    near(row + ": CommE", job["mpiCommunicationEfficiency"], communication)
    near(row + ": PE", job["parallelEfficiency"], factors["load_balance"] * communication)
    near(row + ": PE from useful time", job["usefulTime"] / (1e9 * job["elapsedTime"] * cores), job["parallelEfficiency"])
    # The speed-up over the serial row, which talp-pages calls the global efficiency from speedup, times the cores.
    near(row + ": GE", serial["elapsedTime"] / job["elapsedTime"] / cores, math.prod(factors.values()))
print("factors_check passed: talp-pages finds the efficiencies that the factors of %d rows say" % len(rows))
