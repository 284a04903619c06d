"""What `make test` runs: whether notebooks, package and README are in step, the rules of the house, the core in a bare
environment, nbdev_test, the profile tiny from nothing, the rehearsal of a kit. Ends with 'N passed, N failed'."""
import filecmp
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root / "tests"))
from bare import bare  # noqa: E402
from end_to_end import copy_tree, end_to_end, tracked  # noqa: E402
from house import house  # noqa: E402
from readme import MOST, render  # noqa: E402

NOT_TESTED = {".ipynb_checkpoints", "experiments"}  # papermill runs the experiments


def notebooks():
    "nbdev_test on everything, two notebooks at a time, a core each; notebook -> passed."
    names = [f.name for f in sorted((root / "nbs").rglob("*.ipynb")) if not NOT_TESTED & set(f.parts)]
    status, output = told(["nbdev_test", "--n_workers", "2", "--timing"])
    if not status: return dict.fromkeys(names, True)
    listed = output.partition("Failed On")[2]
    failed = {name for name in names if re.search(rf"(?<!\w){re.escape(name)}", listed)} or {"nbdev_test itself"}
    return {name: name not in failed for name in [*names, *sorted(failed - set(names))]}


def told(command):
    "Exit status and output of a command whose lines are shown as they come."
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.Popen(command, cwd=root, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = []
    for line in run.stdout:
        print(line, end="", flush=True)
        lines.append(line)
    return run.wait(), "".join(lines)


def in_step(command, folder):
    "Whether a command of nbdev leaves a folder as it is, tried on a copy of the tree."
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        copy_tree(copy)
        subprocess.run([command], cwd=copy, check=True)
        files = [f for f in tracked() if f.parts[0] == folder]
        changed = [f for f in files if not filecmp.cmp(root / f, copy / f, shallow=False)]
        now = {f.relative_to(copy) for kind in ("py", "ipynb") for f in (copy / folder).rglob(f"*.{kind}")}
    for file in [*changed, *sorted(now - set(files))]: print(f"{file}:1: {command} changes it")
    return not changed and not now - set(files)


def rehearsal():
    "Whether a tiny grid is packed, run without notebook tools, gone on with and taken in."
    with tempfile.TemporaryDirectory() as folder:
        status, _ = told([sys.executable, "-m", "gwi.pipeline.kit", "rehearse", "--out", folder])
    return {"a kit is packed, runs, goes on and comes back": not status}


def abused():
    "Whether a part of the bad input of every kind is met as it should be; `make abuse` tries all."
    status, _ = told([sys.executable, "-m", "tests.abuse", "--short"])
    return {"bad input is refused or kept as it is": not status}


def gpu_script():
    "Whether the script for a GPU passes on a processor, its kernels in Triton's interpreter."
    with tempfile.TemporaryDirectory() as folder:
        status, _ = told([sys.executable, "tests/gpu_step.py", "--rehearse", "--out", folder])
    return {"the script that measures a GPU runs": not status}


def in_copies():
    "What works in copies of the tree, and takes a core or two."
    return bare() | end_to_end() | abused() | gpu_script() | rehearsal()


def check():
    "What was to be seen -> whether it was."
    results = {
        "nbdev_export leaves no diff": in_step("nbdev_export", "gwi"),
        "nbdev_clean leaves no diff": in_step("nbdev_clean", "nbs"),
        "README.md is nbs/index.ipynb": (root / "README.md").read_text() == render(root),
        f"README.md has at most {MOST} words": len(render(root).split()) <= MOST,
    } | house()
    with ThreadPoolExecutor() as pool:  # side by side, so that no core waits for another's last notebook
        for part in [pool.submit(notebooks), pool.submit(in_copies)]: results |= part.result()
    return results


if __name__ == "__main__":
    results = check()
    for name, passed in results.items():
        if not passed: print("FAILED:", name)
    print(f"{sum(results.values())} passed, {len(results) - sum(results.values())} failed")
    sys.exit(not all(results.values()))
