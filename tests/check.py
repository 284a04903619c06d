"What `make test` runs: whether notebooks, package and README are in step, nbdev_test, the profile tiny from nothing, the kit's rehearsal. Ends with 'N passed, N failed'."
import filecmp
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root / "tests"))
from end_to_end import copy_tree, end_to_end, tracked  # noqa: E402
from readme import render  # noqa: E402


def notebooks():
    "nbdev_test on everything; notebook -> passed."
    names = [f.name for f in sorted((root / "nbs").rglob("*.ipynb")) if not {".ipynb_checkpoints", "experiments"} & set(f.parts)]  # papermill runs those
    run = subprocess.Popen(["nbdev_test", "--n_workers", "2", "--timing"], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           env={**os.environ, "OMP_NUM_THREADS": "1"})  # two notebooks at a time, a core each
    said = []
    for line in run.stdout:
        print(line, end="", flush=True)
        said.append(line)
    listed = "".join(said).partition("Failed On")[2]
    failed = {n for n in names if run.wait() and re.search(rf"(?<!\w){re.escape(n)}", listed)}
    if run.returncode and not failed: failed = {"nbdev_test itself"}
    return {n: n not in failed for n in [*names, *(failed - set(names))]}


def in_step(command, kind):
    "Whether a command of nbdev leaves the tree as it is, tried on a copy."
    with tempfile.TemporaryDirectory() as folder:
        copy_tree(Path(folder))
        subprocess.run([command], cwd=folder, check=True)
        changed = [f for f in tracked() if f.parts[0] in kind and not filecmp.cmp(root / f, Path(folder) / f, shallow=False)]
        new = [f for f in (Path(folder) / "gwi").glob("*.py") if not (root / "gwi" / f.name).exists()]
    for f in [*changed, *new]: print(f"{command} changes {f}")
    return not changed and not new


def rehearsal():
    "Whether a tiny grid is packed, run, stopped, gone on with and taken in."
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run([sys.executable, "-m", "gwi.kit", "rehearse", "--out", folder], cwd=root, capture_output=True, text=True)
    if run.returncode: print(run.stdout[-2000:], run.stderr[-2000:])
    return {"the kit's rehearsal": not run.returncode}


results = {"nbdev_export leaves no diff": in_step("nbdev_export", ("gwi",)), "nbdev_clean leaves no diff": in_step("nbdev_clean", ("nbs",)),
           "README.md is nbs/index.ipynb": (root / "README.md").read_text() == render(root)}
results |= notebooks()
results |= end_to_end()
results |= rehearsal()
for name, passed in results.items():
    if not passed: print("FAILED:", name)
print(f"{sum(results.values())} passed, {len(results) - sum(results.values())} failed")
sys.exit(not all(results.values()))
