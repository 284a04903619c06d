"""What the regularised step costs on a GPU, and whether its kernels are right there, in at most 100 seconds:

    python tests/gpu_step.py --out folder
    python tests/gpu_step.py --out folder --compile    the loop uncompiled, compiled, with CUDA graphs; minutes

Needs torch, Triton and what `gwi` imports, no notebook tools. A part that fails says so and the others go on.
On a machine without a GPU: --rehearse runs every part with tiny sizes, the kernels in Triton's interpreter."""
import argparse
import contextlib
import csv
import os
import statistics
import sys
import time
import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

BEGIN = time.monotonic()
parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--out", default="gpu-step", help="folder for speed.csv, agreement.csv and summary.md")
parser.add_argument("--seconds", type=float, default=100, help="no new measurement begins after so many")
parser.add_argument("--rehearse", action="store_true", help="on a processor, tiny sizes")
parser.add_argument("--compile", action="store_true", help="measure only the loop under each train.compile")
args = parser.parse_args()
if args.rehearse: os.environ |= dict(TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES="")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch  # noqa: E402

from gwi import compiled, grouping, grouping_kernel, inhibition, kernels, map_kernels  # noqa: E402
from gwi.tools import kernel_checks, measure  # noqa: E402

DEVICE = "cpu" if args.rehearse else "cuda"
OUT = Path(args.out)
WIDE = dict(width=4, stem_stride=1)
CHECKED = [("resnext29", {}, 32), ("resnet20", WIDE, 128)]  # network, its options, samples
MEASURED = [("resnet20", WIDE, 512), ("resnext29", {}, 64), ("resnet18", {}, 512), ("resnet20", WIDE, 256),
            ("resnext29", {}, 128), ("resnet18", {}, 256)]  # network, its options, batch
SWEPT = [(512, 128, 16), (64, 512, 16), (64, 2048, 7)]  # samples, channels, side
GROUPED, SAMPLES = [(128, 16, 6), (512, 16, 6), (2048, 7, 6), (24, 4, 3), (16, 4, 2), (24, 2, 4)], 40
if args.rehearse:
    CHECKED, MEASURED, SWEPT = [("resnet8", {}, 3)], [("resnet8", {}, 4)], [(2, 32, 4)]
    GROUPED, SAMPLES = [(24, 4, 3), (16, 4, 2)], 1


