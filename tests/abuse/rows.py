"""Rows, their origin, tables and figures of a profile, forged: each forgery is named by the digests, without recomputing
anything; edited rows make no report; the untouched profile is clean."""
import json
import random
import re
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from gwi import params, paths, rows, seal
from gwi.pipeline import results, standing
from gwi.tools import verify

from .trying import some

PROFILE = "small"
ROWS, ORIGIN, SEAL = "rows.csv", "provenance.jsonl", seal.FILE
CELLS = {"condition": 7, "level": 8, "metric": 9, "value": 10, "n": 11, "method": 4, "seed": 5, "model": 3}


def lines_of(file):
    "Lines with their ends."
    return file.read_text(encoding="utf-8").splitlines(keepends=True)


def write(file, lines):
    "All lines."
    file.write_text("".join(lines), encoding="utf-8")


def names(line):
    "Run and protocol of a row, or of an entry."
    if line.startswith("{"): return json.loads(line)["run"], json.loads(line)["protocol"]
    return line.split(",")[1], line.split(",")[6]


def said(line, what):
    "What must stand in the line that names it."
    run, protocol = names(line)
    return rf"{re.escape(run)}, {protocol}: .*{what}"


def altered_cell(folder, draw, column):
    "Another value in one cell of a row."
    lines = lines_of(folder / ROWS)
    k = draw.randrange(1, len(lines))
    cells, before = lines[k].rstrip("\n").split(","), lines[k]
    cells[CELLS[column]] = "7" if cells[CELLS[column]] != "7" else "8"
    lines[k] = ",".join(cells) + "\n"
    write(folder / ROWS, lines)
    return [said(before, rf"line {k + 1} of rows\.csv was (altered|doubled)")]


def moved_row(folder, draw, column):
    "A row under another run, or another protocol."
    lines = lines_of(folder / ROWS)
    k, other = draw.randrange(1, len(lines)), draw.randrange(1, len(lines))
    while names(lines[k])[column == "protocol"] == names(lines[other])[column == "protocol"]:
        other = draw.randrange(1, len(lines))
    cells, before = lines[k].split(","), lines[k]
    place = 6 if column == "protocol" else 1
    cells[place] = lines[other].split(",")[place]
    lines[k] = ",".join(cells)
    write(folder / ROWS, lines)
    now = ", ".join(names(lines[k]))
    return [said(before, "1 rows missing"), rf"{re.escape(now)}: .*line {k + 1} of rows\.csv|{re.escape(now)}: was added"]


def removed_row(folder, draw, _):
    "A row less."
    lines = lines_of(folder / ROWS)
    gone = lines.pop(draw.randrange(1, len(lines)))
    write(folder / ROWS, lines)
    return [said(gone, "missing")]


def added_row(folder, draw, how):
    "A row more: one that is there, or one that was never computed."
    lines = lines_of(folder / ROWS)
    line = lines[draw.randrange(1, len(lines))]
    lines.insert(draw.randrange(1, len(lines) + 1), line if how == "doubled" else new_of(line))
    write(folder / ROWS, lines)
    return [said(line, how)]


def new_of(line):
    "A row of the same run and protocol with a condition of its own."
    cells = line.split(",")
    return ",".join([*cells[:7], "made_up", *cells[8:]])


def swapped(folder, draw, how):
    "Two values change places: of two runs, or of two conditions of one run."
    lines = lines_of(folder / ROWS)
    while True:
        k, other = sorted(draw.sample(range(1, len(lines)), 2))
        first, second = lines[k].split(","), lines[other].split(",")
        if (first[1] == second[1]) == (how == "conditions") and first[10] != second[10]: break
    before = lines[k], lines[other]
    first[10], second[10] = second[10], first[10]
    lines[k], lines[other] = ",".join(first), ",".join(second)
    write(folder / ROWS, lines)
    return [said(line, rf"line {n + 1} of rows\.csv was altered") for line, n in zip(before, (k, other))]


def run_removed(folder, draw, _):
    "All rows of a run and protocol, and their origin."
    lines, entries = lines_of(folder / ROWS), lines_of(folder / ORIGIN)
    gone = draw.choice(entries)
    write(folder / ROWS, [line for line in lines if names(line) != names(gone)])
    write(folder / ORIGIN, [line for line in entries if line != gone])
    return [said(gone, r"its \d+ rows and their origin are missing")]


def run_added(folder, draw, _):
    "A seed that was never computed, with an origin, copied from another."
    lines, entries = lines_of(folder / ROWS), lines_of(folder / ORIGIN)
    own = draw.choice(entries)
    run, protocol = names(own)
    new = f"{run[:-1]}9"
    write(folder / ROWS, lines + [line.replace(run, new) for line in lines if names(line) == (run, protocol)])
    write(folder / ORIGIN, [*entries, own.replace(run, new)])
    return [rf"{re.escape(new)}, {protocol}: was added \(lines? .*rows\.csv and line .*provenance\.jsonl"]


