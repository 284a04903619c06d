"""What stops commands from outside: full and read-only disks, no rights, no git, a checkout of another user, Ctrl-C at
any moment, the same command twice. Each ends in one line, without a traceback, and leaves nobody behind. Killed at any
moment, a command leaves nothing of others changed, and may be given again.

`python tests/abuse/system.py` tries all, in a copy of the project; what needs root is left out without it."""
import contextlib
import errno
import hashlib
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from unittest.mock import patch


from gwi import faults, paths
from tests.abuse.trying import counted
from tests.end_to_end import copy_tree, paint

RUN = "digits-resnet8-gwi-s0"
FETCH = ("from gwi import params; from gwi.data.fetch import fetch; from gwi.runs import data_dir; s = params.load(); "
         "fetch(s.data, data_dir(s))")
TINY = ("--profile", "tiny")
IS_ROOT = not os.geteuid()
WORDS = {"repro": ("-m", "gwi.pipeline", "repro", *TINY), "report": ("-m", "gwi.pipeline", "report", *TINY),
         "stages": ("-m", "gwi.pipeline", "stages", *TINY), "code": ("-m", "gwi.pipeline", "code"),
         "compare": ("-m", "gwi.pipeline", "compare", *TINY), "train": ("-m", "gwi.train", RUN, *TINY, "--fresh"),
         "stage": ("-m", "gwi.pipeline", "train", "gwi", "--params", "profiles/tiny/params.yaml"),
         "report-folder": ("-m", "gwi.pipeline", "report-folder", "--data", "../pets", "--jobs", "1"),
         "pipelines": ("-m", "gwi.pipeline", "pipelines")}
MOMENTS = {"train": 12, "stage": 16, "repro": 20, "report": 4, "stages": 3, "code": 3}  # the last after so many seconds
OWN = ("results/tiny", "results/pets", "profiles/pets", "data/", "dvc.lock", "profiles/tiny/")  # what they may write


def make_project(copy):
    "A copy with images and a commit, whose trainings take a while and write a checkpoint at every step."
    copy_tree(copy)
    tiny = copy / "profiles" / "tiny.yaml"
    text = tiny.read_text().replace("epochs: 2 ", "epochs: 400 ")
    tiny.write_text(text.replace("seeds: [0]\n", "seeds: [0]\nmachine: {checkpoint_minutes: 0.01}\n", 1))
    call(copy, "-m", "gwi.pipeline", "pipelines", *TINY)
    call(copy, "-c", FETCH, GWI_PARAMS="profiles/tiny/params.yaml")
    call(copy, "-m", "gwi.pipeline", "code")
    paint(copy.parent / "pets", 0)
    commit(copy)


def commit(copy):
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], cwd=copy, check=True)


def environment(copy, **more):
    own = {k: v for k, v in os.environ.items() if not k.startswith("GWI_")}
    return own | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "HOME": str(copy.parent)} | more


def call(copy, *words, seconds=200, before=None, **more):
    "The exit status and all that a command says."
    ended = subprocess.run([sys.executable, *words], cwd=copy, env=environment(copy, **more), text=True,
                           timeout=seconds, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=before)
    return ended.returncode, ended.stdout


def unclear(said, status, wanted=(1, 2)):
    "What is wrong with how a command ended; None: nothing."
    if status not in wanted: return f"ended with {status}: {said.strip()[-150:]!r}"
    if "Traceback" in said: return f"a traceback: {said.strip()[-200:]!r}"
    told = [line for line in said.splitlines() if line.startswith("gwi.")]
    if status and len(told) != 1: return f"{len(told)} lines of ours: {said.strip()[-300:]!r}"


# -- the system's errors, put in place of a call

NUMBERS = [getattr(errno, f"E{name}") for name in (
    "NOSPC", "DQUOT", "ROFS", "ACCES", "PERM", "MFILE", "NFILE", "NOMEM", "IO", "NAMETOOLONG", "FBIG", "LOOP", "NOTDIR",
    "ISDIR", "STALE", "NODEV")]
CALLS = ("os.fsync", "pathlib.Path.open", "pathlib.Path.replace", "pathlib.Path.mkdir")


