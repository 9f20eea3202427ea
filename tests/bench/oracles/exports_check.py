"""Reads the exports of the sample run with the tools that they are for, and compares what these find with the run's table.

    exports_check.py FOLDER RULES.yaml     FOLDER: exports, and scaling.csv
"""
import csv
import glob
import json
import os
import subprocess
import sys

folder, rules = sys.argv[1], sys.argv[2]
rows = {row["trainer"] + "-r" + row["ranks"]: row for row in csv.DictReader(open(os.path.join(folder, "scaling.csv")))}
timed = [row for row in rows.values() if row["status"] == "ok"]


def near(a, b, relative=1e-3):
    assert abs(float(a) - float(b)) <= relative * abs(float(b)), (a, b)


def check_mllog():
    log = os.path.join(folder, "mllog.log")
    command = [sys.executable, "-m", "mlperf_logging.compliance_checker", "--usage", "training", "--ruleset", "5.1.0", "--config", rules]
    found = subprocess.run(command + [log], capture_output=True, text=True, cwd=folder)
    assert "SUCCESS" in found.stdout + found.stderr, found.stdout + found.stderr
    broken = os.path.join(folder, "broken.log")
    open(broken, "w").write("".join(line for line in open(log) if "run_stop" not in line))
    found = subprocess.run(command + [broken], capture_output=True, text=True, cwd=folder)
    assert "SUCCESS" not in found.stdout + found.stderr, "a log without run_stop was accepted"


def check_extrap():
    from extrap.fileio.file_reader.jsonlines_file_reader import read_jsonlines_file
    from extrap.fileio.file_reader.text_file_reader import TextFileReader
    text = TextFileReader().read_experiment(os.path.join(folder, "extrap.txt"))
    lines = read_jsonlines_file(os.path.join(folder, "extrap.jsonl"))
    for experiment in (text, lines):
        assert len(experiment.coordinates) == 5, experiment.coordinates
        assert {str(metric) for metric in experiment.metrics} == {"time", "core_seconds"}
        measured = 0
        for (callpath, metric), measurements in experiment.measurements.items():
            for one in measurements:
                cores = int(one.coordinate[0])
                row = rows["serial-r1" if cores == 1 else "cpu_ddp-r%d" % cores]
                near(one.median, float(row["step_ms"]) / 1e3 * (cores if str(metric) == "core_seconds" else 1), 1e-6)
                measured += 1
        assert measured == 10, measured


def check_openmetrics():
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
    text = open(os.path.join(folder, "metrics.txt")).read()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for sample in families["xbench_step_seconds"].samples:
        near(sample.value, float(rows[sample.labels["trainer"] + "-r" + sample.labels["ranks"]]["step_ms"]) / 1e3, 1e-6)
    assert len(families["xbench_step_seconds"].samples) == len(timed)
    assert families["xbench"].type == "info"
    try:
        list(text_string_to_metric_families(text.replace("# EOF\n", "")))
    except ValueError:
        return
    raise AssertionError("a text without its end was accepted")


def check_talp():
    """talp-pages' own frame: it reads the efficiencies, and the speed-up that it finds is the table's without the serial row."""
    from pathlib import Path
    from talp_pages.io.dataframe_handling import load_talp_json_df
    base = None
    for row in sorted((row for row in timed if row["trainer"] == "cpu_ddp"), key=lambda row: int(row["ranks"])):
        frame = load_talp_json_df(Path(folder) / ("talp_cpu_ddp-r%s-t1.json" % row["ranks"]))
        cells = frame.iloc[0]
        ranks, step, exposed, skew = int(row["ranks"]), float(row["step_ms"]), float(row["exposed_comm_ms"]), float(row["rank_skew_ms"])
        near(cells["parallelEfficiency"], (step - exposed + skew / 2) / step)
        near(cells["mpiLoadBalance"] * cells["mpiCommunicationEfficiency"], cells["parallelEfficiency"])
        near(cells["usefulTime"] / (1e9 * cells["elapsedTime"] * ranks), cells["parallelEfficiency"])  # it turns nanoseconds into seconds
        base = base if base is not None else (cells["elapsedTime"], float(row["speedup"]))
        near(base[0] / cells["elapsedTime"], float(row["speedup"]) / base[1], 0.01)


def check_csv():
    records = list(csv.DictReader(open(os.path.join(folder, "records.csv"))))
    assert len(records) == 9 * len(timed), len(records)


def check_google_benchmark():
    """By Debian's compare.py where it is installed (libbenchmark-tools), else by its rules."""
    file = os.path.join(folder, "google_benchmark.json")
    entries = json.load(open(file))["benchmarks"]
    assert len(entries) == 9 * len(timed) and all(entry["time_unit"] == "us" for entry in entries)
    tools = glob.glob("/usr/share/benchmark/compare.py")
    if not tools:
        print("skipped: compare.py is not here (apt-get install libbenchmark-tools)")
        return
    found = subprocess.run([sys.executable, tools[0], "--no-color", "benchmarks", file, file], capture_output=True, text=True)
    assert found.returncode == 0 and "cpu_ddp-r16-t1" in found.stdout, found.stdout + found.stderr


checks = [check_mllog, check_extrap, check_openmetrics, check_talp, check_csv, check_google_benchmark]
for check in checks:
    check()
    print(check.__name__, "passed")