def field(folder, draw, change):
    "A field of an entry, altered, removed or added; `seconds altered`."
    name, how = change
    entries = lines_of(folder / ORIGIN)
    having = [k for k, line in enumerate(entries) if (name in json.loads(line)) == (how != "added")]
    k = draw.choice(having)
    before, entry = entries[k], json.loads(entries[k])
    if how == "removed": del entry[name]
    else: entry[name] = other_than(entry.get(name))
    entries[k] = json.dumps(entry, sort_keys=True) + "\n"
    write(folder / ORIGIN, entries)
    return [said(before, f"'{name}' in line {k + 1} of provenance.jsonl was {how}")]


def other_than(value):
    "A value of the same kind."
    if isinstance(value, dict): return value | {"lr": 0.5}
    if isinstance(value, (int, float)): return value + 1
    return f"{value}x"


def with_digest(folder, draw, _):
    "A forged value, and the digest of the forged rows in the entry."
    expected = altered_cell(folder, draw, "value")
    key = tuple(expected[0].split(":")[0].replace("\\", "").split(", "))
    text = "".join([lines_of(folder / ROWS)[0], *(t for _, t in seal.lines_by_run(folder / ROWS)[key])])
    entries = lines_of(folder / ORIGIN)
    for k, line in enumerate(entries):
        if names(line) == key: entries[k] = re.sub('"rows": "[0-9a-f]+"', f'"rows": "{rows.text_digest(text)}"', line)
    write(folder / ORIGIN, entries)
    return [*expected, f"{re.escape(', '.join(key))}: 'rows' in line .* was altered"]


