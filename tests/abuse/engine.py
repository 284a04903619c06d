"""The grid on two nodes of a Ray cluster, each with two workers, both on this machine and on the loopback alone. The rows
are those of a run without an engine, to the byte; also if the driver is stopped by Ctrl-C or the clock, and if a node
dies in the middle, as a machine without power or as one whose engine alone has gone. No step of training is taken twice
but what a node without power had not yet written down; no evaluation is done twice, though one that was stopped in its
middle begins anew; nothing is lost. What cannot be run is one line before work. Without ray, and in a short trial, only
the lines are tried.

`python -m tests.abuse engine` (some five minutes on two cores that have nothing else to do)."""
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path

import yaml

from gwi import extras, faults
from tests.abuse.system import FETCH, TINY, call, commit, environment, processes, refused
from tests.end_to_end import copy_tree

REPRO = ("-m", "gwi.pipeline", "repro", *TINY)
LIMIT, EPOCHS = 1500, 30  # seconds of a whole pipeline; of a training, some seconds
LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # "0": Ray's nodes are on 127.0.0.1 and cannot be reached from outside
WITHOUT = "import sys; sys.modules['ray'] = None; from gwi.pipeline import __main__ as m; m.main(sys.argv[1:])"
NOTED = """
def _noted(work, name):
    def noting(*words, **options):
        line = name(*words)
        done = work(*words, **options)
        with open(paths.root() / ".cache" / "noted", "a") as file: print(*line, file=file)
        return done
    return noting

"""  # into the copy's package: a line for each step of training, and for each evaluation, that has come to its end
STEPS = '_taken = advance\nadvance = _noted(advance, lambda state, *_: ("step", state.run.name, state.step))\n\n'
EVALUATIONS = 'evaluate = _noted(evaluate, lambda run, protocol, *_: ("evaluation", run.name, protocol))\n\n'


def make_project(copy):
    "A copy with images and a commit: two methods, two seeds, trainings of some seconds that write many checkpoints."
    copy_tree(copy)
    file = copy / "profiles" / "tiny.yaml"
    tiny = yaml.safe_load(file.read_text())
    tiny["train"] |= dict(epochs=EPOCHS)
    tiny["attack"] |= dict(autoattack=[], transfer=[])
    tiny |= dict(stages="together", seeds=[0, 1], machine=dict(checkpoint_minutes=0.01), lowdata=dict(methods=[]),
                 ablation=dict(methods=[], changes={}))
    file.write_text(yaml.safe_dump(tiny))  # few stages, of many runs: a stage's own notebook takes longer than a run
    for module, line in (("train", STEPS), ("evaluate", EVALUATIONS)):
        path = copy / "gwi" / f"{module}.py"
        head, main, tail = path.read_text().rpartition('if __name__ == "__main__"')
        path.write_text(f"{head}{NOTED}{line}{main}{tail}")
    for words in (("-m", "gwi.pipeline", "pipelines", *TINY), ("-m", "gwi.pipeline", "code")):
        status, said = call(copy, *words)
        if status: raise RuntimeError(said)
    status, said = call(copy, "-c", FETCH, GWI_PARAMS="profiles/tiny/params.yaml")
    if status: raise RuntimeError(said)
    commit(copy)


def noted(copy):
    "Line -> how often it was noted."
    file = copy / ".cache" / "noted"
    return Counter(file.read_text().splitlines()) if file.is_file() else Counter()


def rows(copy):
    file = copy / "results" / "tiny" / "rows.csv"
    return file.read_bytes() if file.is_file() else None


def wrong_with(copy, reference, is_powerless=False):
    "What of a finished copy is not as in the reference; None: nothing."
    if rows(copy) != rows(reference): return "other rows"
    found, wanted = noted(copy), noted(reference)
    if found.keys() != wanted.keys(): return f"lost or new: {sorted(found.keys() ^ wanted.keys())[:5]}"
    twice = [line for line, n in found.items() if n > 1]
    if not is_powerless: return f"twice: {twice[:5]}" if twice else None
    anew = [line for line in twice if not line.startswith("step") or line.endswith(" 0")]
    if anew: return f"begun anew: {anew[:5]}"
    if len(twice) > sum(wanted.values()) / 4: return f"{len(twice)} steps twice"


