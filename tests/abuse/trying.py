"""Each case is tried in a process that may not hang, fill the memory or end by a raw error; a table counts them."""
import importlib
import os
import re
import signal
import tempfile
import time
from collections import defaultdict
from pathlib import Path

SECONDS, MEGABYTES = 30, 500  # of a case


class TookTooLong(BaseException):
    "Not an Exception, so that nothing takes it for a damaged file."


def _ring(*_): raise TookTooLong(f"more than {SECONDS} s")


def megabytes(what):
    "VmRSS: of this process now; VmHWM: at most, since `forget`."
    return int(re.search(rf"{what}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def forget():
    "Let the most memory be what is taken now, and say how much that is."
    Path("/proc/self/clear_refs").write_text("5")
    return megabytes("VmRSS")


def outcome(work, expected, errors=(ValueError, FileNotFoundError)):
    "Whether `work` refused by one of the errors; what is wrong, None for nothing. expected: REFUSED, FINE, EITHER."
    said, wrong, before, old = None, None, forget(), signal.signal(signal.SIGALRM, _ring)
    signal.alarm(SECONDS)
    try: work()
    except errors as e: said = str(e)
    except BaseException as e: wrong = f"{type(e).__name__}: {str(e)[:200]}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
    if said is not None: wrong = unclear(said)
    if not wrong and (said is None) != (expected == "FINE") and expected != "EITHER":
        wrong = "accepted" if said is None else f"refused: {said[:200]}"
    if (taken := megabytes("VmHWM") - before) > MEGABYTES: wrong = f"took {taken:.0f} MB"
    return said is not None, wrong


def unclear(said):
    "What is wrong with a message; None: nothing."
    if not said.strip() or "\n" in said.strip(): return f"no line of text: {said[:100]!r}"
    if len(said) > 1500: return f"a message of {len(said)} characters"
    try: said.encode()
    except UnicodeEncodeError: return f"a message that cannot be printed: {said[:100]!r}"
    return None


def some(cases, share, at_least=2):
    "A share of the cases, spread over each kind, and of each at least so many."
    seen, due = defaultdict(int), defaultdict(float)
    for case in cases:
        seen[case[0]] += 1
        due[case[0]] += share
        if seen[case[0]] > at_least and due[case[0]] < 1: continue
        due[case[0]] -= due[case[0]] >= 1
        yield case


def counted(cases, try_one, share):
    "Try a share of the (kind, name, …); kind -> (cases, what is wrong with them)."
    tried = defaultdict(list)
    for kind, name, *case in some(cases, share): tried[kind].append((name, try_one(name, *case)[-1]))
    return {kind: (len(ones), [f"{name}: {wrong}" for name, wrong in ones if wrong]) for kind, ones in tried.items()}


def tried(kind, share, *parts):
    "What was tried of a kind -> (cases, what is wrong), and the seconds; its progress lines go into a file of their own."
    begin, module = time.monotonic(), importlib.import_module(f"{__package__}.{kind}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GWI_LOG"] = str(Path(folder) / "log")
        try: told = module.run(share, *parts)
        except Exception as error: told = 1, [f"raw {type(error).__name__}: {error}"]
        finally: os.environ.pop("GWI_LOG")
    return told if isinstance(told, dict) else {"": told}, time.monotonic() - begin
