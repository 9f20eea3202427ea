"""Writes the run that tests of reports and exports read: a strong-scaling sweep of five core counts with nine repeats, of an
Amdahl curve with communication and 1% noise. All numbers are made up; the same bytes every time.

    python3 make_run.py FOLDER [SLOWER [NAME [REPEATS [TEAMS]]]]
        SLOWER: a factor on the times of all rows, 1 by default; REPEATS: 9; TEAMS: rows for 1 to so many threads, 1

With REPEATS 50 and TEAMS 40 it has 10,000 records, to time a report of them:
    python3 make_run.py big 1 big 50 40 && time xbench report big >table.txt
"""
import json
import math
import os
import random
import sys

folder, slower = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
name = sys.argv[3] if len(sys.argv) > 3 else "sample"
repeats = int(sys.argv[4]) if len(sys.argv) > 4 else 9
teams = int(sys.argv[5]) if len(sys.argv) > 5 else 1
os.makedirs(folder, exist_ok=True)
config = {"name": "sample", "model": "pneumonia_cnn", "data": {"synthetic": {"count": 4096, "size": 64, "channels": 1}},
          "train": {"batch_size": 64, "epochs": 3, "seed": 1, "virtual_ranks": 16}, "scaling": {"mode": "strong", "repeats": repeats},
          "sweep": [{"trainer": "serial"}, {"trainer": "cpu_ddp", "ranks": [2, 4, 8, 16]}]}
if teams > 1:
    for row in config["sweep"]:
        row["threads"] = list(range(1, teams + 1))
env = {"schema": "xbench.env/1", "time_utc": "2026-11-30T02:00:02Z",
       "build": {"version": "0.1.0", "commit": "0123456789abcdef", "dirty": False, "compiler": "GNU 12.2.0"},
       "machine": {"host": "sample", "cpu": "a processor", "sockets": 1, "cores": 16, "hardware_threads": 16, "allowed_cores": 16,
                   "governor": "performance", "memory_bytes": 68719476736, "gpus": []},
       "command_line": ["xbench", "--config", "sample.json", "--out", "sample"], "env_id": "00112233aabbccdd"}
rng = random.Random(20261130 if slower == 1.0 else 7)
steps, records, summaries = 30, [], []
for ranks, threads in [(r, t) for t in range(1, teams + 1) for r in (1, 2, 4, 8, 16)]:
    trainer = "serial" if ranks == 1 else "cpu_ddp"
    point = "%s-r%d-t%d" % (trainer, ranks, threads)
    params = {"model": "pneumonia_cnn", "trainer": trainer, "device": "cpu", "ranks": ranks, "threads": threads, "stage": 0,
              "global_batch": 64, "epochs": 3, "seed": 1, "reduction": "invariant", "virtual_ranks": 16, "isa": "avx512", "point": point}
    exposed = 0.0 if ranks == 1 else 0.05 * math.log2(ranks)
    for rep in range(1, repeats + 1):
        step = slower * (8.0 * (0.04 + 0.96 / ranks / threads) + exposed) * math.exp(rng.gauss(0, 0.01))
        samples = [int(1e6 * step * math.exp(rng.gauss(0, 0.005))) for _ in range(steps)]
        seconds = [(epoch * step * steps / 3 + epoch * 33) / 1e3 for epoch in (1, 2, 3)]
        mebibytes = {"parameters": 0.02, "gradients": 0.02, "optimizer": 0.05, "activations": 9.0 / ranks, "buffers": 0.01, "batches": 3.0 / ranks, "workspace": 1.5}
        ledger = {purpose: int(1048576 * m) for purpose, m in mebibytes.items()}
        ledger["total"] = sum(ledger.values())
        delays = [{"bucket": 0, "collective": "all_reduce", "bytes": 24264, "rank": ranks - 1, "share_last": 0.75, "delay_ms": exposed / 2, "transfer_ms": exposed / 2}] if ranks > 1 else []
        records.append({"schema": "xbench.record/1", "run_id": name, "kind": "rep", "bench": "train", "params": params, "rep": rep,
                        "unit": "images/s", "value": 64000 / step, "samples_ns": samples,
                        "per_rank": [{"rank": r, "host": "sample", "machine": "m", "cpuset": str(r), "bound": True, "oversubscribed": False} for r in range(ranks)],
                        "steady": True, "check": {"ok": True, "max_rel_err": None},
                        "counters": {"steps": steps, "step_ms": step, "exposed_comm_ms": exposed, "rank_skew_ms": exposed / 2, "images_trained": 64 * steps,
                                     "train_seconds": step * steps / 1e3, "val_seconds": 0.1, "test_seconds": 0.1, "total_seconds": step * steps / 1e3 + 0.4,
                                     "test_images": 624, "test_accuracy": 0.9423, "test_balanced_accuracy": 0.921, "test_majority_baseline": 0.7292,
                                     "test_loss": 0.1502, "epochs_run": 3, "best_epoch": 3, "cores_shared": False,
                                     "history": {"seconds": seconds, "val_accuracy": [0.9012, 0.9321, 0.9448], "val_loss": [0.25, 0.18, 0.15],
                                                 "train_loss": [0.4, 0.2, 0.16]},
                                     "memory": {"ranks": ranks, "stage": 0, "predicted": ledger, "in_step": ledger, "highest": ledger}, "delays": delays},
                        "energy_j": None, "energy_why": "no counters", "env_id": env["env_id"], "config_sha": "c", "data_sha": "d",
                        "weights_hash": "00112233445566778899aabbccddeeff"})
    summaries.append({**records[-1], "kind": "summary", "bench": "scaling", "rep": 0, "samples_ns": [], "per_rank": [],
                      "counters": {"status": "ok", "reason": "", "repeats": repeats}})
refused = {"model": "pneumonia_cnn", "trainer": "gpu_ddp", "device": "cuda", "ranks": 2, "threads": 1, "stage": 0, "global_batch": 64, "point": "gpu_ddp-r2-t1-cuda"}
summaries.append({**summaries[-1], "params": refused, "value": 0, "weights_hash": "", "counters": {"status": "not_run", "reason": "no GPU here", "repeats": 0}})
for file, value in (("config.resolved.json", config), ("env.json", env)):
    with open(os.path.join(folder, file), "w") as out:
        json.dump(value, out, indent=2)
        out.write("\n")
with open(os.path.join(folder, "records.jsonl"), "w") as out:
    for record in records + summaries:
        out.write(json.dumps(record, separators=(",", ":")) + "\n")