class Report:
    "What was found, written anew after each line, so that what is there when the time is over counts."
    def __init__(self):
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / "errors.txt").unlink(missing_ok=True)
        self.lines, self.failed, self.rows = [], [], {}

    def say(self, text=""):
        print(text, flush=True)
        self.lines.append(text)
        (OUT / "summary.md").write_text("\n".join(self.lines) + "\n", encoding="utf-8")

    def table(self, header):
        "The head of a table; columns after the first are numbers."
        names = header.split(" | ")
        self.say(f"\n| {header} |\n|---|" + "---:|" * (len(names) - 1))

    def add(self, file, rows):
        "Write rows behind those that the file has."
        self.rows.setdefault(file, []).extend(rows)
        with (OUT / file).open("w", newline="", encoding="utf-8") as f:
            writer = csv.DictWriter(f, list(self.rows[file][0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows[file])

    def fail(self, name, error):
        self.failed.append(name)
        with (OUT / "errors.txt").open("a", encoding="utf-8") as f: f.write(f"{name}\n{traceback.format_exc()}\n")
        self.say(f"FAILED {name}: {type(error).__name__}: {str(error).strip().partition(chr(10))[0][:300]}")

    @contextlib.contextmanager
    def part(self, name):
        "One part of the script: a failure is told and forgiven."
        begin = time.monotonic()
        try:
            yield
        except Exception as error: self.fail(name, error)
        print(f"[{name}: {time.monotonic() - begin:.1f} s, {seconds_left():.0f} s left]", flush=True)


report = Report()


def seconds_left(): return args.seconds - (time.monotonic() - BEGIN)


def label(name, options): return name + "".join(f" {key}={value}" for key, value in options.items())


def wait():
    if DEVICE == "cuda": torch.cuda.synchronize()


def milliseconds(work, times=1):
    "Milliseconds of work(), by the device's own clock; the mean of `times` calls in a row."
    wait()
    if DEVICE == "cpu":
        begin = time.perf_counter()
        for _ in range(times): work()
        return 1e3 * (time.perf_counter() - begin) / times
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    for _ in range(times): work()
    last.record()
    last.synchronize()
    return first.elapsed_time(last) / times


# right?

def check_groups():
    def on_device():
        for case in kernel_checks.random_cases(GROUPED, SAMPLES):
            yield kernel_checks.Cases(case.features.to(DEVICE), case.chosen.to(DEVICE), case.snap)
    n, wrong = kernel_checks.agreement(on_device(), 15)
    report.say(f"random samples: {n}, of which {len(wrong)} are grouped otherwise than by torch on this device")
    for line in wrong[:10]: report.say(f"  {line}")


LEARNT = {}


def learnt_features(name, options, n, precision):
    "Features, gradients and groups of a network after a few steps on smooth random images; made once."
    key = label(name, options), n, precision
    if key not in LEARNT: LEARNT[key] = learn(name, options, n, precision)
    return LEARNT[key]


def learn(name, options, n, precision):
    subject = measure.Subject(name, n, precision=precision, **options)
    coarse = torch.rand(n, 3, 6, 6, device=DEVICE)
    smooth = torch.nn.functional.interpolate(coarse, size=32, mode="bilinear")
    subject.images = smooth.contiguous(memory_format=torch.channels_last)
    subject.optimiser.param_groups[0]["lr"] = 0.02
    for _ in range(2 if args.rehearse else 20): measure.update_once(subject, measure.ordinary_loss)
    return measure.analysed(subject)


def check_features():
    report.table("features of | groups | samples that rounding decides otherwise than torch | channels | settled in 15")
    for name, options, n in CHECKED:
        for precision in ("float32", "bfloat16"):
            with report.part(f"groups of {name}, {precision}"):
                features = learnt_features(name, options, n, precision)[0]
                for snap in (True, False): check_rounding(f"{label(name, options)}, {precision}", features, snap)


def check_rounding(what, features, snap):
    samples, channels = kernel_checks.disagreement(features, snap=snap)
    chosen = torch.rand(features.shape[:2], device=DEVICE).argsort(1)[:, :6]
    settled = grouping.group(features, chosen, 6, snap, 15, 1e-4)[1].float().mean().item()
    rule = "snapped" if snap else "plain"
    report.add("agreement.csv", [dict(features=what, rule=rule, samples=len(features), samples_differ=samples,
                                      channels_differ=channels, settled=settled)])
    report.say(f"| {what} | {rule} | {100 * samples:.2f} % | {100 * channels:.3f} % | {100 * settled:.1f} % |")


def check_maps():
    few = kernel_checks.MAP_SHAPES[::4]  # each is translated anew, and time is short
    report.say(f"\nlargest relative differences, random features: {kernel_checks.check_maps(DEVICE, 1e-4, few)}")
    for name, options, n in CHECKED:
        for precision in ("float32", "bfloat16"):
            found = kernel_checks.map_distances(*learnt_features(name, options, n, precision), 6)
            far = ", ".join(f"{what} {distance:.1e}" for what, distance in found.items())
            report.say(f"{label(name, options)}, {precision}: {far}")


def check_graph():
    "Grouping, maps and orthogonality replayed from a CUDA graph give what they give without."
    if DEVICE == "cpu": return report.say("CUDA graph: not on a processor")
    features, grads = torch.randn(2, 32, 128, 16, 16, device=DEVICE)
    chosen = torch.rand(32, 128, device=DEVICE).argsort(1)[:, :6]
    def chain():
        ids = grouping.group(features, chosen, 6, True, 15, 1e-4)[0]
        return ids, inhibition.reversed_maps(features, grads, ids, 6), inhibition.independence(features, ids, 6)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2): right = chain()
    wait()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph): replayed = chain()
    graph.replay()
    wait()
    equal = all(torch.equal(a, b) for a, b in zip(right, replayed))
    report.say(f"CUDA graph of grouping, maps, orthogonality: equal {equal}, {milliseconds(graph.replay, 20):.3f} ms")


# how fast?

def by_torch(work):
    def without():
        with kernels.without_triton(): work()
    return without


def variants_of(subject):
    "name -> (what to call, how often in a row), and the names of those for few rounds."
    steps = {name: partial(measure.update_once, subject, loss) for name, loss in measure.STEPS.items()}
    parts = measure.step_parts(*measure.analysed(subject), subject.n_groups)
    compared = {"gwi step": steps["gwi step"]} | parts
    slow = {f"{name}, torch code": (by_torch(work), 1) for name, work in compared.items()}
    fast = {name: (work, 1) for name, work in steps.items()} | {name: (work, 5) for name, work in parts.items()}
    return fast | slow, set(slow)


