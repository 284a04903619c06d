"""Whatever is chosen by name, misspelt at every place, and one more of each kind: an error before work, or what it
says; never something else."""
import dataclasses
import os
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import yaml

from gwi import attack, augment, corruption, dropping, fields, masks, models, objective, params, paths, train, updating
from gwi.data import known
from gwi.data.fetch import fetch
from gwi.evaluate import evaluate
from gwi.inhibition import GroupWiseInhibition
from gwi.methods import METHODS, Method
from gwi.report import effects, reading
from gwi.runs import data_dir, make_run, parse_run, select, stage_runs
from gwi.settings import SECTIONS

TITLE = "choices"
PARTS = dict(augment=augment.AUGMENTATIONS, mask=masks.MASKS, loss=objective.LOSSES, adversarial=objective.ADVERSARIAL,
             attention=objective.ATTENTION, drop=dropping.DROPS, gradient=updating.GRADIENTS, view=masks.MASKS,
             rival=masks.MASKS)
OF_VIEWS = dict(loss="jensen-shannon", augment="augmix")  # what a method with a view needs
NEEDED = dict(view=OF_VIEWS, rival=OF_VIEWS | dict(view="reversed"))  # part -> other parts
FREE = ("profile", "part", "data.name", "data.path", "data.mirror", "model.weights", "machine.launcher",
        "corruption.path")  # texts that choose nothing; the names among them are checked by other rules
WORDS = ("xyz", "", "None", "Standard", "standard ", "gwi\n", "fog_", "sgd;", "ｓｇｄ")


def refused(what, work, errors=(ValueError,)): # yields what is wrong
    "Whether the work ends with one of our errors."
    try: work()
    except errors as error:
        if not str(error).strip(): yield f"{what}: an error without words"
    except Exception as error: yield f"{what}: raw {type(error).__name__}: {error}"
    else: yield f"{what}: accepted"


def of_parts(): # yields (what, yields of what is wrong)
    "A method with a part that no table has."
    for part in PARTS:
        for word in ("mine", "reverzed", "augmx", "", "Reversed"):
            method = Method("mine", "mine", **NEEDED.get(part, {}) | {part: word})
            with mock.patch.dict(METHODS, mine=method):
                yield f"{part}={word!r}", refused(f"method, {part} {word!r}", lambda: objective.check_parts(["mine"]))


def of_tables():
    "One more of each kind, entered as the tutorial says, is known by its name and by no other."
    for part, table in PARTS.items():
        more = NEEDED.get(part, {})
        with mock.patch.dict(table, mine=next(iter(table.values()))):
            with mock.patch.dict(METHODS, mine=Method("mine", "mine", **more | {part: "mine"})):
                yield f"new {part}", accepted(f"new {part}", lambda: objective.check_parts(["mine"]))
                recorded = METHODS["mine"].recorded()
                if recorded == Method("", "", **more).recorded(): yield part, [f"{part}: recorded as none"]
            with mock.patch.dict(METHODS, mine=Method("mine", "mine", **more | {part: "mnie"})):
                yield f"new {part}", refused(f"new {part}, misspelt", lambda: objective.check_parts(["mine"]))


def accepted(what, work): # yields what is wrong
    try: work()
    except Exception as error: yield f"{what}: {type(error).__name__}: {error}"


def of_settings():
    "A choice that the settings allow and no table has; and one that no setting allows."
    small = params.profile_settings("small")
    for path, choices in objective.CHOICES.items():
        name, key = path.split(".")
        found = fields.choices(SECTIONS[name], key)
        if set(found) != set(choices): yield path, [f"{path}: the settings have {found}, the table {list(choices)}"]
        for method in ("gwi", "standard", "damped-view"):
            told = make_run(replace(small, **{name: replace(getattr(small, name), **{key: "xyz"})}), method, 0)
            yield path, refused(f"{path}, {method}", partial(train.start, told, None))
    listed = [(name, f.name) for name, cls in SECTIONS.items() for f in dataclasses.fields(cls) if fields.choices(cls, f.name)]
    elsewhere = {("data", "source"), ("corruption", "constants")}  # looked up where they are used
    unlisted = [f"{a}.{b}" for a, b in listed if f"{a}.{b}" not in objective.CHOICES and (a, b) not in elsewhere]
    if unlisted: yield "settings", [f"{unlisted}: choices of the settings that no table is held against"]


