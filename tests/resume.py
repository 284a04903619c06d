"""What `make test-resume` runs: kill training with SIGKILL at random moments, start it again, and compare the final
weights, byte for byte, with those of an uninterrupted run. A checkpoint is written after every step, so that many kills
fall into a write; every fourth kill waits for one on purpose."""
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

TRIALS, RUNS = 20, ("digits-resnet8-gwi+augmix-s0", "digits-resnet8-gwi+free-s0")
root = Path(__file__).resolve().parent.parent
FETCH = """
from gwi import params
from gwi.data.fetch import fetch
from gwi.runs import data_dir
settings = params.load()
fetch(settings.data, data_dir(settings))
"""


def project(folder):
    "A project of its own: the tiny profile, a checkpoint after every step."
    for name in ("settings.ini", "params.yaml"): shutil.copy(root / name, folder)
    raw = yaml.safe_load((root / "profiles" / "tiny" / "params.yaml").read_text())
    raw["machine"]["checkpoint_minutes"], raw["train"]["epochs"] = 0.0, 12
    raw["methods"] = dict(plain=["standard"], inhibited=["gwi", "gwi+augmix", "gwi+free"])
    raw |= dict(core=["standard", "gwi"], evaluated=["standard", "gwi"])
    raw["stages"] |= dict(raw["methods"], evaluated=raw["evaluated"])
    (folder / "params.yaml").write_text(yaml.safe_dump(raw))
    subprocess.run([sys.executable, "-c", FETCH], env=env(folder), check=True, stderr=subprocess.DEVNULL)


def env(folder):
    return {**os.environ, "GWI_ROOT": str(folder), "GWI_CACHE": str(folder / ".cache"), "OMP_NUM_THREADS": "1"}


def start(folder, run):
    command = [sys.executable, "-m", "gwi.train", run]
    return subprocess.Popen(command, cwd=folder, env=env(folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            text=True)


def finish(folder, run):
    "Train to the end; the seconds, and the bytes of the weights."
    process, begin = start(folder, run), time.time()
    _, errors = process.communicate()
    if process.returncode: sys.exit(f"{run} ended with {process.returncode}: {errors[-500:]}")
    return time.time() - begin, next((folder / "data").rglob(f"{run}.safetensors")).read_bytes()


def kill(folder, run, seconds, in_write):
    "Start, kill at a random moment of the training (or in the middle of writing a checkpoint), and say where it was."
    process, cache = start(folder, run), folder / ".cache" / "tiny"
    while not list(cache.glob("*.safetensors")) and process.poll() is None:
        time.sleep(0.002)  # until the first checkpoint: training has begun
    time.sleep(random.uniform(0, seconds))
    while in_write and process.poll() is None and not list(cache.glob(".*.part")): pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    return process.returncode == -signal.SIGKILL, bool(list(cache.glob(".*.part")))


def trial(k, source, whole, seconds):
    "Kill a run and start it again: whether it ended with the same bytes, and whether it was killed while writing."
    run = RUNS[k % len(RUNS)]
    for earlier in (1, 2, 4, 8):  # a run that had ended before its kill is killed anew, earlier
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            without = shutil.ignore_patterns(".cache", "weights", "results")
            shutil.copytree(source, folder, dirs_exist_ok=True, ignore=without)
            killed, writing = kill(folder, run, seconds[run] / earlier, k % 4 == 0)
            same = killed and finish(folder, run)[1] == whole[run]
        if killed: break
    words = ["killed" if killed else "had ended"]
    if writing: words.append("while writing a checkpoint")
    print(f"{k + 1:2} {run}: {' '.join(words)}, then {'identical' if same else 'DIFFERENT'}", flush=True)
    return same, writing


def main():
    with tempfile.TemporaryDirectory() as name:
        source = Path(name)
        project(source)
        ends = {run: finish(source, run) for run in RUNS}
        whole = {run: content for run, (_, content) in ends.items()}
        # less the start of Python, and early enough to be still running
        seconds = {run: max(0.5, (spent - 4) / 2) for run, (spent, _) in ends.items()}
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda k: trial(k, source, whole, seconds), range(TRIALS)))
    passed, writing = sum(same for same, _ in results), sum(w for _, w in results)
    print(f"{passed} of {TRIALS} passed, {writing} of them killed while a checkpoint was being written")
    sys.exit(passed < TRIALS)


main()