def failing(name, number):
    "A file is written while a call fails: the old one stays, and one line says why."
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "there" / "rows.csv"
        if "mkdir" not in name: paths.atomic_write(file, "old")
        def fail(*_, **__): raise OSError(number, os.strerror(number), str(file))
        said = io.StringIO()
        with contextlib.redirect_stderr(said), patch(name, fail):
            try:
                with faults.command("gwi.x"): paths.atomic_write(file, "new")
            except SystemExit as e: status = e.code
            else: return False, "nothing said"
        text, kept = said.getvalue(), "mkdir" in name or file.read_text() == "old"
        is_line = text.count("\n") == 1 and text.startswith("gwi.x: ") and len(text.split(": ")) > 2
        wrong = None if is_line else f"said {text!r}"
        return status == 2, wrong or (None if kept else "the old file has gone")


def errors(copy):
    for name in CALLS:
        for number in NUMBERS: yield f"{name} {errno.errorcode[number]}", lambda n=name, k=number: failing(n, k)


# -- the system itself

@contextlib.contextmanager
def mounted(place, options):
    "A small disk at a place."
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try: yield
    finally: subprocess.run(["umount", "-l", str(place)], check=True)


def refused(copy, words, *needed, **more):
    "The command says one line, which holds some words."
    status, said = call(copy, *words, **more)
    absent = [f"{word!r} is not in {said.strip()[-300:]!r}" for word in needed if word not in said]
    return status == 2, unclear(said, status) or next(iter(absent), None)


def on_small_disk(copy, where, words, options, *needed):
    with mounted(copy / where, options): return refused(copy, words, *needed)


def as_owner(copy, words, *needed):
    "In a checkout that belongs to another user."
    for path in [copy, *copy.glob(".git"), *copy.glob(".git/*")]: os.chown(path, 12345, 12345)
    try: return refused(copy, words, *needed)
    finally:
        for path in [copy, *copy.glob(".git"), *copy.glob(".git/*")]: os.chown(path, 0, 0)


def without_git(copy, how):
    "Git is missing, has no repository, or no commit."
    if how == "no program":
        with tempfile.TemporaryDirectory() as folder: return refused(copy, WORDS["repro"], "install it", PATH=folder)
    hidden = copy.parent / "hidden"
    (copy / ".git").rename(hidden)
    try:
        if how == "no repository": return refused(copy, WORDS["repro"], "git commit")
        subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
        return refused(copy, WORDS["repro"], "missing: a commit")
    finally:
        shutil.rmtree(copy / ".git", ignore_errors=True)
        hidden.rename(copy / ".git")


def in_the_way(copy, place):
    "A file lies where a folder is wanted."
    path = copy / place
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = path.exists() and path.rename(copy.parent / "kept")
    path.touch()
    try: return refused(copy, WORDS["train"])
    finally:
        path.unlink()
        if kept: (copy.parent / "kept").rename(path)


def limited(copy, kind, value, words):
    import resource
    return refused(copy, words, before=lambda: resource.setrlimit(getattr(resource, kind), (value, value)))


def system(copy):
    for how in ("no program", "no repository", "no commit"): yield f"git: {how}", lambda h=how: without_git(copy, h)
    yield "a file in place of .cache", lambda: in_the_way(copy, ".cache")
    yield "a file in place of the weights", lambda: in_the_way(copy, "data/tiny/weights")
    yield "files of 1 kB at most", lambda: limited(copy, "RLIMIT_FSIZE", 1000, WORDS["train"])
    if not IS_ROOT: return
    yield "another user's checkout", lambda: as_owner(copy, WORDS["repro"], "safe.directory")
    yield "another user's, compared", lambda: as_owner(copy, WORDS["compare"])
    for where, name in ((".cache", "train"), ("results", "repro"), (".cache", "repro")):
        yield f"full {where}, {name}", lambda w=where, n=name: on_small_disk(copy, w, WORDS[n], "size=1m", "make room")
        yield f"read-only {where}, {name}", lambda w=where, n=name: on_small_disk(copy, w, WORDS[n], "ro", "read-only")


# -- Ctrl-C

def processes(mark):
    "The processes that have a mark in their environment."
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (folder / "environ").read_bytes(): found.append(int(folder.name))
    return found


