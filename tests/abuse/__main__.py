"""The table: kind, cases, seconds, what is wrong. `python -m tests.abuse [KIND ...] [--share 0.1]`."""
import argparse
import importlib
import os
import sys
import tempfile
import time
from pathlib import Path

KINDS = ("checkpoints", "choices", "names", "origins", "deletions")
WIDTH = max(map(len, KINDS))


def tried(kind, share):
    "(cases, what is wrong) of a kind; its progress lines go into a file of their own."
    module = importlib.import_module(f"{__package__}.{kind}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GWI_LOG"] = str(Path(folder) / "log")
        try: return module.run(share)
        except Exception as error: return 1, [f"raw {type(error).__name__}: {error}"]
        finally: os.environ.pop("GWI_LOG")


def abuse(kinds=KINDS, share=1.0):
    "Kind -> what is wrong with it."
    wrong = {}
    print(f"{'kind':{WIDTH}}  cases  wrong  seconds", flush=True)
    for kind in kinds:
        begin = time.monotonic()
        n, wrong[kind] = tried(kind, share)
        print(f"{kind:{WIDTH}}  {n:5}  {len(wrong[kind]):5}  {time.monotonic() - begin:7.0f}", flush=True)
        for line in wrong[kind][:20]: print(f"  WRONG {line[:300]}", flush=True)
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.abuse")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; default: all")
    parser.add_argument("--share", type=float, default=1.0, help="of the cases, above 0 to 1")
    args = parser.parse_args()
    if unknown := set(args.kinds) - set(KINDS): parser.error(f"{unknown.pop()!r} is none of {', '.join(KINDS)}")
    sys.exit(any(abuse(args.kinds or KINDS, args.share).values()))