def leaves(raw, path=()): # yields (path, text)
    if isinstance(raw, dict):
        for key, value in raw.items(): yield from leaves(value, (*path, key))
    elif isinstance(raw, list):
        for k, value in enumerate(raw): yield from leaves(value, (*path, k))
    elif isinstance(raw, str): yield path, raw


def of_params():
    "Every text of params.yaml in turn."
    text = (paths.root() / "params.yaml").read_text(encoding="utf-8")
    for path, _ in leaves(yaml.safe_load(text)):
        if ".".join(map(str, path)) in FREE: continue
        for word in WORDS:
            raw = yaml.safe_load(text)
            place = raw
            for key in path[:-1]: place = place[key]
            place[path[-1]] = word
            yield str(path), refused(f"params.yaml, {path} {word!r}", partial(params.check, raw), paths.ConfigError)


def of_calls():
    "Functions that choose by name."
    small, net, image = params.profile_settings("small"), models.create("resnet8"), np.zeros((1, 8, 8, 3), np.uint8)
    rows = reading.read_rows(paths.root() / "results" / "small")
    calls = dict(
        mask=lambda w: GroupWiseInhibition(net, "stage1", mask=w), layer=lambda w: GroupWiseInhibition(net, w),
        corrupt=lambda w: corruption.corrupt(image, w, 1), create=models.create,
        constants=lambda w: corruption.corrupt(image, "fog", 1, constants=w), parse_run=lambda w: parse_run(w, small),
        select=lambda w: select(w, small), profile=params.profile_settings, known=lambda w: known.identify({}, {}, [], w),
        effects=lambda w: effects.effects(rows, w), library=lambda w: attack.autoattack(
            net, torch.zeros(1, 3, 8, 8), torch.zeros(1, dtype=torch.int64), 0.1, attacks=(w,)),
        protocol=lambda w: evaluate(make_run(small, "gwi", 0), w, None), stage=lambda w: stage_runs(w, "gwi", small))
    for name, call in calls.items():
        for word in ("xyz", "gwi ", "Fog"):
            yield name, refused(f"{name}({word!r})", lambda call=call, word=word: call(word), (ValueError, KeyError))


def hard_mask(layer, draw): return (layer.features < layer.features.mean()).float()


def of_training():
    "A mask of one's own trains otherwise than the published one."
    found = {}
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(METHODS), mock.patch.dict(masks.MASKS):
        for name in ("settings.ini", "params.yaml"): (Path(folder) / name).write_bytes((paths.root() / name).read_bytes())
        s = params.profile_settings("small")
        s = replace(s, data=replace(s.data, n_train=100, n_test=20), train=replace(s.train, batch=25, epochs=1),
                    inhibition=replace(s.inhibition, start=0.0, period=1))
        masks.MASKS["hard"] = hard_mask
        METHODS["gwi-hard"] = Method("gwi-hard", "ours", mask="hard", controls=("gwi",))
        with mock.patch.dict(os.environ, GWI_ROOT=folder):
            dataset = fetch(s.data, data_dir(s))
            for name in ("standard", "gwi", "gwi-hard"):
                state = train.train(make_run(s, name, 0), dataset, stop=3)
                found[name] = torch.cat([p.detach().flatten() for p in state.model.parameters()])
    for other in ("standard", "gwi"):
        yield "a mask of one's own", ["gwi-hard trains as " + other] * torch.equal(found["gwi-hard"], found[other])


def run(share=1.0):
    n, wrong = 0, []
    for kind in (of_parts, of_tables, of_settings, of_calls, of_training, of_params):
        for k, (_, faults) in enumerate(kind()):
            if kind is of_params and k % max(1, round(1 / share)): continue
            n += 1
            wrong += list(faults)
    return n, wrong
