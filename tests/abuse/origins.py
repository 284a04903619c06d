"""Corrupted sets that were made here, given out for the published ones: renamed, packed, without their notes, with
single pixels changed. None is recorded as official, and no table of theirs bears an official name."""
import json
import os
import random
import shutil
import tarfile
import tempfile
from itertools import product
from pathlib import Path
from unittest import mock

import numpy as np

from gwi.data import corrupted
from gwi.data.catalogue import CATALOGUE
from gwi.data.streaming import Images
from gwi.paths import root
from gwi.report import reading, tables

TITLE = "origins"
NAMES = ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "fog")


def clean(n=24):
    draw = np.random.default_rng(0)
    coarse = draw.integers(0, 256, (n, 8, 8, 3)).repeat(4, 1).repeat(4, 2)
    return Images(coarse.astype(np.uint8), np.arange(n) % 10)


def as_it_is(folder, home): return folder


def without_notes(folder, home):
    (folder / "generated.json").unlink()
    return folder


def renamed(folder, home): return without_notes(folder, home).rename(home / "CIFAR-10-C")


def below(folder, home):
    renamed(folder, home)
    return home


def touched(folder, home):
    "A pixel of an image at a place is another one."
    for file in without_notes(folder, home).glob("*_noise.npy"):
        images = np.load(file)
        images[random.Random(0).randrange(3, 9), 0, 0, 0] ^= 1
        np.save(file, images)
    return folder


def packed(folder, home):
    out = home / "CIFAR-10-C.tar"
    with tarfile.open(out, "w") as tar: tar.add(folder, "CIFAR-10-C")
    shutil.rmtree(folder)
    return out


def padded(folder, home):
    "As long as the official archive, with holes."
    file = packed(folder, home)
    with file.open("r+b") as opened: opened.truncate(CATALOGUE["cifar10"].corrupted.files[0].size)
    return file


def noted(folder, home):
    "With a note that says official."
    without_notes(folder, home)
    (folder / "about.json").write_text(json.dumps(dict(set="official", md5=["56bf5dcef84df0e2308c6dcbcbbd8499"])))
    return folder


WAYS = (as_it_is, without_notes, renamed, below, touched, packed, noted)  # padded: 3 GB are read, in the long run only


def fault(test, name, seed, constants, way): # what is wrong, None for nothing
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        made = corrupted.generate(test.images, test.labels, home / "made", names=[name, "fog"], seed=seed,
                                  constants=constants)
        given = way(made, home)
        asked = dict(names=[name, "fog"], test=test, positions=[1, 2], classes=list("abcdefghij"), path=given)
        what = f"{name}, seed {seed}, {constants}, {way.__name__}"
        try: corrupted.fetch_corrupted("cifar10", home / "out", **asked)
        except ValueError: return None
        except Exception as error: return f"{what}: raw {type(error).__name__}: {error}"
        return f"{what}: taken for a published set ({corrupted.origin(home / 'out')})"


def honest(test): # what is wrong, None for nothing
    "What is not ours is still taken, as unverified; a stand-in as one."
    with tempfile.TemporaryDirectory() as place:
        draw = np.random.default_rng(1)
        for name in NAMES:
            drawn = np.tile(test.images, (5, 1, 1, 1)) // 2 + draw.integers(0, 99, (5 * len(test), 32, 32, 3))
            np.save(Path(place) / f"{name}.npy", drawn.astype(np.uint8))
        np.save(Path(place) / "labels.npy", np.tile(test.labels, 5))
        asked = dict(names=list(NAMES), test=test, positions=[1], classes=list("abcdefghij"), path=place)
        for official, kind in ((True, "unverified"), (False, "stand-in")):
            out = corrupted.fetch_corrupted("cifar10", Path(place) / "out", official=official, **asked)
            if corrupted.origin(out) != kind: return f"another's set is {corrupted.origin(out)}, not {kind}"
            shutil.rmtree(out)


def titles(): # yields what is wrong
    "No table of rows on a regenerated set is listed by a published set's bare name."
    rows = reading.read_rows(root() / "results" / "small").assign(dataset="cifar10", model="resnext29")
    for kind in ("regenerated", "unverified", "stand-in", "official"):
        told = rows.assign(level=rows.level.where(rows.condition != "test set", kind))
        with tempfile.TemporaryDirectory() as place: listed = tables.write_index(told, place).read_text(encoding="utf-8")
        line = next(line for line in listed.splitlines() if line.startswith("| T3a"))
        if ("CIFAR-10-C |" in line) != (kind == "official"): yield f"index.md of a set that is {kind}: {line[:60]}"
        caption = tables.table(told, "corruption").to_markdown().partition("\n")[0]
        said = caption.split("[ ]")[0].replace("in the official layout", "")
        if kind != "official" and ("official" in said or "CIFAR-10-C" in said):
            yield f"caption of a set that is {kind}: {said}"


def run(share=1.0):
    test, wrong, n = clean(), [], 0
    every = list(product(NAMES[:4], range(10), ("cifar", "imagenet"), WAYS))
    with mock.patch.dict(os.environ):
        os.environ.pop("GWI_DATA", None)
        for case in every[::max(1, round(4 / share))]:
            n += 1
            wrong.append(fault(test, *case))
        if share == 1: wrong.append(fault(test, NAMES[0], 0, "cifar", padded))
    wrong += [honest(test), *titles()]
    return n + 6, [line for line in wrong if line]
