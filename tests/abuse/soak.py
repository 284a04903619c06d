"""A soak: the grid of `cifar10-cpu` at a tenth of its sizes under `make repro JOBS=2 MINUTES=3`, killed and continued
until it is done: random processes get SIGKILL, once the disk is full, once the clock is set back, once the checkout is
moved. In the end its rows are, byte for byte, those of an undisturbed run, and nobody is left behind.

`python -m tests.abuse soak` is the whole grid, an hour or two on two cores; `--few` a small one, about ten minutes. SEED
repeats a soak: the moments and what is hit are drawn from it. The full disk needs root (a small disk in memory), the
clock a C compiler (clock.c moves the time of day, by LD_PRELOAD, while the command runs; the machine's own clock is left
alone); without them they are left out, and that is said. KEEP=folder keeps both copies."""
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import yaml

from gwi import seal
from tests.abuse.system import IS_ROOT, commit, environment, mounted, processes
from tests.end_to_end import copy_tree, root

PROFILE, DAY = "soak", 86400
DATA = root.parent / "shared" / "data"
COMPILER = shutil.which("cc")
SIZES = {"data": {"n_train": 1000, "n_test": 1000}, "corruption": {"n_images": 200}, "features": {"n_images": 50},
         "attack": {"n_images": 50, "autoattack_images": 5, "seeds": [0]}, "train": {"batch": 32},
         "lowdata": {"seeds": [0]}, "ablation": {"seeds": [0]}, "machine": {"checkpoint_minutes": 0.05}}
FEW = {"data": {"n_train": 300, "n_test": 100}, "train": {"epochs": 3}, "features": {"n_images": 20}, "claims": {},
       "methods": {"plain": ["standard"], "inhibited": ["gwi"]}, "core": ["standard", "gwi"],
       "evaluated": ["standard", "gwi"], "corruption": {"names": ["fog", "gaussian_noise"], "n_images": 50},
       "attack": {"n_images": 10, "pgd": ["3"]}, "lowdata": {"methods": ["gwi"], "shares": [20]},
       "ablation": {"changes": {"n_groups": [2, 6]}}}
MEASURED = ("seconds", "epoch_seconds", "regularised_percent")  # another from time to time
OURS = ("gwi.pipeline: ", "make: ", "Error")
PATIENCE = 240  # seconds beyond MINUTES: what runs ends


def settings(is_few):
    "The profile of the soak: that of cifar10-cpu, with a tenth of its sizes and one seed."
    raw = yaml.safe_load((root / "profiles" / "cifar10-cpu.yaml").read_text())
    if not DATA.is_dir(): raw |= {"data": {"name": "digits", "source": "digits"}, "augment": {"flip": False}}
    for own in [SIZES, FEW] if is_few else [SIZES]:
        for name, keys in own.items(): raw[name] = raw.get(name, {}) | keys if keys and isinstance(keys, dict) else keys
    return raw | {"seeds": [0], "other_seeds": [0]} | ({"tuned": {}} if is_few else {})


def make_project(copy, is_few):
    "A copy of the checkout with the profile, the environment of here, and a commit."
    copy_tree(copy)
    (copy / "profiles" / f"{PROFILE}.yaml").write_text(yaml.safe_dump(settings(is_few), sort_keys=False))
    (copy / ".venv").symlink_to(sys.prefix)
    (copy / ".gitignore").write_text((copy / ".gitignore").read_text() + ".venv\n")
    commit(copy)
    for name in ("requirements.lock", "setup.py", "pyproject.toml", "settings.ini"): os.utime(copy / name, (0, 0))


def words(*more):
    data = [f"DATA={DATA}"] if DATA.is_dir() else []
    return ["make", "repro", f"PROFILE={PROFILE}", "JOBS=2", *data, *more]


def begin(copy, mark, log, *more, **variables):
    "The command, in a group of its own; what it says goes to the end of a file."
    own = environment(copy, MARK=mark, DVC_SITE_CACHE_DIR=str(copy.parent / "site"), **variables)
    with log.open("a") as said:
        return subprocess.Popen(words(*more), cwd=copy, env=own, stdout=said, stderr=said, start_new_session=True)


# -- who is there

def kind(pid):
    "What a process is: make, repro, dvc, stage, kernel, other."
    try: line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError: return "gone"
    for name, sign in (("kernel", "ipykernel_launcher"), ("dvc", "-m dvc"), ("repro", "gwi.pipeline repro"),
                       ("stage", "gwi.pipeline"), ("make", "make ")):
        if sign in line: return name
    return "other"


def kill_one(mark, chance):
    "SIGKILL to a process of a kind drawn at random; what it was."
    found = {}
    for pid in processes(mark): found.setdefault(kind(pid), []).append(pid)
    found.pop("gone", None)
    if not found: return "nobody"
    name = chance.choice(sorted(found))
    pid = chance.choice(sorted(found[name]))
    with contextlib.suppress(ProcessLookupError): os.kill(pid, signal.SIGKILL)
    return f"{name} {pid}"


