"""The efficiencies that talp-pages reads and recomputes from the export of a sweep with probes, against the factors of each row.

    factors_check.py RUN EXPORTED     RUN: efficiency.csv; EXPORTED: talp_*.json of the row serial-r1-t1 and of those with factors
"""
import csv
import json
import logging
import math
import sys
from pathlib import Path

from talp_pages.analysis.scaling_analysis import ScalingAnalysis, ScalingAnalysisArguments
from talp_pages.io.dataframe_handling import load_talp_json_df
from talp_pages.io.run_folders import RunFolder

logging.disable(logging.WARNING)  # that it assumes weak scaling where there are no instructions; times are of equal work

run, exported = Path(sys.argv[1]), Path(sys.argv[2])
rows = {}
for line in csv.DictReader(open(run / "efficiency.csv")):
    rows.setdefault(line["row"], {})[line["factor"]] = float(line["value"])
assert rows and all(len(factors) == 9 for factors in rows.values()), rows


def file_of(row):
    return exported / ("talp_%s.json" % row)


def frame(row):
    return load_talp_json_df(file_of(row)).iloc[0]


def efficiency_from_speedup(row):
    """talp-pages' "global efficiency from speedup" over the serial row; it takes rows of one core for the serial one."""
    files = [file_of("serial-r1-t1"), file_of(row)]
    found = ScalingAnalysis(ScalingAnalysisArguments(RunFolder(Path("."), files, files[-1]))).get_results(["Global"])[0]
    return found.dataframe_list[-1]["globalEfficiencyBySpeedup"].iloc[0] if len(found.dataframe_list) == 2 else None


def near(name, found, expected):
    assert abs(found - expected) <= 1e-6 * expected, (name, found, expected)


serial = frame("serial-r1-t1")
for row, factors in rows.items():
    job, cores = frame(row), json.load(open(file_of(row)))["resources"]["numCpus"]
    communication = math.prod(factors[name] for name in ("jitter", "serialisation", "transfer", "loader"))
    near(row + ": LB", job["mpiLoadBalance"], factors["load_balance"])
    near(row + ": CommE", job["mpiCommunicationEfficiency"], communication)
    near(row + ": PE", job["parallelEfficiency"], factors["load_balance"] * communication)
    near(row + ": PE from useful time", job["usefulTime"] / (1e9 * job["elapsedTime"] * cores), job["parallelEfficiency"])
    near(row + ": GE", serial["elapsedTime"] / job["elapsedTime"] / cores, math.prod(factors.values()))
    if cores > 1:
        near(row + ": GE by talp-pages", efficiency_from_speedup(row), math.prod(factors.values()))
print("factors_check passed: talp-pages finds the efficiencies that the factors of %d rows say" % len(rows))
