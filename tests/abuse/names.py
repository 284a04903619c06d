"""Names of classes that mean something elsewhere, through all that a report of a folder writes, without a training.

Rows of the profile small get these classes; tables, figures and the page are made of them and read back: each name
must come out as it went in, in its place."""
import csv
import html.parser
import io
import os
import random
import re
import shutil
import tempfile
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from markdown_it import MarkdownIt

from gwi import params, paths
from gwi.data import datasets, layout
from gwi.data.streaming import Images
from gwi.pipeline import folder as folders
from gwi.report import effects, figures, page, reading, tables
from gwi.report.escaping import escape, spreadsheet
from gwi.report.naming import class_label
from gwi.rows import csv_text, read_provenance
from gwi.runs import parse_run

TITLE = "names of classes"
WHOLE = 300  # of a data set
METHODS = ("standard", "gwi", "random-mask")
GIVEN = (
    "\u2028", "a\u2028b", "\u2029x", "seeds", "class seeds", "class class seeds", "row", "passes", "caption", "a_b", "a b",
    "a  b", "_", "__", "_a_", "a_", "$", "$$", "$5 or $6", r"\$", "US$", "\\", "\\\\", "\\n", "NA", "nan", "NaN", "None",
    "null", "N/A", "-", "", "0", "1", "01", "1.0", "1e3", "true", "inf", "<", "<b>", "</td>", "<script>alert(1)</script>",
    "&", "&lt;", "&amp;lt;", "*", "**", "*a*", "[", "]", "[ ]", "[x](y)", "![x](y)", "`", "``", "`a`", "|", "||", "a|b",
    r"a\|b", "#", "# a", "~", "~~a~~", "=", "=1+1", "'=1+1", "+1", "-1", "@a", "=cmd|' /C calc'!A0", '"', '""', "'", "''",
    "a,b", "a;b", "a:b", "a, caption", "猫", "犬", "кот", "γάτα", "قط", "חתול", "😀", "e\u0301", "\u202eabc", "\u200b",
    "\ufeff", "\ufeffa", "ﷺ", "𝔘", " a", "a ", " ", "\u00a0", "cat", "cat std", "cat (std)", "cat images",
    "cat published", "cat mean", "mCE", "mean (3 of 15)", "held-out mean", "fog", "clean", "error", "test set",
    "autoattack", "AutoAttack", "gwi", "standard", "erasing", "weight", "n_groups", "unchanged", "epoch", "run", "images",
    "{}", "{0}", "{title}", "%", "%s", "%(x)s", "^", "^2", "a--b", "---", ":---:", ":cat:", "http://x.y", "www.x.y", "x" * 255,
    "猫" * 85, "1. a", "- a", "> a", "\x7f", "a\nb", "a\r\nb", "\ra", "a\tb", "\x00", "\x1b[31m", "\x85", "\x0b", "\x0c",
    "\ud800", "\udcff", "\uffff", "\ufdd0")
PARTS = "ab_ $\\*[]<>&`|~=#%^{}'\",;:.!?+-@/猫é\u2028\u200d\u202e\n\t"


def hostile(n, seed=0):
    "So many names: those given, then random ones."
    draw, names = random.Random(seed), dict.fromkeys(GIVEN)
    while len(names) < n: names["".join(draw.choices(PARTS, k=draw.randint(1, 8)))] = None
    return list(names)


def parted(names):
    "Those that a data set may have, those that are refused."
    fine, refused = [], []
    for name in names:
        try: fine.append(layout.check_class(name))
        except ValueError: refused.append(name)
    return fine, refused


def held(names): # yields what is wrong
    "A data set keeps the names, in their order."
    labels = np.arange(len(names))
    images = Images(np.zeros((len(names), 8, 8, 3), np.uint8), labels)
    with tempfile.TemporaryDirectory() as place:
        datasets.write(datasets.Dataset("x", images, images, names), Path(place) / "x")
        found = datasets.read(Path(place) / "x").classes
    if found != names: yield f"classes.txt: {len(names)} names went in, {len(found)} came out"


def never(refused): # yields what is wrong
    "Only control characters and what is no text are refused, each with one line."
    for name in refused:
        if "/" in name: continue  # two folders
        if name and not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff\uffff\ufdd0]", name): yield f"{name!r} is refused"
        try: layout.lay_out({f"{name}/1.png": 1, "b/1.png": 2}, "there")
        except ValueError as error:
            if "\n" in str(error) or not str(error).isprintable(): yield f"{name!r}: refused in other than one line"
        else:
            if name: yield f"{name!r} is accepted as a folder"


def as_folder(names): # yields what is wrong
    "Those that a file system takes are classes of a folder, as they are."
    with tempfile.TemporaryDirectory() as place:
        for name in names:
            if "/" in name or len(os.fsencode(name)) > 255: continue
            for k in range(8):
                (Path(place) / name).mkdir(exist_ok=True)
                (Path(place) / name / f"{k}.ppm").write_bytes(b"P6 8 8 255\n" + bytes([k]) * 192)
        there = {layout.class_name(file.name) for file in Path(place).iterdir()}
        hidden = {name for name in there if name.startswith((".", "__MACOSX"))}
        if set(folders.look(place, splits="").classes) != there - hidden: yield "a folder's classes are not its folders"