def settled(mark, seconds):
    "Whether all have ended within some time."
    end = time.monotonic() + seconds
    while found := [pid for pid in processes(mark) if kind(pid) != "gone"]:
        if time.monotonic() > end: return False
        time.sleep(0.5)
    return not found


def send_home(mark):
    "What has survived is asked to end, as somebody does who reads that it is at work; then it is killed."
    for number, seconds in ((signal.SIGTERM, 60), (signal.SIGKILL, 10)):
        if settled(mark, 1): return
        for pid in processes(mark):
            with contextlib.suppress(ProcessLookupError): os.kill(pid, number)
        settled(mark, seconds)


# -- what is done to them

def only_kill(soak, process):
    return kill_one(soak.mark, soak.chance)


def fill_disk(soak, process):
    "Nothing more fits on the disk, until the command has ended; then there is room again."
    disk = soak.copy.parent
    used = os.statvfs(disk)
    room = (used.f_blocks - used.f_bfree) * used.f_frsize // 2**20 + 2
    subprocess.run(["mount", "-o", f"remount,size={room}m", str(disk)], check=True)
    try: process.wait(soak.seconds + PATIENCE)
    except subprocess.TimeoutExpired: pass
    finally: subprocess.run(["mount", "-o", f"remount,size={soak.megabytes}m", str(disk)], check=True)
    return f"the disk ({room} MB full)"


def set_clock_back(soak, process):
    "The clock is a day behind all at once; what runs must still stop in time, and goes on from files of the future."
    soak.clock.write_text(f"-{DAY}\n")
    try: process.wait(soak.seconds + PATIENCE)
    except subprocess.TimeoutExpired:
        soak.wrong.append("the clock was set back, and the command did not stop in time")
        send_home(soak.mark)
    for file in soak.copy.rglob("*"):
        if file.is_symlink() or ".venv" in file.parts or not file.stat().st_mtime: continue
        os.utime(file, (time.time() + DAY, file.stat().st_mtime + DAY))
    return "the clock"


def move(soak, process):
    "Killed, and the checkout is another folder from then on."
    hit = kill_one(soak.mark, soak.chance)
    send_home(soak.mark)
    new = soak.copy.with_name("another place")
    soak.copy.rename(new)
    soak.copy = new
    return f"{hit}, then the checkout"


class Soak:
    "The copy at work, what has been found wrong, and the chances."
    def __init__(self, copy, is_few, megabytes):
        self.copy, self.mark, self.wrong, self.megabytes = copy, str(uuid.uuid4()), [], megabytes
        self.seed = int(os.environ.get("SEED", random.randrange(10**6)))
        self.chance = random.Random(self.seed)
        self.minutes = 1 if is_few else 3
        self.seconds, self.clock, self.log = 60 * self.minutes, copy.parent / "clock", copy.parent / "log"
        self.begin = time.monotonic()
        words = "-shared", "-fPIC", "-O2", "-o", self.clock.with_suffix(".so"), Path(__file__).with_name("clock.c")
        if COMPILER: subprocess.run([COMPILER, *words], check=True)

    def faults(self, n):
        "What is to be done, in this order."
        others = [fill_disk] * bool(self.megabytes) + [set_clock_back] * bool(COMPILER) + [move]
        done = [only_kill] * n
        for work in others: done.insert(self.chance.randrange(1, len(done)), work)
        return done

    def one(self, work=None, after=0.0):
        "The command once, with something done to it after some seconds; its exit status and what it said."
        self.clock.write_text("0\n")
        told = self.log.stat().st_size if self.log.exists() else 0
        faked = {"LD_PRELOAD": str(self.clock.with_suffix(".so")), "CLOCK_SHIFT": str(self.clock)}
        variables = faked if work is set_clock_back else {}
        process, hit = begin(self.copy, self.mark, self.log, f"MINUTES={self.minutes}", **variables), "undisturbed"
        if work:
            with contextlib.suppress(subprocess.TimeoutExpired): process.wait(after)
            is_late = process.poll() is not None
            hit = "had ended" if is_late else work(self, process)
        try: status = process.wait(self.seconds + PATIENCE)
        except subprocess.TimeoutExpired:
            self.wrong.append(f"{hit}: the command was still at work {PATIENCE} s after its time")
            send_home(self.mark)
            status = process.wait()
        with self.log.open(errors="replace") as said:
            said.seek(told)
            return status, hit, said.read()

    def check(self, hit, status, said, survivors):
        "What a run may not say, however it ended."
        if "Traceback" in said: self.wrong.append(f"{hit}: a traceback: {said[said.index('Traceback'):][-600:]}")
        if status and hit == "undisturbed" and "Error 75" not in said and not (survivors and "at work" in said):
            self.wrong.append(f"cannot be continued: {last_words(said)}")