def entry(folder, draw, how):
    "A line of the origin, doubled, removed, cut or with a key that says two things."
    entries = lines_of(folder / ORIGIN)
    k = draw.randrange(len(entries))
    line = entries[k]
    if how == "doubled": entries.insert(draw.randrange(len(entries)), line)
    if how == "removed": entries.pop(k)
    if how == "cut": entries[k] = line[:len(line) // 2] + "\n"
    if how == "said twice": entries[k] = line.replace("{", '{"threads": 8, ', 1)
    write(folder / ORIGIN, entries)
    if how == "doubled": return [said(line, r"doubled in provenance\.jsonl")]
    if how == "removed": return [said(line, r"its line of provenance\.jsonl is missing")]
    return [rf"line {k + 1} of provenance\.jsonl: damaged"]


def no_rows(folder, draw, how):
    "Lines that are none, another header, bytes that are no text."
    lines = lines_of(folder / ROWS)
    k = draw.randrange(1, len(lines))
    before = lines[k]
    if how == "header":
        write(folder / ROWS, [lines[0].replace("value", "values"), *lines[1:]])
        return [r"line 1 of rows\.csv: no row"]
    lines[k] = {"cut": before[:len(before) // 2] + "\n", "a cell more": before[:-1] + ",1\n", "empty": "\n"}.get(how, "")
    if how == "bytes": (folder / ROWS).write_bytes("".join(lines).encode() + before.encode().replace(b",", b"\xff,", 1))
    else: write(folder / ROWS, lines)
    return [said(before, "missing")]


def seal_edited(folder, draw, how):
    "The seal itself: a digest, a mark, a line, the chain; or no seal."
    lines, file = lines_of(folder / SEAL), folder / SEAL
    k = draw.randrange(1, len(lines))
    if how == "gone": file.unlink()
    if how == "line": write(file, lines[:k] + lines[k + 1:])
    if how == "chain": write(file, [re.sub('"digest": "..', '"digest": "zz', lines[0]), *lines[1:]])
    if how == "digest": write(file, [*lines[:k], re.sub('"digest": "..', '"digest": "zz', lines[k]), *lines[k + 1:]])
    if how == "order": write(file, [lines[0], *lines[2:], lines[1]])
    if how == "mark":
        write(file, [*lines[:k], re.sub('"rows": "....', '"rows": "zzzz', lines[k]), *lines[k + 1:]])
        return [said(lines[k], "line .* was altered")]
    return [r"seal\.jsonl: (is missing|not as it was written)"]


def of_folder(folder, draw, what):
    "A file of a folder, altered, removed, or one more."
    place, how = what
    files = sorted(file for file in (folder / place).rglob("*") if file.is_file())
    file = draw.choice(files)
    if how == "added": file = file.with_name(f"made-up{file.suffix}")
    content = b"" if how == "added" else file.read_bytes()
    if how == "removed": file.unlink()
    else: file.write_bytes(content[:-3] + b"9" + content[-2:] if content else b"1")
    words = {"removed": "is missing", "added": "was added", "altered": "(was altered|is not what the rows say)"}[how]
    return [rf"{re.escape(file.relative_to(folder).as_posix())}: {words}"]


def metrics(folder, draw, _):
    "A number in metrics.json."
    file = folder / "metrics.json"
    file.write_text(re.sub(r"\d\.\d+", "0.5", file.read_text(), count=1))
    return [r"metrics\.json: is not what the rows say"]


def sums_edited(folder, draw, how):
    "The list of the figures' digests: a line less, or the list."
    file = folder / "figures.sha256"
    lines = lines_of(file)
    if how == "gone":
        file.unlink()
        return [r"figures\.sha256: is missing"]
    gone = lines.pop(draw.randrange(len(lines)))
    write(file, lines)
    return [rf"{re.escape(gone.split()[1])}: was added"]


def cases():
    "(kind, forgery, what of it, number of the draw)."
    entries = [json.loads(line) for line in lines_of(paths.root() / "results" / PROFILE / ORIGIN)]
    fields = sorted({name for each in entries for name in each} - {"run", "protocol"})
    found = [("a cell", altered_cell, column, k) for k in range(4) for column in CELLS]
    found += [("a row moved", moved_row, column, k) for k in range(3) for column in ("run", "protocol")]
    found += [("a row less", removed_row, None, k) for k in range(8)]
    found += [("a row more", added_row, how, k) for k in range(6) for how in ("doubled", "added")]
    found += [("swapped", swapped, how, k) for k in range(4) for how in ("runs", "conditions")]
    found += [("a run", forge, None, k) for k in range(3) for forge in (run_removed, run_added)]
    found += [("a field", field, (name, how), 0) for name in fields for how in ("altered", "removed")]
    found += [("a field", field, ("remark", "added"), 0), ("a field", field, ("epoch_seconds", "added"), 0)]
    found += [("rows and their digest", with_digest, None, k) for k in range(4)]
    found += [("an entry", entry, how, k) for k in range(3) for how in ("doubled", "removed", "cut", "said twice")]
    found += [("no row", no_rows, how, k) for k in range(2) for how in ("header", "cut", "a cell more", "empty", "bytes")]
    found += [("the seal", seal_edited, how, 0) for how in ("gone", "line", "chain", "digest", "order", "mark")]
    places, hows = ("tables", "plots", "figures", "explain"), ("altered", "removed", "added")
    found += [("files", of_folder, (place, how), k) for k in range(3) for place in places for how in hows]
    return found + [("files", metrics, None, 0), ("files", sums_edited, "gone", 0), ("files", sums_edited, "line", 0)]


def named(folder, made):
    "What `make verify` says of a profile before it computes anything."
    return verify.changed(folder) + verify.differing(made, folder)


def unnamed(folder, made, case):
    "What is not named of a forgery in a fresh copy; None: all is."
    kind, forge, what, k = case
    label = f"{kind} ({forge.__name__}, {what}, {k})"
    expected = forge(folder, random.Random(repr(case[2:]) + forge.__name__), what)
    try: found = named(folder, made)
    except Exception as error: return f"{label}: raw {type(error).__name__}: {error}"
    missing = [pattern for pattern in expected if not any(re.search(pattern, line) for line in found)]
    if missing: return f"{label}: {missing[0]} is not in {found[:4]}"
    if len(found) > 8: return f"{label}: {len(found)} lines for one forgery, such as {found[:3]}"
    return f"{label}: a report was made of it" if makes_report(folder) != is_of_files(case) else None


def is_of_files(case):
    "Whether rows, origin and arrays are untouched, so that a report may be made; one without a seal says so."
    return case[2] == "gone" or (case[0] == "files" and case[2] is None) or case[1] is sums_edited or (
        case[1] is of_folder and case[2][0] != "explain")


def makes_report(folder):
    "Whether `make report` takes the rows for what the runs wrote."
    try: seal.check(folder)
    except ValueError: return False
    return True


def pages():
    "What a first screen says of an unfinished profile, of one of two codes, and of one that was never sealed."
    s, found = params.profile_settings(PROFILE), results.current_rows(params.profile_settings(PROFILE))
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / PROFILE
        shutil.copytree(paths.root() / "results" / PROFILE, folder)
        if standing.warnings(s, found, folder.parent): wrong.append("pages: the untouched profile is warned of")
        lacking = standing.warnings(s, found[found.method != "gwi"], folder.parent)
        if not re.search(r"Unfinished: \d+ of \d+ .*clean: gwi \(3\)", " ".join(lacking)): wrong.append(f"pages: {lacking}")
        write(folder / ORIGIN, [re.sub('"code": "..', '"code": "00', line) if '"digits-resnet8-gwi-s0"' in line else line
                                for line in lines_of(folder / ORIGIN)])
        mixed = standing.warnings(s, found, folder.parent)
        if not re.search(r"different code.*clean: gwi \(1 of 28\)", " ".join(mixed)): wrong.append(f"pages: {mixed}")
        (folder / SEAL).unlink()
        if "Not sealed" not in " ".join(standing.warnings(s, found, folder.parent)): wrong.append("pages: no seal")
    return 4, wrong


def run(share):
    "(cases, what is wrong) of forgeries and of pages."
    home, wrong, counts = paths.root() / "results" / PROFILE, [], Counter()
    with tempfile.TemporaryDirectory() as name:
        made, folder = Path(name) / "made", Path(name) / PROFILE
        results.write_all_tables(params.profile_settings(PROFILE), made)
        wrong += [f"untouched: {line}" for line in named(home, made)]
        for case in some(cases(), share):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(home, folder)
            wrong.append(unnamed(folder, made, case))
            counts[case[0]] += 1
    return {"forgeries": (1 + sum(counts.values()), [line for line in wrong if line]), "first screens": pages()}