def warmed(variants, few):
    "Those that run."
    for name in list(variants):
        try:
            for _ in range(1 if name in few else 2): variants[name][0]()
            wait()
        except Exception as error:
            report.fail(name, error)
            variants.pop(name)
    return variants


def interleaved(variants, few, rounds, most_seconds):
    "All variants in turn, round after round, as long as the time lasts: name -> milliseconds of each round."
    begin, times = time.monotonic(), {}
    variants = warmed(variants, few)
    for k in range(rounds):
        if k and (time.monotonic() - begin > most_seconds or seconds_left() < 0): break
        for name, (work, repeats) in variants.items():
            if name not in few or k < 3: times.setdefault(name, []).append(milliseconds(work, repeats))
    return times


def measure_network(name, options, batch, precision, most_seconds):
    "Steps and parts of one network, kernels and torch code in turn; its rows and its line of the table."
    subject = measure.Subject(name, batch, precision=precision, **options)
    times = interleaved(*variants_of(subject), 2 if args.rehearse else 40, most_seconds)
    what = dict(network=label(name, options), batch=batch, precision=precision)
    ms = {key: statistics.median(of) for key, of in times.items()}
    report.add("speed.csv", [what | dict(what=key, ms=ms[key], std=statistics.pstdev(of), rounds=len(of))
                             for key, of in times.items()])
    def get(key): return ms.get(key, float("nan"))
    parts = ("grouping", "maps", "orthogonality")
    cells = [", ".join(map(str, what.values()))]
    cells += [f"{get(key):.2f}" for key in ("vanilla step", "needed passes", "gwi step", "gwi step, torch code")]
    cells += [f"{get(part):.3f} / {get(f'{part}, torch code'):.2f}" for part in parts]
    cells += [f"{get(key) / get('needed passes'):.3f}" for key in ("gwi step", "gwi step, torch code")]
    cells += [f"{sum(map(get, parts)) / get('vanilla step'):.3f}", f"{1e3 * batch / get('vanilla step'):,.0f}"]
    report.say("| " + " | ".join(cells) + " |")


def measure_all():
    report.table("network, batch, precision | vanilla ms | needed ms | gwi ms | gwi by torch | grouping / by torch"
                 " | maps / by torch | orthogonality / by torch | gwi / needed | by torch / needed"
                 " | three parts / vanilla | images/s vanilla")
    left = [(*network, precision) for network in MEASURED for precision in ("bfloat16", "float32")]
    while left:
        name, options, batch, precision = left.pop(0)
        what = f"{label(name, options)}, {batch}, {precision}"
        if seconds_left() < 5:
            report.say(f"no time for {what}")
            continue
        with report.part(what):
            most_seconds = max(1, 0.6 * (seconds_left() - 8) / (len(left) + 1))
            measure_network(name, options, batch, precision, most_seconds)
        if DEVICE == "cuda": torch.cuda.empty_cache()


def count_all():
    report.table("network | vanilla step | needed passes | gwi step | gwi / needed | grouping | maps and orthogonality")
    for name, options, _ in MEASURED[:1 if args.rehearse else 3]:
        n = measure.operation_counts(measure.Subject(name, 2, **options))
        counts = [n["vanilla step"], n["needed passes"], n["gwi step"], f"{n['gwi step'] / n['needed passes']:.3f}",
                  n["grouping"], n["maps and orthogonality"]]
        report.say(f"| {label(name, options)} | " + " | ".join(map(str, counts)) + " |")


# the fastest blocks?

CHOICES = [dict(), dict(num_stages=3), dict(ROWS=32), dict(num_stages=3, ROWS=32), dict(num_warps=4),
           dict(num_warps=8), dict(num_warps=16), dict(maxnreg=128)]


def same(one, other): return all(torch.allclose(a.float(), b.float(), 1e-4, 1e-6) for a, b in zip(one, other))


