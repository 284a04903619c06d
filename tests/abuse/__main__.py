"""The table: kind, cases, what is wrong. `python -m tests.abuse [KIND ...] [--short]`."""
import argparse
import importlib
import os
import sys
import tempfile
import time
from pathlib import Path

KINDS = ("parameters", "archives", "folders", "system", "checkpoints", "choices", "names", "origins", "deletions",
         "rows", "shell")
APART = ("soak",)  # an hour or two: by a command of its own
SHORT = {"parameters": 0.01, "archives": 0.05, "folders": 1, "system": 0.02, "shell": 0.01}  # the others: a tenth
WIDTH = 30


def tried(kind, share):
    "What was tried of a kind -> (cases, what is wrong); its progress lines go into a file of their own."
    module = importlib.import_module(f"{__package__}.{kind}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GWI_LOG"] = str(Path(folder) / "log")
        try: told = module.run(share)
        except Exception as error: return {"": (1, [f"raw {type(error).__name__}: {error}"])}
        finally: os.environ.pop("GWI_LOG")
    return told if isinstance(told, dict) else {"": told}


def abuse(kinds=KINDS, is_short=False):
    "Print the table; all that is wrong."
    begin, cases, wrong = time.monotonic(), 0, []
    print(f"{'kind':{WIDTH}}  cases  wrong", flush=True)
    for kind in kinds:
        for part, (n, faults) in tried(kind, SHORT.get(kind, 0.1) if is_short else 1).items():
            print(f"{f'{kind}: {part}' if part else kind:{WIDTH}}  {n:5}  {len(faults):5}", flush=True)
            for line in faults[:20]: print(f"  WRONG {line[:300]}", flush=True)
            cases, wrong = cases + n, wrong + faults
    print(f"{'all':{WIDTH}}  {cases:5}  {len(wrong):5}  in {time.monotonic() - begin:.0f} s", flush=True)
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.abuse")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; default: all of these; "
                        f"by themselves, for they take hours: {', '.join(APART)}")
    parser.add_argument("--short", "--few", action="store_true", help="some cases of each kind")
    args = parser.parse_args()
    if unknown := set(args.kinds) - {*KINDS, *APART}:
        parser.error(f"{unknown.pop()!r} is none of {', '.join([*KINDS, *APART])}")
    sys.exit(any(abuse(args.kinds or KINDS, args.short)))