def last_words(said):
    lines = [line for line in said.splitlines() if line.strip() and "make: ***" not in line]
    return " | ".join(line.strip()[:150] for line in lines[-3:])


def unfinished(said, before):
    "The share of the stages that is still to do, by what the command said; what it was before where it said nothing."
    told = [1 - int(k) / int(n) for k, n in re.findall(r"\[(\d+) of (\d+), ", said)]
    return min(told, default=before)


def moment(soak, seconds):
    "When the next one is hit: so that all have their turn before the work is done."
    return soak.chance.uniform(3, max(5, 2 * seconds))


def disturb(soak, n, whole):
    "Kill and go on until the end; how many were killed."
    queue, killed, stopped, left_over = soak.faults(n), 0, 0, 1.0
    print(f"soak: SEED={soak.seed}; one after the other: {', '.join(work.__name__ for work in queue)}", flush=True)
    for k in range(1, 10 * n + 100):
        work = queue.pop(0) if queue else None
        after = moment(soak, 0.7 * whole * left_over / (len(queue) + 1)) if work else 0
        survivors = len(processes(soak.mark))
        status, hit, said = soak.one(work, after)
        if hit in ("had ended", "nobody"): queue.insert(0, work)
        else: killed += bool(work)
        soak.check(hit, status, said, survivors)
        left_over = unfinished(said, left_over)
        left = len(processes(soak.mark))
        print(f"  {k:3}, {time.monotonic() - soak.begin:5.0f} s: hit {hit} after {after:.0f} s, exit status {status}, "
              f"{left} at work; {last_words(said)}", flush=True)
        if not status: break
        stopped = stopped + 1 if hit == "undisturbed" and "Error 75" not in said else 0
        if stopped > 5: break
        if "at work" in said and soak.chance.random() < 0.5: settled(soak.mark, soak.seconds)
        elif "at work" in said: send_home(soak.mark)
    if status: soak.wrong.append(f"not done after {k} commands: {last_words(said)}")
    if queue: soak.wrong.append(f"done before all was tried; left: {', '.join(work.__name__ for work in queue)}")
    return killed


# -- what is left in the end

def compared(one, other):
    "What differs in the results of two checkouts."
    here, there = (copy / "results" / PROFILE for copy in (one, other))
    if not (there / "rows.csv").is_file(): return ["no rows"]
    wrong = [] if (here / "rows.csv").read_bytes() == (there / "rows.csv").read_bytes() else ["rows.csv differs"]
    if origins(here) != origins(there): wrong.append("provenance.jsonl differs in more than times")
    for folder in (here, there): seal.check(folder)
    parts = [file.name for folder in ("data", "results") for file in (other / folder).rglob(".*.part")]
    if parts: wrong.append(f"left half-written: {parts[:5]}")
    tables = [{f.name: f.read_bytes() for f in (folder / "tables").glob("*.csv")} for folder in (here, there)]
    return wrong + ["tables differ"] * (tables[0] != tables[1])


def origins(folder):
    "The provenance without what is measured."
    entries = [json.loads(line) for line in (folder / "provenance.jsonl").read_text().splitlines()]
    return [{key: value for key, value in entry.items() if key not in MEASURED} for entry in entries]


@contextlib.contextmanager
def disk():
    "A folder on a disk of its own, if there may be one -> the folder and its megabytes; else 0."
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "disk"
        place.mkdir()
        if not IS_ROOT:
            yield place, 0
            return
        with mounted(place, "size=6000m"): yield place, 6000


def in_peace(copy, log):
    "The command to its end without any disturbance; the seconds that it took."
    begin_at, mark = time.monotonic(), str(uuid.uuid4())
    status = begin(copy, mark, log).wait()
    if status: sys.exit(f"soak: undisturbed, the command ended with {status}: {log.read_text()[-1500:]}")
    return time.monotonic() - begin_at


def run(share=1.0):
    is_few = share < 1
    n = 4 if is_few else 10
    with disk() as (place, megabytes):
        peace, copy = place / "in peace", place / "a project"
        make_project(peace, is_few)
        shutil.copytree(peace, copy, symlinks=True)
        if not megabytes: print("skipped: the full disk, which needs root", flush=True)
        if not COMPILER: print("skipped: the clock set back, which needs a C compiler (Debian: gcc)", flush=True)
        if not DATA.is_dir(): print("the handwritten digits in place of CIFAR-10: ../shared/data is not there", flush=True)
        whole = in_peace(peace, place / "peace.log")
        print(f"soak: in peace {whole:.0f} s", flush=True)
        soak = Soak(copy, is_few, megabytes)
        killed = disturb(soak, n, whole)
        if not settled(soak.mark, 20):
            soak.wrong.append(f"left behind: {[kind(pid) for pid in processes(soak.mark)]}")
            send_home(soak.mark)
        if kept := os.environ.get("KEEP"): shutil.copytree(place, kept, symlinks=True, dirs_exist_ok=True)
        return {"": (killed, soak.wrong + compared(peace, soak.copy))}
