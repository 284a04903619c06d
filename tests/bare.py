"""What runs with the core alone: torch, NumPy, fastcore, click, in a virtual environment without anything else.

The wheel is built and installed there; what it requires is not fetched but linked from this environment, with all that
it requires in turn. Then `bare_inside.py` tries the front page's lines, every part of the core, and what an extra's
absence says."""
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from end_to_end import copy_tree

from gwi.pipeline.kit import needed_by

root = Path(__file__).resolve().parent.parent
CORE = {"torch", "numpy", "fastcore", "click"}
OTHERS = ("3.12", "3.13", "3.14")  # Python versions that the core is for, beside 3.11


def build(copy):
    "The wheel of a copy of the working tree: building leaves files beside it."
    copy_tree(copy)
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", copy.parent, copy)
    return next(copy.parent.glob("gwi-*.whl"))


def pip(*words):
    "Without our own path: what lies there would count as installed."
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *map(str, words)]
    subprocess.run(command, env=env, check=True)


def installed(folder, wheel):
    "A virtual environment with the wheel and nothing that it requires: its Python, its folder of packages."
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    return python, next(folder.glob("lib/python*/site-packages"))


def environment(folder, wheel):
    "A virtual environment with the wheel and what it requires; its Python."
    python, packages = installed(folder, wheel)
    for name in needed_by(*required(packages)): link(name, packages)
    return python


def required(packages):
    "The distributions that the installed wheel requires without an extra."
    mine = next(importlib.metadata.distributions(name="gwi", path=[str(packages)]))
    names = {re.match(r"[\w-]+", line)[0] for line in mine.requires if "extra ==" not in line}
    assert names == CORE, f"the core requires {', '.join(sorted(names))}"
    return names


def link(name, packages):
    "What a distribution put at the top of this environment, as links."
    distribution = importlib.metadata.distribution(name)
    for top in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
        if not (packages / top).exists(): (packages / top).symlink_to(distribution.locate_file(top))


def other_pythons():
    "Version -> a Python of it that starts: on the path, or installed beside ours."
    found = {}
    for version in OTHERS:
        beside = Path(sys.base_prefix).parent.glob(f"{version}*/bin/python{version}")
        for python in filter(None, [shutil.which(f"python{version}"), *beside]):
            if subprocess.run([python, "-c", ""], capture_output=True).returncode: continue
            found[version] = python
    return found


def compiles(copy):
    "Whether every other Python that is here understands the package."
    pythons, results = other_pythons(), {}
    for version, python in pythons.items():
        words = [python, "-W", "error::SyntaxWarning", "-m", "compileall", "-q", "-f", str(copy / "gwi")]
        results[f"Python {version} compiles the package"] = not subprocess.run(words).returncode
    missing = [version for version in OTHERS if version not in pythons]
    if missing: print("not here, so not tried: Python", ", ".join(missing))
    return results


def bare():
    "What was to be seen -> whether it was."
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = build(folder / "copy")
        python = environment(folder / "bare", wheel)
        (folder / "elsewhere").mkdir()
        words = [python, "-I", root / "tests" / "bare_inside.py", root / "README.md"]
        env = {name: value for name, value in os.environ.items() if not name.startswith("GWI_")}
        commands = {"the core runs in a bare environment": words,
                    "the command gwi is installed": [python.with_name("gwi"), "--version"]}
        ran = {what: not subprocess.run(command, cwd=folder / "elsewhere", env=env).returncode
               for what, command in commands.items()}
        return ran | compiles(folder / "copy")


if __name__ == "__main__":
    results = bare()
    for name, passed in results.items(): print("passed:" if passed else "FAILED:", name)
    sys.exit(not all(results.values()))