# -- the cluster

@contextlib.contextmanager
def cluster(folder):
    "Two nodes of two workers; what the second one starts has its mark in the environment."
    os.environ |= {LOOPBACK: "0", "RAY_TMPDIR": str(folder), "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0",
                   "RAY_raylet_start_wait_time_s": "300"}
    (folder / "ray").mkdir(exist_ok=True)
    from ray.cluster_utils import Cluster
    with said_to(folder / "said"): nodes = Cluster(initialize_head=True, head_node_args=node_options(""))
    try:
        nodes.mark = str(uuid.uuid4())
        with said_to(folder / "said"): nodes.second = nodes.add_node(**node_options(nodes.mark))
        yield nodes
    finally:
        with said_to(folder / "said"): nodes.shutdown()


def node_options(mark):
    return dict(num_cpus=2, num_gpus=0, include_dashboard=False, object_store_memory=80 << 20, env_vars={"MARK": mark})


@contextlib.contextmanager
def said_to(file):
    "What is said inside goes into a file."
    with file.open("a") as text, contextlib.redirect_stdout(text), contextlib.redirect_stderr(text): yield


def begun(copy, nodes, **more):
    "The pipeline at work on the nodes."
    own = environment(copy, **{LOOPBACK: "0", "GWI_MARK": str(copy)}, **more)
    return subprocess.Popen([sys.executable, *REPRO, "--engine", "ray", "--address", nodes.address], cwd=copy, env=own,
                            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def until_trained_on(copy, node="", seconds=LIMIT):
    "Wait until a training is at work on a node and has written a checkpoint."
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for log in (copy / ".cache" / "engine").glob("*train*-digits-resnet8-*.log"):
            is_there = f"node {node}" in log.read_text()
            name = f"digits{log.stem.rpartition('-digits')[2]}"
            n_steps = sum(line.startswith(f"step {name} ") for line in noted(copy))
            if is_there and n_steps > 20 and list((copy / ".cache").rglob(f"{name}*.safetensors")): return
        time.sleep(0.1)
    raise TimeoutError("no training began")


def until_at_work(copy, node, seconds=LIMIT):
    "Wait until some piece has begun on a node."
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if any(f"node {node}" in log.read_text() for log in (copy / ".cache" / "engine").glob("*.log")): return
        time.sleep(0.1)
    raise TimeoutError("nothing began")


def ended(process):
    said, _ = process.communicate(timeout=LIMIT)
    return process.returncode, said


# -- the cases

def undisturbed(copy, reference, nodes):
    status, said = ended(begun(copy, nodes))
    used = {line.partition(", node ")[2].strip() for log in (copy / ".cache" / "engine").glob("*.log")
            for line in log.read_text().splitlines() if line.startswith("  on ")}
    if status: return f"ended with {status}: {said[-1500:]}"
    return wrong_with(copy, reference) or (None if len(used) == 2 else f"used {len(used)} nodes")


def stopped(copy, reference, nodes):
    "Ctrl-C in the middle: one line, and nobody is left. The time is over in the middle. Then a node's engine dies."
    process = begun(copy, nodes)
    until_trained_on(copy)
    process.send_signal(signal.SIGINT)
    status, said = ended(process)
    if status != faults.INTERRUPTED: return f"ended with {status}: {said[-500:]}"
    if said.count("gwi.pipeline: stopped") != 1 or "Traceback" in said: return f"said {said[-1500:]!r}"
    if left := processes(f"GWI_MARK={copy}"): return f"{len(left)} processes are left"
    status, said = ended(begun(copy, nodes, GWI_UNTIL=str(time.time() + 15)))
    if status != 75: return f"the time was over, and it ended with {status}: {said[-500:]}"
    for log in (copy / ".cache" / "engine").glob("*.log"): log.unlink()
    process = begun(copy, nodes)
    until_at_work(copy, nodes.second.node_id[:6])
    forget(nodes)
    status, said = ended(process)
    return f"ended with {status}: {said[-1500:]}" if status else wrong_with(copy, reference)


def powerless(copy, reference, nodes):
    "All processes of the second node die at once."
    process = begun(copy, nodes)
    until_trained_on(copy, nodes.second.node_id[:6])
    for _ in range(3):
        for pid in processes(f"MARK={nodes.mark}"):
            with contextlib.suppress(ProcessLookupError): os.kill(pid, signal.SIGKILL)
    forget(nodes)
    status, said = ended(process)
    return f"ended with {status}: {said[-1500:]}" if status else wrong_with(copy, reference, is_powerless=True)


def forget(nodes):
    "Kill the engine of the second node."
    with said_to(Path(os.environ["RAY_TMPDIR"]) / "said"): nodes.remove_node(nodes.second, allow_graceful=False)


CASES = (undisturbed, powerless, stopped)


def on_nodes(project, folder):
    "What is wrong with each case."
    reference = folder / "reference"
    shutil.copytree(project, reference)
    status, said = call(reference, *REPRO, "--jobs", "2", seconds=LIMIT)
    if status: return [f"without an engine: ended with {status}: {said[-1500:]}"]
    return [f"{case.__name__}: {wrong}" for case in CASES if (wrong := tried(case, project, folder, reference))]


def tried(case, project, folder, reference):
    "A case on a cluster of its own, in a copy of its own."
    copy, place = folder / case.__name__, Path(tempfile.mkdtemp(prefix="gwi-"))
    shutil.copytree(project, copy)
    try:
        with cluster(place) as nodes: return case(copy, reference, nodes)
    except (TimeoutError, subprocess.TimeoutExpired) as e: return f"hung: {e}"
    finally:
        for pid in processes(f"GWI_MARK={copy}"): os.kill(pid, signal.SIGKILL)
        shutil.rmtree(place, ignore_errors=True)


def lines(copy):
    "What is refused in one line, without any cluster."
    there = ("--engine", "ray", "--address", "127.0.0.1:9")
    yield "ray is missing", lambda: refused(copy, ("-c", WITHOUT, *REPRO[2:], *there), "pip install 'gwi[ray]'")
    yield "an address without an engine", lambda: refused(copy, (*REPRO, *there[2:]), "ENGINE")
    yield "jobs beside an engine", lambda: refused(copy, (*REPRO, *there, "--jobs", "2"), "JOBS")
    if not extras.is_there("ray"): return
    yield "nobody at the address", lambda: refused(copy, (*REPRO, *there), "nobody answers at 127.0.0.1:9")
    yield "no address", lambda: refused(copy, (*REPRO, *there[:2]), "ADDRESS")
    for name, value in (("--cpus", "0"), ("--gpus", "-1"), ("--gpus", "1.5")):
        yield f"{name} {value}", lambda n=name, v=value: refused(copy, (*REPRO, *there, f"{n}={v}"), "of a task")


def lines_of_nodes(copy):
    "What is refused because no node would do."
    place = Path(tempfile.mkdtemp(prefix="gwi-"))
    with cluster(place) as nodes:
        there = (*REPRO, "--engine", "ray", "--address", nodes.address)
        for name, value in (("--gpus", "1"), ("--gpus", "0.5"), ("--cpus", "3")):
            wrong = refused(copy, (*there, name, value), "no node has so many", **{LOOPBACK: "0"})[1]
            if wrong: yield f"{name} {value}: {wrong}"
    shutil.rmtree(place, ignore_errors=True)


def run(share=1.0):
    with tempfile.TemporaryDirectory() as name:
        folder, project = Path(name), Path(name) / "a project"
        make_project(project)
        told = [(title, case()[1]) for title, case in lines(project)]
        faulty = [f"{title}: {wrong}" for title, wrong in told if wrong]
        results = {"refused in a line": (len(told), faulty)}
        if share < 1: return results
        if not extras.is_there("ray"): return results | {"two nodes (no ray: left out)": (0, [])}
        results["refused by the nodes"] = 3, list(lines_of_nodes(project))
        return results | {"two nodes": (len(CASES), on_nodes(project, folder))}
