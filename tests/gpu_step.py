"""What the regularised step costs on a GPU, and whether its kernels are right there, in at most 100 seconds:

    python tests/gpu_step.py --out folder

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
from functools import partial
from pathlib import Path

BEGIN = time.monotonic()
parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--out", default="gpu-step", help="folder for speed.csv, agreement.csv and summary.md")
parser.add_argument("--seconds", type=float, default=100, help="no new measurement begins after so many")
parser.add_argument("--rehearse", action="store_true", help="on a processor, tiny sizes")
args = parser.parse_args()
if args.rehearse: os.environ |= dict(TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES="")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch  # noqa: E402

from gwi import bench, grouping, inhibition, maps  # noqa: E402

DEVICE = "cpu" if args.rehearse else "cuda"
OUT = Path(args.out)
OUT.mkdir(parents=True, exist_ok=True)
(OUT / "errors.txt").unlink(missing_ok=True)
LINES = []  # of the summary
FAILED = []


def seconds_left(): return args.seconds - (time.monotonic() - BEGIN)


def say(text=""):
    "Print a line and keep it for the summary, which is written anew each time: what is there when the time is over counts."
    print(text, flush=True)
    LINES.append(text)
    (OUT / "summary.md").write_text("\n".join(LINES) + "\n", encoding="utf-8")


@contextlib.contextmanager
def part(name):
    "One part of the script: a failure is told and forgiven."
    begin = time.monotonic()
    try: yield
    except Exception as error:
        FAILED.append(name)
        (OUT / "errors.txt").open("a", encoding="utf-8").write(f"{name}\n{traceback.format_exc()}\n")
        say(f"FAILED {name}: {type(error).__name__}: {str(error).strip().splitlines()[0][:300] if str(error).strip() else ''}")
    print(f"[{name}: {time.monotonic() - begin:.1f} s, {seconds_left():.0f} s left]", flush=True)


def wait():
    if DEVICE == "cuda": torch.cuda.synchronize()


def milliseconds(f, times=1):
    "Milliseconds of f(), by the device's own clock; the mean of `times` calls in a row."
    wait()
    if DEVICE == "cpu":
        begin = time.perf_counter()
        for _ in range(times): f()
        return 1e3 * (time.perf_counter() - begin) / times
    first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    first.record()
    for _ in range(times): f()
    last.record()
    last.synchronize()
    return first.elapsed_time(last) / times


def interleaved(variants, few, rounds, few_rounds, most_seconds):
    "All variants in turn, round after round, as long as the time lasts: name -> milliseconds of each round."
    begin, times = time.monotonic(), {name: [] for name in variants}
    for name in list(variants):  # to warm up; one that fails is left out
        try:
            for _ in range(1 if name in few else 2): variants[name][0]()
            wait()
        except Exception as error:
            say(f"FAILED {name}: {type(error).__name__}: {str(error)[:200]}")
            variants.pop(name)
    for r in range(rounds):
        if r and (time.monotonic() - begin > most_seconds or seconds_left() < 0): break
        for name, (f, repeats) in variants.items():
            if name not in few or r < few_rounds: times[name].append(milliseconds(f, 1 if name in few else repeats))
    return {name: v for name, v in times.items() if v}


# -- right?

def on_device(cases):
    for kind, a, init, snap in cases: yield kind, a.to(DEVICE), init.to(DEVICE), snap


def disagreement(name, features, n_groups=6, snap=True, max_iter=15):
    "Kernel against torch on the same features: shares of channels and of samples that differ, on this device and from the processor."
    chosen = torch.rand(features.shape[:2], generator=torch.Generator().manual_seed(1)).argsort(1)[:, :n_groups]
    ids, settled = grouping._launch(features, chosen.to(DEVICE), n_groups, snap, max_iter, 1e-4)
    there = grouping._grouped(features, chosen.to(DEVICE), n_groups, snap, max_iter, 1e-4)[0]
    here = grouping._grouped(features.cpu(), chosen, n_groups, snap, max_iter, 1e-4)[0].to(DEVICE)
    rows = []
    for against, right in (("torch on this device", there), ("torch on the processor", here)):
        channels, samples = (ids != right).float().mean().item(), (ids != right).any(1).float().mean().item()
        rows.append(dict(features=name, snap=snap, against=against, samples=len(ids), samples_differ=samples,
                         channels_differ=channels))
        say(f"| {name} | {'snapped' if snap else 'plain'} | {against} | {len(ids)} | {100 * samples:.2f} % | {100 * channels:.3f} % |")
    say(f"| {name} | {'snapped' if snap else 'plain'} | settled within {max_iter} | {len(ids)} | {100 * settled.float().mean().item():.1f} % |  |")
    return rows


def check_groups():
    small, large = ((24, 4), (16, 4), (24, 2)), () if args.rehearse else ((512, 16), (128, 16), (2048, 7), (128, 16))
    n, wrong = grouping.agreement(on_device(grouping._cases(6 if args.rehearse else 200, large, small)),
                                  15)  # few shapes: each is translated anew
    say(f"random cases: {n}, of which {len(wrong)} differ from torch on this device")
    for line in wrong[:10]: say(f"  {line}")


LEARNED = {}


def learned_features(name, options, n, precision):
    "Features, gradients and groups of a network after a few steps on smooth random pictures; made once."
    key = label(name, options), n, precision
    if key not in LEARNED: LEARNED[key] = learn(name, options, n, precision)
    return LEARNED[key]


def learn(name, options, n, precision):
    s = bench.Subject(name, n, precision=precision, **options)
    smooth = torch.nn.functional.interpolate(torch.rand(n, 3, 6, 6, device=DEVICE), size=32, mode="bilinear")
    s.images = smooth.contiguous(memory_format=torch.channels_last)
    s.optimiser.param_groups[0]["lr"] = 0.02
    for _ in range(2 if args.rehearse else 20): s.step(s.plain)
    return s.seen()


def check_features():
    say("\n| features | rule | against | samples | samples that differ | channels that differ |\n|---|---|---|---:|---:|---:|")
    rows = []
    for name, options, n in NETWORKS_TO_CHECK:
        for precision in ("float32", "bfloat16"):
            with part(f"features of {name}, {precision}"):
                features = learned_features(name, options, n, precision)[0]
                for snap in (True, False): rows += disagreement(f"{name}, {precision}", features, snap=snap)
    write("agreement.csv", rows)


def check_maps():
    "The one-launch maps and orthogonality against torch, largest difference relative to the largest value."
    for name, options, n in NETWORKS_TO_CHECK:
        for precision in ("float32", "bfloat16"):
            features, grads, ids = learned_features(name, options, n, precision)
            M, I = inhibition.launch_maps(features, grads, ids, 6)
            right = inhibition._weigh(features, grads, ids, 6)
            R = inhibition.reverse(*right)
            mask, there = inhibition.launch_spread(R.flatten(2), None, ids,
                                                   torch.empty_like(features)), inhibition._gathered(R.to(features.dtype).flatten(2), ids, features)
            values, slopes = inhibition.launch_independence(features, ids, 6)
            x = features.detach().clone().requires_grad_()
            loss = inhibition._orthogonality(x, ids, 6)
            loss.backward()
            given = inhibition.launch_spread(slopes, torch.full((len(ids),), 1 / len(ids), device=DEVICE), ids,
                                             torch.empty_like(features))
            far = lambda a, b: ((a.float() - b.float()).abs().max() / b.float().abs().max().clamp(min=1e-30)).item()
            say(f"{name}, {precision}: maps {far(M, right[0]):.1e}, importance {far(I, right[1]):.1e}, mask equal {torch.equal(mask, there)}, layout {mask.stride() == features.stride()}, "
                f"orthogonality {far(values.mean(), loss):.1e}, its slope {far(given, x.grad):.1e}")


def check_graph():
    "Grouping, maps and orthogonality replayed from a CUDA graph give what they give without."
    if DEVICE == "cpu": return say("CUDA graph: not on a processor")
    features, grads = torch.randn(2, 32, 128, 16, 16, device=DEVICE)
    chosen = torch.rand(32, 128, device=DEVICE).argsort(1)[:, :6]
    def chain():
        ids = inhibition.group(features, chosen, 6, True, 15, 1e-4)[0]
        return ids, inhibition.reversed_maps(features, grads, ids, 6), inhibition.independence(features, ids, 6)[0]
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(2): right = chain()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph): replayed = chain()
    graph.replay()
    torch.cuda.synchronize()
    say(f"CUDA graph of grouping, maps and orthogonality: equal {all(torch.equal(a, b) for a, b in zip(right, replayed))}, {milliseconds(graph.replay, 20):.3f} ms a replay")


# -- how fast?

def torch_only(f):
    def wrapped():
        with grouping.without_triton(): f()
    return wrapped


def measure(name, options, batch, precision, most_seconds):
    "Steps and parts of one network, kernels and torch code in turn."
    s = bench.Subject(name, batch, precision=precision, **options)
    steps = {"vanilla step": s.plain, "needed passes": s.needed, "gwi step": s.ours}
    variants = {what: (partial(s.step, loss), 1) for what, loss in steps.items()}
    alone = bench.parts(*s.seen(), s.n_groups)
    variants |= {what: (f, 5) for what, f in alone.items()}
    few = {f"{what}, torch code": (torch_only(f), 1) for what,
           f in ({"gwi step": partial(s.step, s.ours)} | alone).items()}
    times = interleaved(variants | few, set(few), 3 if args.rehearse else 40, 3, most_seconds)
    shape = "x".join(map(str, s.seen()[0].shape[1:]))
    return [dict(network=label(name, options), batch=batch, precision=precision, features=shape, what=what,
                 ms=statistics.median(v),
                 std=statistics.stdev(v) if len(v) > 1 else "", rounds=len(v), images_per_s=batch / statistics.median(v) * 1e3 if "step" in what else "") for what, v in times.items()]


def label(name, options): return name + "".join(f" {k}={v}" for k, v in options.items())


def ratios(rows):
    "The line of one network in the summary."
    ms = {r["what"]: r["ms"] for r in rows}
    get = lambda what: ms.get(what, float("nan"))
    three = ("grouping", "maps", "orthogonality")
    r = rows[0]
    return (f"| {r['network']} | {r['batch']} | {r['precision']} | {get('vanilla step'):.2f} | {get('needed passes'):.2f} | {get('gwi step'):.2f} | {get('gwi step, torch code'):.2f} | "
            + " | ".join(f"{get(t):.3f} / {get(t + ', torch code'):.2f}" for t in three)
            + f" | {get('gwi step') / get('needed passes'):.3f} | {get('gwi step, torch code') / get('needed passes'):.3f} | {sum(map(get, three)) / get('vanilla step'):.3f} | {1e3 * r['batch'] / get('vanilla step'):,.0f} |")


def write(name, rows):
    if not rows: return
    with (OUT / name).open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def measure_all():
    say("\n| network | batch | precision | vanilla ms | needed ms | gwi ms | gwi, torch code | grouping / torch | maps / torch | orthogonality / torch | gwi / needed | torch code / needed | three parts / vanilla | images/s vanilla |")
    say("|---|---:|---|" + "---:|" * 11)
    rows, left = [], list(TO_MEASURE)
    while left:
        name, options, batch, precision = left.pop(0)
        if seconds_left() < 5:
            say(f"no time for {label(name, options)}, {batch}, {precision}")
            continue
        with part(f"{label(name, options)}, {batch}, {precision}"):
            new = measure(name, options, batch, precision, max(1, 0.6 * (seconds_left() - 8) / (len(left) + 1)))
            rows += new
            say(ratios(new))
        write("speed.csv", rows)
        if DEVICE == "cuda": torch.cuda.empty_cache()


CHOICES = [dict(), dict(num_stages=3), dict(num_stages=3, ROWS=32), dict(num_warps=4), dict(num_warps=8),
           dict(num_warps=8, num_stages=3), dict(num_warps=8, num_stages=3, ROWS=32), dict(num_warps=16, num_stages=3)]


def sweep(what, module, name, run):
    "Milliseconds of `run` with other blocks, warps and stages than the usual ones, and whether its result is the same."
    usual, said, right = getattr(module, name), [], None
    for choice in CHOICES[:3] if args.rehearse else CHOICES:
        if seconds_left() < 4: break
        setattr(module, name, lambda *shape: usual(*shape) | choice)
        try:
            found = run()
            right = found if right is None else right
            said.append(f"{choice or 'usual'} {milliseconds(run, 1 if args.rehearse else 10):.3f} ms{'' if all(torch.allclose(a.float(), b.float(), rtol=1e-4, atol=1e-6) for a, b in zip(found, right)) else ' OTHER RESULT'}")
        except Exception as error: said.append(f"{choice} {type(error).__name__}")
        finally: setattr(module, name, usual)
    say(f"{what}: {'; '.join(said)}")


def sweep_all():
    "Are the chosen blocks, warps and stages the fastest?"
    for batch, channels, side in ((2, 32, 4),) if args.rehearse else ((512, 128, 16), (64, 512, 16), (64, 2048, 7)):
        features = torch.randn(batch, channels, side, side,
                               device=DEVICE).relu().contiguous(memory_format=torch.channels_last)
        chosen = torch.rand(batch, channels, device=DEVICE).argsort(1)[:, :6]
        ids, x, shape = chosen.new_zeros(batch, channels) + torch.arange(channels,
                                                                         device=DEVICE) % 6, features.flatten(2), f"{batch} x {channels} x {side} x {side}"
        say(f"{shape}: the Gram matrix alone {milliseconds(lambda: x @ x.mT, 10):.3f} ms")
        sweep(f"{shape}, grouping", grouping, "_blocks", lambda: grouping._launch(features, chosen, 6, True, 15, 1e-4))
        sweep(f"{shape}, maps", maps, "_options", lambda: maps.launch_maps(features, features, ids, 6))
        sweep(f"{shape}, orthogonality", maps, "_options", lambda: maps.launch_independence(features, ids, 6))
        sweep(f"{shape}, mask", maps, "_options",
              lambda: [maps.launch_spread(features[:, :6].contiguous().flatten(2), None, ids,
                                          torch.empty_like(features))])


def main():
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else "processor"
    version = grouping.triton.__version__ if grouping.triton else "missing"
    say(f"# Step on {name}, torch {torch.__version__}, Triton {version}, Python {sys.version.split()[0]}\n")
    torch.set_num_threads(1 if args.rehearse else 8)
    with part("groups of random features"): check_groups()
    with part("groups of real features"): check_features()
    with part("maps and orthogonality"): check_maps()
    LEARNED.clear()
    with part("speed"): measure_all()
    with part("CUDA graph"): check_graph()
    with part("blocks, warps, stages"): sweep_all()
    say(f"\nkernels {'in use' if grouping.has_kernels() else 'NOT in use'}; {len(FAILED)} parts failed{': ' + ', '.join(FAILED) if FAILED else ''}; {time.monotonic() - BEGIN:.0f} s")


WIDE = dict(width=4, stem_stride=1)
if args.rehearse:
    NETWORKS_TO_CHECK = [("resnet8", {}, 3)]
    TO_MEASURE = [("resnet8", {}, 4, "float32"), ("resnet8", {}, 4, "bfloat16")]
else:
    NETWORKS_TO_CHECK = [("resnext29", {}, 32), ("resnet20", WIDE, 128)]
    TO_MEASURE = [(name, options, batch, precision) for name, options,
                  batches in (("resnet20", WIDE, (512,)), ("resnext29", {}, (64,)), ("resnet18", {}, (512,)),
                              ("resnet20", WIDE, (256,)),
                                                                                    ("resnext29", {},
                                                                                     (128,)), ("resnet18", {}, (256,)))
                  for batch in batches for precision in ("bfloat16", "float32")]

if __name__ == "__main__": main()
