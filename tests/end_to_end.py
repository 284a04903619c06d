"""The whole pipeline on the profile `tiny`, from nothing, two stages at a time, through DVC and papermill.

It runs in a copy of the working tree, at a path with a space in it and with a git repository of its own. One line is added to the copy's package, so that the digests in
the sidecars prove which `gwi` was at work: the copy's, in the runner and in the notebooks' kernels alike. Three minutes on two cores: too long for a notebook."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from gwi import report, rows, train

root = Path(__file__).resolve().parent.parent
PROTOCOLS = {"clean", "corruption", "attack", "transfer", "features", "lowdata", "ablation", "training"}


def tracked():
    "The files of the working tree that git does not ignore."
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=root, capture_output=True, text=True)
    if out.returncode: sys.exit("missing: a git checkout (the tests copy the files that git does not ignore)")
    return [Path(f) for f in out.stdout.split("\0") if f and (root / f).is_file()]


def copy_tree(folder):
    "The working tree without its results."
    for f in tracked():
        if f.parts[0] == "results": continue
        (folder / f).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / f, folder / f)


def end_to_end():
    "What was to be seen -> whether it was; all that the pipeline said is printed if it failed."
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "a copy"
        copy_tree(copy)
        with (copy / "gwi" / "processes.py").open("a") as f: f.write("\nCOPIED = True\n")
        subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
        env = {k: v for k, v in os.environ.items() if not k.startswith("GWI_")} | {"PYTHONPATH": str(copy)}

        def call(*command): return subprocess.run([sys.executable, "-m", *command], cwd=copy, env=env, capture_output=True, text=True)
        run = call("gwi.pipeline", "repro", "--profile", "tiny", "--jobs", "2")
        if run.returncode: print(run.stdout[-3000:], run.stderr[-2000:])
        results = copy / "results" / "tiny"
        found = set(report.read_rows(results / "rows").protocol) if (results / "rows").is_dir() else set()
        sides = [json.loads(f.read_text()) for f in results.glob("rows/*standard-s0/training.json")]
        digest = rows.code_digest(*train.MODULES, folder=copy / "gwi")
        kinds = {"tables": ("csv", "md", "tex"), "figures": ("svg", "png"), "notebooks": ("ipynb",)}
        again = call("dvc", "status")
        shutil.rmtree(copy / "data" / "tiny" / "digits", ignore_errors=True)
        broken = call("gwi.pipeline", "clean")
        executed = results / "notebooks" / "digits" / "clean.ipynb"
        return {"the profile tiny runs from nothing": not run.returncode,
                "every protocol has rows": found == PROTOCOLS,
                "the code at work is the copy's": bool(sides) and all(s["code"] == digest for s in sides) and digest != rows.code_digest(*train.MODULES),
                "tables, figures and notebooks are there": all(list((results / name).glob(f"*.{kind}")) for name, ends in kinds.items() for kind in ends),
                "a second run has nothing to do": "up to date" in again.stdout,
                "a failing cell ends its stage in four lines": bool(broken.returncode) and len(broken.stderr.strip().splitlines()) <= 4 and "fetch it first" in broken.stderr,
                "and its notebook is kept": executed.is_file() and "FileNotFoundError" in executed.read_text()}
