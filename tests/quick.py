"""What `make check` runs, within a minute: the notebooks that changed since this branch left the one it follows, those
that import their modules, nearest first, whether notebooks and package are in step, and the rules of the house. What
did not fit into the minute is said, and is no failure: `make test` runs all."""
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BEGIN = time.monotonic()
root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root / "tests"))
from house import imports, modules, near, notebooks, tree_of  # noqa: E402

SECONDS, JOBS = 55, 2  # leaves five to begin and to end in
PYTHON = "import sys; sys.path.insert(0, 'tests'); import check, readme"
IN_STEP = {
    "nbdev_export leaves no diff": "not check.in_step('nbdev_export', 'gwi')",
    "nbdev_clean leaves no diff": "not check.in_step('nbdev_clean', 'nbs')",
    "README.md is nbs/index.ipynb": "(check.root / 'README.md').read_text() != readme.render(check.root)",
}


def git(*words):
    "What git prints, or nothing where it has no answer."
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True).stdout.strip()


def since():
    "The commit that changes are counted from: where this branch left the one it follows, else the last commit."
    for branch in ("@{upstream}", "origin/main", "main"):
        if found := git("merge-base", "HEAD", branch): return found
    return "HEAD"


def changed_files(base):
    "What was changed, added or renamed since, committed or not."
    names = git("diff", "--name-only", "--diff-filter=d", base).splitlines()
    return {root / name for name in [*names, *git("ls-files", "-o", "--exclude-standard").splitlines()]}


def exported():
    "Notebook -> the module that it exports."
    made = {}
    for file, (path, _) in modules().items():
        second = path.read_text(encoding="utf-8").partition("File to edit: ")[2].partition(".ipynb")[0]
        if second: made[(path.parent / f"{second}.ipynb").resolve()] = file
    return made


def imported(file):
    "The modules that the cells of a notebook import."
    trees = [tree_of(cell) for cell in notebooks()[file] if cell.cell_type == "code"]
    return {module for tree in trees for _, module, _ in imports(tree, [])}


def by_distance(changed, made):
    "The changed notebooks, then those that import their modules, then those that import theirs."
    uses, seen, level = {file: imported(file) for file in notebooks()}, [], sorted(changed)
    while level:
        seen += level
        theirs = {made[file] for file in level if file in made}
        level = sorted(file for file in uses if file not in seen and uses[file] & theirs)
    return seen


def say(line): print(line, flush=True)


def run(name, command, until):
    "True, False, or None where the time was over: (name, how it ended)."
    left, begin = until - time.monotonic(), time.monotonic()
    if left <= 0: return name, None
    child = subprocess.Popen(command, cwd=root, env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try: output, _ = child.communicate(timeout=left)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        return name, None
    say(f"{'failed' if child.returncode else 'passed'}, {time.monotonic() - begin:.0f} s: {name}")
    if child.returncode: say(output[-4000:])
    return name, not child.returncode


def commands(files):
    "What is run -> its command: what is in step, the rules, then the notebooks, nearest first."
    tests = {near(file): ["nbdev_test", "--path", str(file)] for file in files}
    steps = {name: [sys.executable, "-c", f"{PYTHON}; sys.exit({what})"] for name, what in IN_STEP.items()}
    return steps | {"the rules of the house": [sys.executable, "tests/house.py"]} | tests


def check():
    "Status: 1 if anything failed."
    until, base = BEGIN + SECONDS, since()
    made, changed = exported(), changed_files(base)
    tested = [file for file in notebooks() if file in changed and "experiments" not in file.parts]
    files = [file for file in by_distance(tested, made) if "experiments" not in file.parts]
    print(f"{len(tested)} notebooks changed since {git('log', '-1', '--format=%h %s', base)[:60]}, "
          f"{len(files) - len(tested)} import what they export", flush=True)
    wanted = commands(files)
    first = [near(file) for file in tested]
    order = list(dict.fromkeys([*first[:2], *wanted]))  # two notebooks, what is in step, the others
    with ThreadPoolExecutor(JOBS) as pool:
        ended = dict(pool.map(lambda name: run(name, wanted[name], until), order))
    late = [name for name, how in ended.items() if how is None]
    if late: print(f"not in this minute ({len(late)}):", ", ".join(late), "(make test runs all)")
    n_passed, n_failed = (list(ended.values()).count(how) for how in (True, False))
    print(f"{n_passed} passed, {n_failed} failed, {len(late)} left out")
    return int(False in ended.values())


if __name__ == "__main__": sys.exit(check())
