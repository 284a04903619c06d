"""Parameter files that somebody might write: each is refused in one sentence, or means what it says.

`python tests/abuse/parameters.py` tries all; the table says of each kind how many files there are, how many are
refused, and what went wrong."""
import copy
import dataclasses
import math
import random
import tempfile
import time
from pathlib import Path

import yaml

from gwi import params, paths

BASE = yaml.safe_load((paths.root() / "params.yaml").read_text(encoding="utf-8"))
FREE_TEXT = ("path", "mirror", "weights", "launcher")  # may be long, up to 1,000 characters
WRONG = "REFUSED", "EITHER", "FINE"  # what is expected


def leaves(raw, path=()):
    "(path, value) of everything that is no mapping; of lists also the items."
    for key, value in raw.items() if isinstance(raw, dict) else enumerate(raw):
        if isinstance(value, dict): yield from leaves(value, (*path, key))
        else: yield (*path, key), value
        if isinstance(value, list): yield from leaves(value, (*path, key))


def keys(raw, path=()):
    "The path of every key."
    for key, value in raw.items():
        yield (*path, key)
        if isinstance(value, dict): yield from keys(value, (*path, key))


def with_value(path, value):
    "The settings with another value at a path."
    raw = copy.deepcopy(BASE)
    place = raw
    for part in path[:-1]: place = place[part]
    place[path[-1]] = value
    return raw


def without(path):
    raw = copy.deepcopy(BASE)
    place = raw
    for part in path[:-1]: place = place[part]
    del place[path[-1]]
    return raw


class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):
    def ignore_aliases(self, data): return True


def dumped(raw): return yaml.dump(raw, Dumper=Dumper, sort_keys=False, width=10_000)


def is_number(value): return isinstance(value, int | float) and not isinstance(value, bool)


def beyond():
    "Numbers that no setting can have."
    for path, value in leaves(BASE):
        if not is_number(value): continue
        for number in (".inf", "-.inf", ".nan", str(10**30), str(-10**30), "1.0e+300", "-1.0e+300", "9" * 5000):
            yield dumped(with_value(path, "@")).replace("'@'", number), "REFUSED"


def other_types():
    "Values of another type."
    for number, (path, value) in enumerate(leaves(BASE)):
        others = (None, "", "text", True, 3, 1.5, [], [1], {"a": 1}, [[["a"]]], {"a": {"b": []}})
        for other in others[number % 3::3]:
            if type(other) is type(value): continue
            nests = isinstance(other, dict) or other == [[["a"]]]
            yield dumped(with_value(path, other)), "REFUSED" if nests else "EITHER"


def misspelt():
    "Keys with a letter too few, too many, or out of order."
    chance = random.Random(0)
    for path in keys(BASE):
        if path[0] in ("tuned", "claims", "ablation") and len(path) > 2: continue
        key, k = path[-1], chance.randrange(1, len(path[-1]))
        for wrong in (key[:k] + key[k + 1:], key[:k] + key[k] + key[k:], key + "s", key.upper(), f" {key}_"):
            raw = without(path)
            place = raw
            for part in path[:-1]: place = place[part]
            place[wrong] = BASE[path[0]] if len(path) == 1 else BASE[path[0]][key]
            yield dumped(raw), "REFUSED"


def missing():
    for path in keys(BASE):
        if path[0] in ("ablation",) and len(path) > 2: continue
        yield dumped(without(path)), "REFUSED"


def twice():
    "Every key once more, in block and in flow style."
    lines = dumped(BASE).splitlines()
    for k, line in enumerate(lines):
        if line.lstrip().startswith("-") or ":" not in line: continue
        indent, below = len(line) - len(line.lstrip()), k + 1
        while below < len(lines) and len(lines[below]) - len(lines[below].lstrip()) > indent: below += 1
        while below < len(lines) and lines[below].lstrip().startswith("-"): below += 1
        yield "\n".join([*lines[:below], *lines[k:below], *lines[below:]]), "REFUSED"
    for section in (key for key, value in BASE.items() if isinstance(value, dict)):
        flow = yaml.dump(BASE[section], Dumper=Dumper, default_flow_style=True, width=10_000).strip()
        raw = BASE | {section: "@"}
        twin = f"{flow[:-1]}{', ' if flow != '{}' else 'x: 1, x: '}{flow[1:] if flow != '{}' else '1}'}"
        yield dumped(raw).replace("'@'", twin), "REFUSED"


