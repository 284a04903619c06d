"""Checkpoints and weights with a bit or a header that is another one: none is used without a word, none ends in a raw
error, and the same command comes to the weights of an undisturbed run."""
import json
import os
import random
import shutil
import struct
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest import mock

import safetensors.torch
import torch

from gwi import checkpoint, params, paths, train
from gwi.data.fetch import fetch
from gwi.runs import data_dir, make_run, weights_path

TITLE = "checkpoints and weights"
FLIPS, EDITS, WEIGHTS = 200, 50, 50
TO_THE_END = 20  # every so many cases the run is trained to its end


def project(folder):
    "A run of a few steps, its data, its checkpoints of steps 3 and 5, and the weights that it ends with."
    for name in ("settings.ini", "params.yaml"): shutil.copy(paths.root() / name, folder)
    shutil.copytree(paths.root() / "profiles", folder / "profiles")
    with mock.patch.dict(os.environ, GWI_ROOT=str(folder)):
        s = params.profile_settings("small")
        s = replace(s, data=replace(s.data, n_train=100, n_test=20), model=replace(s.model, width=0.25),
                    train=replace(s.train, epochs=2, batch=25), inhibition=replace(s.inhibition, start=0.0, period=2))
        dataset, run = fetch(s.data, data_dir(s)), make_run(s, "gwi", 0)
        for step in (3, 5): train.train(run, dataset, stop=step)
        last = checkpoint.checkpoint_path(run)
        files = [file.read_bytes() for file in (last, checkpoint.previous_path(last))]
        train.train(run, dataset)
        return run, dataset, files, weights_path(run).read_bytes()


def flipped(content, draw):
    "One bit of the file, anywhere but most often in the tensors."
    changed = bytearray(content)
    changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def taken_apart(content):
    n, = struct.unpack("<Q", content[:8])
    return json.loads(content[8:8 + n]), content[8 + n:]


def put_together(header, body):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def signed(header, body):
    "With a digest that is right, as somebody who wants to be believed would write."
    meta = {k: v for k, v in header["__metadata__"].items() if k != "digest"}
    tensors = safetensors.torch.load(put_together(header, body))
    return put_together(header | {"__metadata__": meta | {"digest": checkpoint.content_digest(meta, tensors)}}, body)


def edits(content): # yields (name, content)
    "Headers that say something else; most of them with the old digest, and with a new one."
    header, body = taken_apart(content)
    meta, names = header["__metadata__"], [name for name in header if name != "__metadata__"]
    log = json.loads(meta["log"])
    values = dict(
        step=["-1", "999", "0", "1", "4", "6", "8", "9", "", "five", "5.0", "1e0", "null", "9" * 30],
        log=["", "[", "[]", "{}", "null", "[1]", "[{}]", json.dumps(log * 2), json.dumps([log[0] | {"loss": "x"}])],
        where=[], identity=["", "0" * 64, meta["identity"][:-1] + "x"], digest=["", "0" * 64])
    for key, some in values.items():
        for value in [None, *some]:
            changed = {k: v for k, v in meta.items() if k != key} | ({} if value is None else {key: value})
            yield f"{key}={value}", put_together(header | {"__metadata__": changed}, body)
            if (key, value) in (("step", "4"), ("step", "6")): continue  # signed, nothing in it would be wrong
            if key in ("step", "log") or (value is None and key == "where"):
                yield f"{key}={value}, signed", signed(header | {"__metadata__": changed}, body)
    yield "no metadata", put_together({k: header[k] for k in names}, body)
    model = [name for name in names if name.startswith("model/") and len(header[name]["shape"]) == 4]
    first, second = model[:2]
    yield "renamed", signed({k.replace(first, f"{first}x"): v for k, v in header.items()}, body)
    yield "swapped", put_together(header | {first: header[second], second: header[first]}, body)
    turned = header[first] | {"shape": header[first]["shape"][::-1]}
    for name, do in (("turned", put_together), ("turned, signed", signed)): yield name, do(header | {first: turned}, body)
    yield "another type", put_together(header | {first: header[first] | {"dtype": "I32"}}, body)
    yield "another type, signed", signed(header | {first: header[first] | {"dtype": "I32"}}, body)
    yield "unknown type", put_together(header | {first: header[first] | {"dtype": "F33"}}, body)
    for n in (0, 1, 8, 100, len(content) - 1): yield f"cut at {n}", content[:n]
    yield "longer", content + b"\0"
    yield "a list", put_together([], body)
    yield "huge header", struct.pack("<Q", 2**63) + content[8:]


def said(): return Path(os.environ["GWI_LOG"]).read_text(encoding="utf-8")


def faults(project, name, damaged, before, to_the_end): # yields what is wrong
    "Put a damaged checkpoint in place of the last one; before: of the one before it, None for none."
    run, dataset, _, right = project
    train.clear([run])
    checkpoint.checkpoint_path(run).parent.mkdir(parents=True, exist_ok=True)
    checkpoint.checkpoint_path(run).write_bytes(damaged)
    if before: checkpoint.previous_path(checkpoint.checkpoint_path(run)).write_bytes(before)
    Path(os.environ["GWI_LOG"]).write_text("")
    state = train.start(run, dataset)
    train.restore(state)
    if state.step != (3 if before else 0): yield f"{name}: goes on from step {state.step}"
    if "is not used" not in said(): yield f"{name}: nothing is said"
    if ("step 3" if before else "begins anew") not in said(): yield f"{name}: what follows is not said"
    if not to_the_end: return
    train.train(run, dataset)
    if weights_path(run).read_bytes() != right: yield f"{name}: ends in other weights"


def weight_faults(run, content, right): # yields what is wrong
    weights_path(run).write_bytes(content)
    try: checkpoint.load_model(run)
    except ValueError as error:
        named = str(error)
        if str(weights_path(run)) not in named or "train it again" not in named: yield f"weights: {named[:200]}"
    else: yield "weights: another bit is evaluated"
    finally: weights_path(run).write_bytes(right)


def cases(content, share):
    draw = random.Random(0)
    yield from ((f"flip {k}", flipped(content, draw)) for k in range(max(3, round(share * FLIPS))))
    every = list(edits(content))
    yield from every[::max(1, round(1 / share))]


def run(share=1.0):
    wrong, n = [], 0
    with tempfile.TemporaryDirectory() as folder:
        made = project(Path(folder))
        with mock.patch.dict(os.environ, GWI_ROOT=folder), torch.random.fork_rng():
            a_run, _, (last, before), right = made
            for k, (name, damaged) in enumerate(cases(last, share)):
                try: wrong += faults(made, name, damaged, before if k % 4 else None, k % TO_THE_END == 0)
                except Exception as error: wrong.append(f"{name}: raw {type(error).__name__}: {error}")
                n += 1
            draw = random.Random(1)
            for _ in range(max(3, round(share * WEIGHTS))):
                wrong += weight_faults(a_run, flipped(right, draw), right)
                n += 1
    return n, wrong