def sweep(what, module, name, run):
    "Milliseconds of `run` with other blocks, warps and stages than the usual ones, and whether its result is the same."
    usual, said, right = getattr(module, name), [], None
    for choice in CHOICES[:2] if args.rehearse else CHOICES:
        if seconds_left() < 4: break
        try:
            with mock.patch.object(module, name, lambda *shape, choice=choice: usual(*shape) | choice):
                found = run()
                right = found if right is None else right
                note = "" if same(found, right) else " OTHER RESULT"
                said.append(f"{choice or 'usual'} {milliseconds(run, 1 if args.rehearse else 10):.3f} ms{note}")
        except Exception as error: said.append(f"{choice} {type(error).__name__}")
    report.say(f"{what}: {'; '.join(said)}")


def sweep_all():
    for batch, channels, side in SWEPT:
        features = torch.randn(batch, channels, side, side, device=DEVICE).relu()
        features = features.contiguous(memory_format=torch.channels_last)
        chosen = torch.rand(batch, channels, device=DEVICE).argsort(1)[:, :6]
        ids = chosen.new_zeros(batch, channels) + torch.arange(channels, device=DEVICE) % 6
        points, shape = features.flatten(2), f"{batch} x {channels} x {side} x {side}"
        report.say(f"{shape}: the Gram matrix alone {milliseconds(lambda x=points: x @ x.mT, 10):.3f} ms")
        groups = partial(grouping_kernel.launch_groups, features, chosen, 6, True, 15, 1e-4)
        sweep(f"{shape}, grouping", grouping_kernel, "group_blocks", groups)
        maps = partial(map_kernels.launch_maps, features, features, ids, 6)
        sweep(f"{shape}, maps", map_kernels, "map_blocks", maps)
        sweep(f"{shape}, orthogonality", map_kernels, "map_blocks",
              partial(map_kernels.launch_independence, features, ids, 6))
        rows, mask = points[:, :6].contiguous(), torch.empty_like(features)
        sweep(f"{shape}, mask", map_kernels, "map_blocks",
              lambda rows=rows, ids=ids, mask=mask: [map_kernels.launch_spread(rows, None, ids, mask)])


def compiled_loop(method, choice, steps):
    "Seconds until the first period is over, and images a second afterwards, of the training loop."
    run = measure.bench_run(method, "resnet8" if args.rehearse else "resnet20", 8 if args.rehearse else 512, "bfloat16")
    settings = run.settings
    model = replace(settings.model, **({} if args.rehearse else WIDE))
    run = replace(run, settings=replace(settings, model=model, train=replace(settings.train, compile=choice)))
    begin, loop = time.monotonic(), measure.Loop(run, measure.random_dataset(16 if args.rehearse else 8192))
    for _ in range(6): loop.step()
    wait()
    first = time.monotonic() - begin
    begin = time.monotonic()
    for _ in range(steps): loop.step()
    wait()
    return first, steps * settings.train.batch / (time.monotonic() - begin)


def measure_compiled():
    if args.rehearse: compiled.BACKEND = "aot_eager"  # generates no code
    report.table("method | train.compile | first 6 steps, s | images/s")
    for choice in (False, True, "graphs"):
        for method in ("standard", "gwi"):
            with report.part(f"{method}, compile {choice}"):
                first, rate = compiled_loop(method, choice, 3 if args.rehearse else 60)
                report.say(f"| {method} | {choice} | {first:.1f} | {rate:,.0f} |")


COMPILED = {"the compiled loop": measure_compiled}
PARTS = {"groups of random features": check_groups, "operations": count_all, "speed": measure_all,
         "maps and orthogonality": check_maps, "groups of learnt features": check_features,
         "CUDA graph": check_graph, "blocks, warps, stages": sweep_all}


def main():
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else "a processor"
    version = kernels.triton.__version__ if kernels.triton else f"missing ({kernels.missing})"
    python = sys.version.split()[0]
    report.say(f"# The step on {name}, torch {torch.__version__}, Triton {version}, Python {python}\n")
    torch.set_num_threads(1 if args.rehearse else 8)
    for what, check in (COMPILED if args.compile else PARTS).items():
        with report.part(what): check()
        if what == "groups of learnt features": LEARNT.clear()  # the rest of the memory is for the sweep
    failed = f": {', '.join(report.failed)}" if report.failed else ""
    used = "in use" if kernels.has_kernels() else "NOT in use"
    report.say(f"\nkernels {used}; {len(report.failed)} parts failed{failed}; {time.monotonic() - BEGIN:.0f} s")
    return 1 if report.failed else 0


if __name__ == "__main__": sys.exit(main())