def interrupted(copy, name, seconds, to_group, number=signal.SIGINT):
    "Send a signal after some seconds, to the process or as a terminal does to all of its group."
    mark, before = str(uuid.uuid4()), digest(copy / "params.yaml")
    process = subprocess.Popen([sys.executable, *WORDS[name]], cwd=copy, env=environment(copy, MARK=mark), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    time.sleep(seconds)
    if to_group: os.killpg(process.pid, number)
    else: process.send_signal(number)
    try: said, _ = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        for pid in processes(mark): os.kill(pid, signal.SIGKILL)
        return False, "went on"
    time.sleep(0.5)
    left = processes(mark)
    for pid in left: os.kill(pid, signal.SIGKILL)
    if left: return True, f"{len(left)} processes are left"
    if digest(copy / "params.yaml") != before: return True, "params.yaml is another"
    if number == signal.SIGKILL or not process.returncode: return True, None
    if process.returncode == -number and not said.strip(): return True, None  # before any line of ours had run
    return True, unclear(said, process.returncode, (faults.INTERRUPTED, 2))


def digest(file): return hashlib.sha256(file.read_bytes()).hexdigest()


def interrupts(copy):
    chance = random.Random(0)
    for name, most in MOMENTS.items():
        for k in range(10):
            seconds, group = 0.3 + (k + chance.random()) * most / 10, bool(k % 2)
            title = f"{name}, {seconds:.1f} s{', as a terminal' * group}"
            yield title, lambda n=name, s=seconds, g=group: interrupted(copy, n, s, g)


def killed(copy, name, seconds):
    "Kill the command after some seconds: until then it was at work, and nothing of others is changed."
    mark = str(uuid.uuid4())
    process = subprocess.Popen([sys.executable, *WORDS[name]], cwd=copy, env=environment(copy, MARK=mark), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    for pid in processes(mark):
        with contextlib.suppress(ProcessLookupError): os.kill(pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=60)
    is_early = name == "report" and process.returncode == 2 and "nothing to report" in said  # no training had ended yet
    if process.returncode not in (0, -signal.SIGKILL) and not is_early:
        return True, f"stopped before: {said.strip()[-200:]!r}"
    return True, touched(copy)


def touched(copy):
    "What of others is changed; None: nothing."
    shown = subprocess.run(["git", "status", "--porcelain"], cwd=copy, capture_output=True, text=True, check=True).stdout
    others = [line for line in shown.splitlines() if not line[3:].strip('"').startswith(OWN)]
    return f"changed: {others[:5]}" if others else None


def kills(copy):
    "Each command ten times, and given again each time; what follows must not find itself locked out."
    chance = random.Random(1)
    for name, most in (MOMENTS | {"report-folder": 25, "pipelines": 4}).items():
        for k in range(10):
            seconds = 0.3 + (k + chance.random()) * most / 10
            yield f"{name}, {seconds:.1f} s", lambda n=name, s=seconds: killed(copy, n, s)
    for name in ("stages", "pipelines", "code", "report"):
        wanted = (0, 2) if name == "report" else (0,)  # nothing to report, where no training had come to its end
        yield f"{name}, afterwards", lambda n=name, w=wanted: (True, unclear(*reversed(call(copy, *WORDS[n])), w))


def twice(copy):
    "The same command while one is at work: the second names the first; another profile is not kept waiting."
    def together(name, second, wanted):
        mark = str(uuid.uuid4())
        first = subprocess.Popen([sys.executable, *WORDS[name]], cwd=copy, env=environment(copy, MARK=mark), text=True,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        locks, begin = copy / ".cache" / "locks", time.monotonic()
        while time.monotonic() < begin + 60:
            if any(str(first.pid) in file.read_text() for file in locks.glob("*.lock")): break
            time.sleep(0.1)
        try:
            status, said = call(copy, *second)
            if not wanted: return bool(status), None if not status else f"refused: {said[-200:]}"
            named = None if f"process {first.pid}" in said else f"said {said[-200:]!r}"
            return status == 2, unclear(said, status) or named
        finally:
            first.send_signal(signal.SIGINT)
            first.wait()
    for name in ("train", "repro"): yield name, lambda n=name: together(n, WORDS[n], True)
    yield "report while repro", lambda: together("repro", WORDS["report"], True)
    others = "-m", "gwi.pipeline", "stages", "--profile", "cifar10-cpu"
    yield "stages of another profile", lambda: together("repro", others, False)


def cases(copy, kinds):
    "(kind, name, what is done) of every case."
    for kind in kinds:
        for name, work in kind(copy): yield kind.__name__, name, work


def try_one(name, work):
    try: return work()
    except subprocess.TimeoutExpired as e: return False, f"hung: {e}"


KINDS = (errors, system, twice, interrupts, kills)


def run(share=1.0, only=None): # names of kinds; None: all
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "a project"
        make_project(copy)
        kinds = [kind for kind in KINDS if only is None or kind.__name__ in only]
        return counted(cases(copy, kinds), try_one, share)
