"""Runs of xbench for the scripts that make the tables of results/."""
import json, os, pathlib, subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


def synthetic(count, size, channels):
    """Data of so many random images."""
    return {"synthetic": {"count": count, "size": size, "channels": channels}}


def start_training(xbench, out, settings, ranks=1, trainer=None, arguments=(), config=None, cores=None, nodes=None, log=None):
    """A process: `xbench train` under mpirun where there are several ranks, bound to `cores` ("0,1"), on pretended `nodes`
    ("0,1"). settings: by the path of their JSON key. config: a file to start from. log: takes its standard error."""
    out.parent.mkdir(parents=True, exist_ok=True)
    if config is None:
        config = out.parent / "base.json"
        if not config.exists():  # a run that has just started may be reading it
            config.write_text(json.dumps({"model": "rsna_cnn", "data": {"synthetic": {"count": 100}}}))
    command = ["taskset", "-c", cores] if cores else []
    if ranks > 1:
        command += ["mpirun", "-n", str(ranks), "--bind-to", "none", "--oversubscribe"]
    command += [xbench, "train", "--config", str(config), "--quiet", "--out", str(out), "--trainer",
                trainer or ("cpu_ddp" if ranks > 1 else "serial"), *arguments]
    for key, value in settings.items():
        command += ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    if nodes:
        environment["XBENCH_NODE_OF_RANK"] = nodes
    return subprocess.Popen(command, env=environment, stderr=log)


def record_of(out):
    """What the run measured (the first line of records.jsonl)."""
    return json.loads((out / "records.jsonl").read_text().splitlines()[0])


def finish_training(process, out):
    """The record of a run that must not fail."""
    if process.wait() != 0:
        raise SystemExit(f"{out}: the run failed")
    return record_of(out)
