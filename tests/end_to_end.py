"""The whole pipeline on the profile `tiny`, from nothing, two stages at a time, through DVC and papermill.

It runs in a copy of the working tree, at a path with a space in it and with a git repository of its own. One line is
added to the copy's package, so that the digests in the provenance prove which `gwi` was at work: the copy's, in the
runner and in the notebooks' kernels alike. Then two folders of images become reports at the same time. params.yaml is
read-only all the while. Some minutes on two cores: too long for a notebook."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import PIL.Image
import yaml

from gwi import meaning, protocols, report

root = Path(__file__).resolve().parent.parent
PROTOCOLS = {"clean", "corruption", "attack", "transfer", "features", "lowdata", "ablation", "training"}
KINDS = {"tables": ("csv", "md", "tex"), "figures": ("svg",), "notebooks": ("ipynb",), "plots": ("csv",)}
FOLDERS = ("one", "two")  # of images, beside the copy


def tracked():
    "The files of the working tree that git does not ignore."
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if listed.returncode: sys.exit("missing: a git checkout (the tests copy the files that git does not ignore)")
    return [Path(f) for f in listed.stdout.split("\0") if f and (root / f).is_file()]


def copy_tree(folder):
    "The working tree without its results; only the ledger of proofs goes along."
    for file in tracked():
        if file.parts[0] == "results" and file.name != "equal_code.csv": continue
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError): shutil.copy2(root / file, folder / file)  # a test's own, gone meanwhile


def make_project(copy):
    "A copy to work in, whose package differs by one line."
    copy_tree(copy)
    with (copy / "gwi" / "processes.py").open("a") as module: module.write("\nCOPIED = True\n")
    git = ["git", "-c", "user.name=copy", "-c", "user.email=copy@example.com"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "copied"]):
        subprocess.run([*git, *words], cwd=copy, check=True)
    (copy / "params.yaml").chmod(0o444)


def environment(copy):
    "The copy's package, and no setting of ours."
    return {k: v for k, v in os.environ.items() if not k.startswith("GWI_")} | {"PYTHONPATH": str(copy)}


def call(copy, *words):
    "Python in the copy."
    return subprocess.run([sys.executable, *words], cwd=copy, env=environment(copy), capture_output=True, text=True)


def contents(folder):
    "The files below a folder and what they hold."
    return {f.relative_to(folder): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def whole_pipeline(copy):
    "The profile tiny from nothing."
    run = call(copy, "-m", "gwi.pipeline", "repro", "--profile", "tiny", "--jobs", "2")
    if run.returncode: print(run.stdout[-3000:], run.stderr[-2000:])
    results = copy / "results" / "tiny"
    lacking = [f"{folder}/*.{kind}" for folder, kinds in KINDS.items() for kind in kinds
               if not list((results / folder).rglob(f"*.{kind}"))]
    if lacking: print("missing in results/tiny:", *lacking)
    has_rows = (results / "rows.csv").is_file()
    again = call(copy, "-m", "dvc", "status", "profiles/tiny/dvc.yaml")
    return {
        "the profile tiny runs from nothing": not run.returncode,
        "every protocol has rows": has_rows and set(report.read_rows(results).protocol) == PROTOCOLS,
        "the code at work is the copy's": has_rows and is_code_of(copy, results),
        "tables, figures, plots and notebooks are there": not lacking,
        "a second run has nothing to do": "up to date" in again.stdout,
    }


def is_code_of(copy, results):
    "Whether a training's provenance names the code of the copy, which is not ours."
    entries = [json.loads(line) for line in (results / "provenance.jsonl").read_text().splitlines()]
    is_trained = {"run": "digits-resnet8-standard-s0", "protocol": "training"}
    codes = {entry["code"] for entry in entries if is_trained.items() <= entry.items()}
    ours, copied = (meaning.code_digest(*protocols.RAN_THROUGH["training"], folder=at / "gwi") for at in (root, copy))
    return codes == {copied} and copied != ours


def failing_stage(copy):
    "A stage whose data has gone."
    before = contents(copy / "results" / "tiny")
    shutil.rmtree(copy / "data" / "tiny" / "digits", ignore_errors=True)
    broken = call(copy, "-m", "gwi.pipeline", "clean", "--params", "profiles/tiny/params.yaml")
    executed = copy / ".cache" / "stages" / "tiny" / "digits" / "clean.ipynb"
    is_told = "fetch it first" in broken.stderr and len(broken.stderr.strip().splitlines()) <= 4
    is_kept = executed.is_file() and "FileNotFoundError" in executed.read_text()
    return {
        "a failing cell ends its stage in four lines": broken.returncode and is_told,
        "its notebook is kept, beside what is committed": is_kept,
        "and nothing committed is replaced": contents(copy / "results" / "tiny") == before,
    }


def paint(folder, shift):
    "Three classes of twelve plain images each, other ones for another `shift`."
    for kind, shade in (("dark", 40), ("grey", 120), ("light", 200)):
        (folder / kind).mkdir(parents=True)
        for k in range(12):
            PIL.Image.new("RGB", (32, 32), (shade + 2 * k, shade, shade + shift)).save(folder / kind / f"{k}.png")


def shorten(copy, name):
    "The folder report's own settings, with less of everything: what it finds written it does not write again."
    file = copy / "profiles" / f"{name}.yaml"
    first, raw = file.read_text().splitlines()[0], yaml.safe_load(file.read_text())
    raw |= dict(methods=dict(plain=["standard"], inhibited=["gwi"]), core=["standard", "gwi"], seeds=[0])
    raw["train"] |= dict(epochs=2)
    raw["model"] |= dict(width=0.5)
    raw["corruption"] |= dict(names=["fog"])
    raw["attack"] |= dict(eps=[2.0], pgd=["2"], seeds=[0])
    file.write_text(f"{first}\n{yaml.safe_dump(raw, sort_keys=False)}")


def begin_report(copy, name):
    "A short folder report, begun."
    prepared = f"from gwi.pipeline import folder; folder.prepare_folder({str(copy.parent / name)!r}, {name!r})"
    call(copy, "-c", prepared).check_returncode()
    shorten(copy, name)
    words = ["-m", "gwi.pipeline", "report-folder", "--jobs", "1", "--data", str(copy.parent / name), "--name", name]
    return subprocess.Popen([sys.executable, *words], cwd=copy, env=environment(copy), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def two_reports(copy):
    "Two folders become reports at once: each with rows of its own data set, and nothing else touched."
    for k, name in enumerate(FOLDERS): paint(copy.parent / name, 10 * k)
    runs = [begin_report(copy, name) for name in FOLDERS]
    for run in runs:
        output, _ = run.communicate()
        if run.returncode: print(output[-3000:])
    return not any(run.returncode for run in runs) and all(is_reported(copy / "results" / name) for name in FOLDERS)


def is_reported(results):
    "Whether the page is there and the rows are of one data set, the folder's."
    return (results / "report.html").is_file() and set(report.read_rows(results).dataset) == {results.name}


def end_to_end():
    "What was to be seen -> whether it was; what the pipeline said is printed if it failed."
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "a copy"
        make_project(copy)
        params = (copy / "params.yaml").read_bytes()
        results = whole_pipeline(copy) | failing_stage(copy)
        results["two folder reports at once both end right"] = two_reports(copy)
        results["no command writes params.yaml"] = (copy / "params.yaml").read_bytes() == params
    return {name: bool(passed) for name, passed in results.items()}


if __name__ == "__main__":
    for name, passed in end_to_end().items(): print("passed:" if passed else "FAILED:", name)