def made_rows(names, root):
    "Rows of small, with these classes in place of the digits."
    old, seeded = reading.read_rows(root / "results" / "small"), np.random.default_rng(0)
    old = old[old.method.isin(METHODS) & (old.metric != "class_error") & old.protocol.isin(
        ["clean", "corruption", "training", "features", "attack"])]
    s, out = params.profile_settings("small"), io.StringIO(old.to_csv(index=False))
    texts = [out.getvalue()]
    for run, protocol in old[["run", "protocol"]].drop_duplicates().itertuples(index=False):
        if protocol not in ("clean", "corruption"): continue
        records = [dict(condition=name, level="" if protocol == "corruption" else 0, metric="class_error", value=value,
                        n=5 + k % 3) for k, (name, value) in enumerate(zip(names, seeded.uniform(0, 100, len(names))))]
        texts.append(csv_text(parse_run(run, s), protocol, records).partition("\n")[2])
    (root / "results" / "small" / "rows.csv").write_text("".join(texts), encoding="utf-8", newline="")


def of_csv(text, names):
    frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    lost = [name for name in names if spreadsheet(class_label(name)) not in frame.columns]
    if lost: yield f"CSV: {lost[0]!r} is no column"
    head = next(csv.reader(io.StringIO(text)))
    if len(set(head)) != len(head): yield "CSV: two columns of one name"
    if any(cell.startswith(("=", "+", "-", "@")) for cell in head): yield "CSV: a column opens a formula"


def of_markdown(text, names):
    tokens, cells, inside = MarkdownIt("gfm-like", {"linkify": False}).parse(text), [], False
    for token in tokens:
        inside = token.type in ("th_open", "td_open") or (inside and token.type == "inline")
        if token.type != "inline" or not inside: continue
        cells.append("".join(child.content for child in token.children if child.type in ("text", "text_special")))
        if any(child.type in ("html_inline", "em_open", "link_open", "image", "code_inline", "s_open") for child
               in token.children): yield f"Markdown: {token.content[:60]!r} means something"
    stripped = {cell.strip() for cell in cells}
    lost = [name for name in names if class_label(name).strip() not in stripped]
    if lost: yield f"Markdown: {len(lost)} names, such as {lost[0]!r}, are no cell"


class Cells(html.parser.HTMLParser):
    "The texts of the heads and cells of a page, and its tags."
    def __init__(self):
        super().__init__()
        self.cells, self.tags, self.depth = [], set(), 0

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag in ("th", "td"):
            self.cells.append("")
            self.depth = 1

    def handle_endtag(self, tag):
        if tag in ("th", "td"): self.depth = 0

    def handle_data(self, data):
        if self.depth: self.cells[-1] += data


def of_html(text, names):
    found = Cells()
    found.feed(text)
    lost = [name for name in names if class_label(name) not in found.cells]
    if lost: yield f"HTML: {len(lost)} names, such as {lost[0]!r}, are no cell"
    if "b" in found.tags: yield "HTML: a name is a tag"


def of_latex(text, names):
    lost = [name for name in names if escape(class_label(name)) not in text]
    if lost: yield f"LaTeX: {lost[0]!r} is not there"
    depth = 0
    for brace in re.findall(r"(?<!\\)(?:\\\\)*([{}])", text): depth += 1 if brace == "{" else -1
    if depth: yield "LaTeX: braces do not close"


def explained(root, names):
    "The arrays behind the figures speak of all the classes."
    for file in sorted((root / "results" / "small" / "explain").glob("*.npz")):
        arrays = dict(np.load(file))
        draw = np.random.default_rng(0)
        for key in ("labels", "differ_labels"):
            if key in arrays: arrays[key] = draw.integers(0, len(names), len(arrays[key]))
        if "differ_predicted" in arrays:
            arrays["differ_predicted"] = draw.integers(0, len(names), arrays["differ_predicted"].shape)
        np.savez(file, **arrays)


def project(folder):
    "A copy of what the report reads."
    for name in ("params.yaml", "settings.ini", "data/published.csv", "data/support.csv"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(paths.root() / name, folder / name)
    shutil.copytree(paths.root() / "results" / "small", folder / "results" / "small")
    shutil.copytree(paths.root() / "profiles", folder / "profiles")


def written(names, root): # yields what is wrong
    "Tables, figures and the page."
    made_rows(names, root)
    explained(root, names)
    rows, out = reading.read_rows(root / "results" / "small"), root / "results" / "small"
    of_run = reading.explained(rows, root / "results")["gwi"]["classes"]
    if of_run != names: yield "rows: the classes of a run are not those of the data, in their order"
    tables.write_tables(rows, out / "tables")
    checks = dict(csv=of_csv, md=of_markdown, tex=of_latex)
    for name in ("clean-class_error", "corruption-class_error"):
        for kind, check in checks.items():
            text = (out / "tables" / f"{name}.{kind}").read_bytes().decode()
            yield from (f"{name}: {what}" for what in check(text, names))
    notes = figures.write_figures(rows, root / "results", out / "figures")
    notes |= effects.write_effects(rows, root / "results", out / "figures")
    for name in ("gradcam", "effects-class", "effects-clean-class", "failures"):
        if notes.get(name) != "written": yield f"figure {name}: {notes.get(name)}"
    text = (out / "figures" / "effects.md").read_text(encoding="utf-8")
    if any(token.type in ("html_block", "heading_open") for token in MarkdownIt("gfm-like", {"linkify": False}).parse(
            text)): yield "effects.md: a name is markup"
    made = page.page(rows, params.suite(params.profile_settings("small")), root / "results")
    yield from of_html(made, names)
    read_provenance(out / "provenance.jsonl")


def wrong(names): # yields what is wrong
    fine, refused = parted(names)
    yield from held(fine)
    yield from never(refused)
    yield from as_folder(fine)
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        project(Path(place))
        with mock.patch.dict(os.environ, GWI_ROOT=place): yield from written(fine, Path(place))
    glyphs = [str(w.message) for w in warned if "lyph" in str(w.message)]
    if glyphs: yield f"drawn as a box: {glyphs[0]}"


def run(share=1.0):
    names = hostile(max(len(GIVEN) + 8, round(share * WHOLE)))
    return len(names), list(wrong(names))
