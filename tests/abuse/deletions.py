"""Folders of somebody's files where a command would write, and names that are the project's own folders: an error, and
every file is still there."""
import os
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import yaml

from gwi import checks, params, paths
from gwi.data import corrupted, datasets, fetch
from gwi.data.streaming import Images
from gwi.pipeline import folder as folders
from gwi.report import robust
from gwi.runs import data_dir
from gwi.tools import standins

TITLE = "deletions"
NAMES = (*checks.NO_PROFILES, "digits-c", "digits-c-regenerated", "_links", "..", ".", "a/b", "/", "~", "$HOME", "-rf", "a b",
         "*", "")
OF_PROFILES = checks.NO_PROFILES[len(checks.OWN_FOLDERS):]  # no other name collides with these
PRECIOUS = {"diary.txt": b"mine", "pictures/a/1.png": b"\x89PNG", "rows.csv": b"x,y\n1,2\n", "train_labels.npy": b"mine"}


def put(folder):
    "Somebody's files."
    for name, content in PRECIOUS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def still(folder): return {n: (folder / n).read_bytes() for n in PRECIOUS if (folder / n).is_file()} == PRECIOUS


def images(): return Images(np.zeros((4, 8, 8, 3), np.uint8), np.arange(4) % 2)


def a_report():
    return robust.Report(pd.DataFrame(columns=robust.COLUMNS), {}, dict(name="x", missing=[], findings=[], classes=[]))


def fetched(out):
    s = params.profile_settings("small")
    fetch.fetch(s.data, out)


def published(out):
    kept = out.parent / "theirs"
    test, draw = Images(np.zeros((4, 32, 32, 3), np.uint8), np.arange(4) % 2), np.random.default_rng(0)
    kept.mkdir()
    np.save(kept / "fog.npy", draw.integers(0, 256, (20, 32, 32, 3)).astype(np.uint8))
    np.save(kept / "labels.npy", np.tile(test.labels, 5))
    corrupted.fetch_corrupted("cifar10", out, names=["fog"], test=test, positions=[0], classes=["a", "b"], path=kept)


WRITERS = dict(
    fetch=fetched, published=published,
    write=lambda out: datasets.write(datasets.Dataset("x", images(), images(), ["a", "b"]), out),
    generate=lambda out: corrupted.generate(images().images, images().labels, out, names=["fog"]),
    standin=lambda out: standins.make("svhn", out), report=lambda out: a_report().save(out))


def written(name, write): # yields what is wrong
    with tempfile.TemporaryDirectory() as place:
        out = put(Path(place) / "out")
        try: write(out)
        except ValueError as error:
            if str(out) not in str(error) and out.name not in str(error): yield f"{name}: does not name {out.name}: {error}"
        except Exception as error: yield f"{name}: raw {type(error).__name__}: {error}"
        else: yield f"{name}: writes over somebody's files"
        if not still(out): yield f"{name}: somebody's files are gone"


def collides(key, name): # yields what is wrong
    "A name that is a folder of the project's, or leads out of its place."
    raw = yaml.safe_load((paths.root() / "params.yaml").read_text(encoding="utf-8"))
    if key == "data.name":
        raw["data"]["name"], raw["part"], raw["stages"]["apart"] = name, "mine", ["mine"]
        raw["corruption"]["set"] = f"{name}-c-regenerated"
    elif key == "part": raw["part"], raw["stages"]["apart"] = name, [name]
    else: raw["profile"] = name
    is_fine = name.startswith("digits-c") or (key != "profile" and name in OF_PROFILES)
    try: params.check(raw)
    except paths.ConfigError as error:
        if is_fine: yield f"{key} {name!r}: refused, {error}"
    except Exception as error: yield f"{key} {name!r}: raw {type(error).__name__}: {error}"
    else:
        if not is_fine: yield f"{key} {name!r}: accepted"


def as_folder(name): # yields what is wrong
    "A report of a folder by that name."
    with tempfile.TemporaryDirectory() as place, mock.patch.dict(os.environ, GWI_ROOT=place):
        mine = put(Path(place) / "data" / "mine")
        try: chosen = folders.profile_name(name, mine)
        except ValueError: return
        if (Path(place) / "data" / chosen).exists(): yield f"NAME={name!r}: the folder data/{chosen} is somebody's"
        if chosen in checks.NO_PROFILES: yield f"NAME={name!r}: a folder of the project's own"


def weights_stay(): # yields what is wrong
    "Data called weights: the next fetch deletes no trained weights."
    s = params.profile_settings("small")
    with tempfile.TemporaryDirectory() as place, mock.patch.dict(os.environ, GWI_ROOT=place):
        for part in ("weights", "digits"):
            told = replace(s, part=part, data=replace(s.data, name="weights"))
            out = data_dir(told)
            put(out)
            try: fetch.fetch(told.data, out)
            except ValueError: pass
            if not still(out): yield f"data.name: weights, part: {part}: what lay there is gone"


def cleaned(): # yields what is wrong
    "`make clean` deletes the data of the profiles alone."
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        shutil.copy(Path(__file__).parents[2] / "Makefile", home)
        (home / "profiles").mkdir()
        (home / "profiles" / "mine.yaml").touch()
        for name in ("small", "mine", "downloads", "holiday 2024"): put(home / "data" / name)
        ended = subprocess.run(["make", "clean"], cwd=home, capture_output=True, text=True)
        if ended.returncode: yield f"make clean: {ended.stderr}"
        there = {file.name for file in (home / "data").iterdir()}
        if there != {"downloads", "holiday 2024"}: yield f"make clean: leaves {sorted(there)}"
        if "holiday 2024" not in ended.stdout: yield "make clean: does not say what is kept"


def run(share=1.0):
    kinds = [written(name, write) for name, write in WRITERS.items()]
    kinds += [collides(key, name) for key in ("profile", "part", "data.name") for name in NAMES]
    kinds += [as_folder(name) for name in (*NAMES, "mine")]
    kinds += [weights_stay(), cleaned()]
    return len(kinds), [line for kind in kinds for line in kind]
