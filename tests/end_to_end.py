"""The whole pipeline on the profile `tiny`, from nothing, two stages at a time, through DVC and papermill.

It runs in a copy of the working tree, at a path with a space in it and with a git repository of its own. One line is added to the copy's package, so that the digests in
the provenance prove which `gwi` was at work: the copy's, in the runner and in the notebooks' kernels alike. Then two folders of images become reports at the same time. params.yaml
is read-only all the while. Some minutes on two cores: too long for a notebook."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import PIL.Image
import yaml

from gwi import meaning, report

root = Path(__file__).resolve().parent.parent
PROTOCOLS = {"clean", "corruption", "attack", "transfer", "features", "lowdata", "ablation", "training"}


def tracked():
    "The files of the working tree that git does not ignore."
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=root, capture_output=True, text=True)
    if out.returncode: sys.exit("missing: a git checkout (the tests copy the files that git does not ignore)")
    return [Path(f) for f in out.stdout.split("\0") if f and (root / f).is_file()]


def copy_tree(folder):
    "The working tree without its results; the ledger of proofs is none."
    for f in tracked():
        if f.parts[0] == "results" and f.name != "equal_code.csv": continue
        (folder / f).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / f, folder / f)


def contents(folder, pattern):
    "The files below a folder and what they hold."
    return {f.relative_to(folder): f.read_bytes() for f in folder.glob(pattern) if f.is_file()}


def paint(folder, shift):
    "Three classes of twelve plain images each, other ones for another `shift`."
    for kind, shade in (("dark", 40), ("grey", 120), ("light", 200)):
        (folder / kind).mkdir(parents=True)
        for k in range(12): PIL.Image.new("RGB", (32, 32), (shade + 2 * k, shade, shade + shift)).save(folder / kind / f"{k}.png")


def shortened(copy, name):
    "The folder report's own settings, with less of everything: what it finds written it does not write again."
    file = copy / "profiles" / name / "params.yaml"
    head, raw = file.read_text().splitlines()[0], yaml.safe_load(file.read_text())
    methods = dict(plain=["standard"], inhibited=["gwi"])
    raw |= dict(methods=methods, core=["standard", "gwi"], evaluated=["standard", "gwi"], seeds=[0], other_seeds=[0])
    raw["stages"] |= dict(methods, evaluated=["standard", "gwi"])
    raw["train"]["epochs"], raw["model"]["width"] = 2, 0.5
    raw["corruption"]["names"], raw["attack"] = ["fog"], raw["attack"] | dict(eps=[2.0], pgd=["2"], seeds=[0])
    file.write_text(f"{head}\n{yaml.safe_dump(raw, sort_keys=False)}")


def two_reports(copy, env):
    "Two folders become reports at once: each with rows of its own data set, and nothing else touched."
    names = ("one", "two")
    for k, name in enumerate(names):
        paint(copy.parent / name, 10 * k)
        prepared = f"from gwi import folder; folder.prepare({str(copy.parent / name)!r}, {name!r})"
        subprocess.run([sys.executable, "-c", prepared], cwd=copy, env=env, check=True, stdout=subprocess.DEVNULL)
        shortened(copy, name)
    command = [sys.executable, "-m", "gwi.pipeline", "report-folder", "--jobs", "1"]
    runs = [subprocess.Popen([*command, "--data", str(copy.parent / name), "--name", name], cwd=copy, env=env, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True) for name in names]
    said = [run.communicate()[0] for run in runs]
    for run, text in zip(runs, said):
        if run.returncode: print(text[-3000:])
    right = [(copy / "results" / name / "report.html").is_file() and set(report.read_rows(copy / "results" / name).dataset) == {name} for name in names]
    return all(right) and not any(run.returncode for run in runs)


def end_to_end():
    "What was to be seen -> whether it was; all that the pipeline said is printed if it failed."
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "a copy"
        copy_tree(copy)
        with (copy / "gwi" / "processes.py").open("a") as f: f.write("\nCOPIED = True\n")
        subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
        (copy / "params.yaml").chmod(0o444)
        params = (copy / "params.yaml").read_bytes()
        env = {k: v for k, v in os.environ.items() if not k.startswith("GWI_")} | {"PYTHONPATH": str(copy)}

        def call(*command): return subprocess.run([sys.executable, "-m", *command], cwd=copy, env=env, capture_output=True, text=True)
        run = call("gwi.pipeline", "repro", "--profile", "tiny", "--jobs", "2")
        if run.returncode: print(run.stdout[-3000:], run.stderr[-2000:])
        results = copy / "results" / "tiny"
        found = set(report.read_rows(results).protocol) if (results / "rows.csv").is_file() else set()
        entries = [json.loads(line) for line in (results / "provenance.jsonl").read_text().splitlines()] if found else []
        codes = {e["code"] for e in entries if e["run"] == "digits-resnet8-standard-s0" and e["protocol"] == "training"}
        digest = meaning.code_digest(*meaning.RAN_THROUGH["training"], folder=copy / "gwi")
        kinds = {"tables": ("csv", "md", "tex"), "figures": ("svg",), "notebooks": ("ipynb",), "plots": ("csv",)}
        again = call("dvc", "status", "profiles/tiny/dvc.yaml")
        before = contents(results, "**/*")
        shutil.rmtree(copy / "data" / "tiny" / "digits", ignore_errors=True)
        broken = call("gwi.pipeline", "clean", "--params", "profiles/tiny/params.yaml")
        executed = copy / ".cache" / "stages" / "tiny" / "digits" / "clean.ipynb"
        lacking = [f"{name}/*.{kind}" for name, ends in kinds.items() for kind in ends if not list((results / name).rglob(f"*.{kind}"))]
        if lacking: print("missing in results/tiny:", *lacking)
        return {"the profile tiny runs from nothing": not run.returncode,
                "every protocol has rows": found == PROTOCOLS,
                "the code at work is the copy's": codes == {digest} and digest != meaning.code_digest(*meaning.RAN_THROUGH["training"]),
                "tables, figures, plots and notebooks are there": not lacking,
                "a second run has nothing to do": "up to date" in again.stdout,
                "a failing cell ends its stage in four lines": bool(broken.returncode) and len(broken.stderr.strip().splitlines()) <= 4 and "fetch it first" in broken.stderr,
                "its notebook is kept, beside what is committed": executed.is_file() and "FileNotFoundError" in executed.read_text(),
                "and nothing committed is replaced": contents(results, "**/*") == before,
                "two folder reports at once both end right": two_reports(copy, env),
                "no command writes params.yaml": (copy / "params.yaml").read_bytes() == params}
