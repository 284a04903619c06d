"""The table: kind, cases, what is wrong. `python -m tests.abuse [KIND ...] [--short]`, two kinds at a time."""
import argparse
import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.abuse.trying import tried

KINDS = ("system", "shell", "rows", "parameters", "archives", "folders", "checkpoints", "choices", "names", "origins",
         "deletions")  # the longest first
APART = ("soak", "engine")  # minutes to hours, each by a command of its own: make soak, python -m tests.abuse engine
SHORT = {"parameters": 0.01, "archives": 0.05, "folders": 1, "system": 0.02, "shell": 0.01}  # the others: a tenth
PIECES = {"system": (("kills",), ("interrupts",), ("errors", "system", "twice"))}  # it waits much: three copies at work
WIDTH, AT_ONCE = 30, 2


def pieces(kind, is_short):
    "How a kind is called: as a whole, or in parts that wait beside each other."
    if is_short: return [(kind, SHORT.get(kind, 0.1))]
    return [(kind, 1, part) for part in PIECES.get(kind, ())] or [(kind, 1)]


def all_tried(kinds, is_short):
    "Each piece, in a process of its own, as they end."
    work = [piece for kind in kinds for piece in pieces(kind, is_short)]
    if len(work) == 1:
        yield work[0][0], *tried(*work[0])
        return
    own = dict(mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1)
    with ProcessPoolExecutor(AT_ONCE, **own) as pool:
        running = {pool.submit(tried, *piece): piece[0] for piece in work}
        for future in as_completed(running): yield running[future], *future.result()


def abuse(kinds=KINDS, is_short=False):
    "Print the table; all that is wrong."
    begin, cases, wrong = time.monotonic(), 0, []
    print(f"{'kind':{WIDTH}}  cases  wrong", flush=True)
    for kind, told, seconds in all_tried(kinds, is_short):
        for part, (n, faults) in told.items():
            print(f"{f'{kind}: {part}' if part else kind:{WIDTH}}  {n:5}  {len(faults):5}", flush=True)
            for line in faults[:20]: print(f"  WRONG {line[:300]}", flush=True)
            cases, wrong = cases + n, wrong + faults
        if not is_short: print(f"{'':{WIDTH}}                in {seconds:.0f} s", flush=True)
    used = sum(getattr(resource.getrusage(who), name) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
               for name in ("ru_utime", "ru_stime"))
    print(f"{'all':{WIDTH}}  {cases:5}  {len(wrong):5}  in {time.monotonic() - begin:.0f} s, {used:.0f} s of processors",
          flush=True)
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.abuse")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; default: all of these; "
                        f"only where it is named, for it takes hours: {', '.join(APART)}")
    parser.add_argument("--short", "--few", action="store_true", help="some cases of each kind")
    args = parser.parse_args()
    if unknown := set(args.kinds) - {*KINDS, *APART}:
        parser.error(f"{unknown.pop()!r} is none of {', '.join([*KINDS, *APART])}")
    sys.exit(any(abuse(args.kinds or KINDS, args.short)))
