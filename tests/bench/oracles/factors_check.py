"""The efficiencies that talp-pages reads and recomputes from the export of a sweep with probes, against the factors of its row.

    factors_check.py RUN     RUN: efficiency.csv and talp_*.json of the rows serial and cpu_ddp on two ranks
"""
import csv
import math
import os
import sys
from pathlib import Path

from talp_pages.io.dataframe_handling import load_talp_json_df

run = sys.argv[1]
factors = {line["factor"]: float(line["value"]) for line in csv.DictReader(open(os.path.join(run, "efficiency.csv")))}
assert len(factors) == 9, factors
serial, job = (load_talp_json_df(Path(run) / ("talp_%s.json" % row)).iloc[0] for row in ("serial-r1-t1", "cpu_ddp-r2-t1"))


def near(name, found, expected):
    assert abs(found - expected) <= 1e-6 * expected, (name, found, expected)


def product(*names):
    return math.prod(factors[name] for name in names)


near("LB", job["mpiLoadBalance"], factors["load_balance"])
near("CommE", job["mpiCommunicationEfficiency"], product("jitter", "serialisation", "transfer", "loader"))
near("PE", job["parallelEfficiency"], product("load_balance", "jitter", "serialisation", "transfer", "loader"))
near("PE from useful time", job["usefulTime"] / (1e9 * job["elapsedTime"] * 2), job["parallelEfficiency"])
# The speed-up over the serial row, which talp-pages calls the global efficiency from speedup, times the ranks.
near("GE", serial["elapsedTime"] / job["elapsedTime"] / 2, math.prod(factors.values()))
print("factors_check passed: talp-pages finds the efficiencies that the factors say")