def long_texts():
    for path, value in leaves(BASE):
        if not isinstance(value, str) and path[-1] not in FREE_TEXT: continue
        for length in (300, 5000, 100_000):
            if path[-1] in FREE_TEXT and length == 300: continue
            yield dumped(with_value(path, "a" * length)), "REFUSED"
    for path, value in leaves(BASE):
        if isinstance(value, list): yield dumped(with_value(path, list(range(5000)))), "REFUSED"


def bytes_amiss():
    "Files that are not UTF-8, or hold what YAML may not."
    chance, text = random.Random(1), dumped(BASE).encode()
    for _ in range(60):
        k = chance.randrange(len(text))
        for amiss in (b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\0", b"\x07"): yield text[:k] + amiss + text[k:], "REFUSED"
    for encoding in ("utf-16", "utf-32", "utf-16-be"): yield text.decode().encode(encoding), "REFUSED"
    yield ("# é\n" + text.decode()).encode("latin-1"), "REFUSED"
    yield b"", "REFUSED"
    yield b" " * 2_000_000, "REFUSED"


def traps():
    "What unfolds, contains itself, or asks for an object."
    all_traps = ("&x [*x]", "&x {a: *x}", "!!python/object/apply:os.system [ls]", "!!python/name:os.system ''",
                 "!mine 1", "!!set {a, b}", "!!binary aGk=", "!!timestamp 2024-01-01", "[" * 60 + "]" * 60,
                 "{a: " * 60 + "1" + "}" * 60)
    for number, (path, _) in enumerate(leaves(BASE)):
        if any(isinstance(part, int) for part in path): continue
        for trap in all_traps[number % 3::3]:
            yield dumped(with_value(path, "@")).replace("'@'", trap), "REFUSED"
    laughs = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    laughs += [f"a{k}: &a{k} [{', '.join(9 * [f'*a{k - 1}'])}]" for k in range(1, 30)]
    for depth in (5, 10, 30): yield "\n".join(laughs[:depth]) + "\n" + dumped(BASE), "REFUSED"
    for deep in (100, 10_000, 300_000): yield "a: " + "[" * deep, "REFUSED"


def not_decimal():
    "Numbers that YAML 1.1 and 1.2 read differently."
    for path, value in leaves(BASE):
        if type(value) is not int: continue
        for number in ("010", "0x10", "1:30", "1_000", "0b11", "1e1", "1.0"):
            yield dumped(with_value(path, "@")).replace("'@'", number), "REFUSED"


def seeds():
    for path, value in leaves(BASE):
        if "seed" not in str(path[-1]) and not (len(path) > 1 and "seeds" in str(path[-2])): continue
        for seed in (-1, -10**9, 2**32, 2**64, 2**200):
            yield dumped(with_value(path, [seed] if isinstance(value, list) else seed)), "REFUSED"


def together():
    "Settings that cannot be together."
    for section, changes in (
        ("train", dict(momentum=0.0, nesterov=True)), ("train", dict(batch=2000)), ("train", dict(batch=60_000)),
        ("data", dict(n_train=20)), ("data", dict(n_train=10**6)), ("data", dict(n_test=10**6)),
        ("train", dict(peak=0.2)),
        ("data", dict(held_out=True)), ("data", dict(official=False)), ("data", dict(streamed=True)),
        ("augment", dict(crop_scale=0.5)), ("corruption", dict(path="official")), ("corruption", dict(set="digits-c")),
        ("attack", dict(autoattack_images=101)), ("stages", dict(plain=[])), ("model", dict(name="torchvision:../x")),
        ("machine", dict(launcher="torchrun")), ("inhibition", dict(layer="stage2+stage2")),
    ):
        raw = copy.deepcopy(BASE)
        raw[section] |= changes
        if changes == dict(launcher="torchrun"): raw["train"]["compile"] = True
        yield dumped(raw), "REFUSED"


def claimed():
    "Claims about what is not measured, or nothing at all."
    arms = ("gwi", "standard", "gwi n_groups=1", "cutout", "gwy", "gwi n_groups=5", "gwi  ", "", "gwi n_groups", "*")
    measures = ("corruption mCE", "clean clean", "attack fgsm 8", "attack fgsm 3", "corruption mce", "clean", "speed x",
                "features effective_rank", "corruption fog 3", "clean clean - ece", "attack pgd20 8 error x", "")
    chance = random.Random(2)
    for _ in range(250):
        arm, other, measure = chance.choice(arms), chance.choice(arms), chance.choice(measures)
        sentence = f"{arm} {chance.choice(['<', '>', '<=', '==', '=<', 'vs'])} {other} on {measure}"
        raw = copy.deepcopy(BASE)
        raw["claims"][chance.choice(["primary", "secondary", "tuned"])] = chance.choice(
            [{"a": sentence}, {"a": [sentence]}, {"z": sentence}, {1: sentence}, {"a": None}, [sentence], sentence])
        yield dumped(raw), "EITHER"


def cut_and_flipped():
    "A file cut off, a character changed, a line lost."
    chance, text = random.Random(3), dumped(BASE)
    lines = text.splitlines()
    for _ in range(150):
        k = chance.randrange(len(text))
        yield text[:k], "EITHER"
        yield text[:k] + chance.choice("abc019-:[]{}#&*!|>'\"%@`?, \t\n") + text[k + 1:], "EITHER"
        line = chance.randrange(len(lines))
        yield "\n".join(lines[:line] + lines[line + 1:]), "EITHER"


def other_documents():
    for text in ("[]", "1", "text", "null", "- a\n- b", "a: 1\n--- \nb: 2", "? [a]\n: b", "<<: {profile: x}",
                 "%YAML 9.9\n---\na: 1", "{profile: x", "\t", "&a", "*a", "!", ": :", "- - - -",
                 "profile: small\n<<: [1]"):
        yield text, "REFUSED"


def sound():
    "Files that are right stay right."
    yield (paths.root() / "params.yaml").read_text(encoding="utf-8"), "FINE"
    yield dumped(BASE), "FINE"
    yield dumped(with_value(("train", "lr"), "1e-3")), "FINE"
    yield "<<: {}\n" + dumped(BASE), "FINE"


KINDS = (beyond, other_types, misspelt, missing, twice, long_texts, bytes_amiss, traps, not_decimal, seeds, together,
         claimed, cut_and_flipped, other_documents, sound)


def cases():
    "(kind, content, expected) of every file."
    for kind in KINDS:
        for content, expected in kind():
            yield kind.__name__, content if isinstance(content, bytes) else content.encode(), expected


def absurd(settings):
    "What is wrong with settings that were accepted; None: nothing."
    for path, value in leaves(dataclasses.asdict(settings)):
        where = ".".join(map(str, path))
        if is_number(value) and not (math.isfinite(value) and abs(value) <= 2**32): return f"{where} is {value}"
        if isinstance(value, str | list) and len(value) > 1000: return f"{where} is {len(value)} long"
    n = settings.data.n_train or 1438
    if settings.data.source == "digits" and settings.train.batch > n: return "train.batch is above the images"
    if params.check(dataclasses.asdict(settings)) != settings: return "read again it is another"


def fault(file, expected):
    "What went wrong with a file; None: nothing."
    begin, said, wrong = time.monotonic(), None, None
    try: settings = params.load(file)
    except paths.ConfigError as e: said = str(e)
    except BaseException as e: wrong = f"{type(e).__name__}: {str(e)[:100]}"
    if said is not None and ("\n" in said or len(said) > 1500): wrong = f"the message is long: {said[:100]!r}"
    if said is None and not wrong:
        wrong = "accepted" if expected == "REFUSED" else absurd(settings)
    if said is not None and expected == "FINE": wrong = f"refused: {said[:100]}"
    if time.monotonic() - begin > 5: wrong = f"took {time.monotonic() - begin:.1f} s"
    return wrong


def run(share=1.0):
    "Try a share of the files, of each kind at least some; kind -> (files, what is wrong)."
    tried, chance = {kind.__name__: (0, []) for kind in KINDS}, random.Random(4)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "params.yaml"
        for kind, content, expected in cases():
            n, wrong = tried[kind]
            if n >= 4 and chance.random() > share: continue
            file.write_bytes(content)
            what = fault(file, expected)
            if what: wrong.append(f"{what}: {content[-120:]!r}")
            tried[kind] = n + 1, wrong
    return tried
