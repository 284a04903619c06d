"""Text that make, a shell, DVC or YAML would heed if it could: in values given to make, in settings, names of profiles,
parts, runs and folders, in the project's own path. It comes out as it went in, or is refused in one line; the file
`canary` that it would make never appears, and nothing is written where it points to."""
import contextlib
import functools
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

import yaml

from tests.abuse.trying import counted
from tests.end_to_end import copy_tree

CANARY = "canary"
HOSTILE = (
    "$(touch canary)", "`touch canary`", "; touch canary ;", "x; touch canary #", "' ; touch canary ; '",
    '" ; touch canary ; "', "'; touch canary; echo \"", "$(shell touch canary)",
    "$$(touch canary)", "$$$(touch canary)",
    "$(eval $(shell touch canary))", "${IFS};touch${IFS}canary", "a\ntouch canary\n", "a\r\ntouch canary\r\n",
    "a\n\ttouch canary", "| touch canary", "&& touch canary", "> canary", "<(touch canary)", "x\\\ntouch canary",
    "\\'; touch canary; '", "\\\"; touch canary; \"", "\\'\"; touch canary; #", "-x", "--help", "--profile=tiny", "-",
    "--", "~", "~root", "*", "?", "[a-z]", "{a,b}", "a b  c", "it's", 'say "x"', "back\\slash", "\\", "%s%n",
    "#x", "a#b",
    "x=y", "$HOME", "${HOME}", "$(HOME)", "${profile}", "${item.method}", "{{ x }}", "!!", "!x", "&x", "*x", "a: b",
    "- a", "é ü \u2028 \u0085 z", "\u202ex", "\x1b[31m", "\x07", "$(error x)", "$(info x)", "@x", "+x", "=x", "%",
    "x%y",
    "..", "../../x", "a/../../x", "/", "null", "1e3", "x" * 300)
AS_NAMES = tuple(v for v in HOSTILE if "/" not in v and v not in ("..", ".") and len(v) < 200)


def contents(folder):
    "Every file there, but those of git and DVC."
    found = set()
    for here, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if f not in (".git", ".dvc", "__pycache__", "locks")]
        found |= {os.path.join(here, name) for name in files}
    return found


def traces(folder):
    "What a hostile value has made."
    return [file for file in contents(folder) if os.path.basename(file).startswith(CANARY)]


def harmless(folder, wrong=None):
    "What is wrong; the canary above all, which is taken away for the next case."
    found = traces(folder)
    for file in found: os.unlink(file)
    return found[:1] and f"it was run: {found[0]}" or wrong


# -- values given to make, with a stub in place of Python that notes how it was called

STUB = """#!/bin/sh
for word in "$@"; do printf "%s\\0" "$word"; done > "$RECORD"
printf "%s" "${GWI_DATA-}" > "$RECORD.data"
"""
GIVEN = {"repro": "PROFILE PART JOBS MINUTES DATA ENGINE ADDRESS CPUS GPUS", "report": "PROFILE",
         "report-folder": "DATA NAME SPLITS JOBS MINUTES", "estimate": "PROFILE PART JOBS",
         "stages": "PROFILE", "pipelines": "PROFILE", "verify": "DATA", "audit": "X",
         "prove-equal": "FROM ONLY DRY DATA", "weights": "PROFILE", "verify-fidelity": "WEIGHTS DATA DATA_C",
         "kit": "PROFILE PART DATA THERE", "kit-import": "PROFILE PART FROM", "bench": "DATA profile RUN given"}
ONLY_GIVEN = ("NAME", "SPLITS", "ENGINE", "ADDRESS", "CPUS", "GPUS")


def bare_project(folder):
    "What make needs to begin."
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("requirements.lock", "setup.py", "pyproject.toml", "settings.ini"): (folder / name).touch()
    shutil.copy("Makefile", folder)
    (folder / "profiles").mkdir()
    stub = folder / ".venv" / "bin" / "python"
    stub.write_text(STUB)
    stub.chmod(0o755)
    (folder / ".venv" / "installed").touch()
    return folder


def made(project, target, *given, **environment):
    "The words and GWI_DATA that a target's command was begun with, the status, all that was said."
    record = project.parent / "record"
    for file in (record, record.with_name("record.data")): file.unlink(missing_ok=True)
    env = {k: os.environ[k] for k in ("PATH", "HOME") if k in os.environ} | {"RECORD": str(record)} | environment
    ended = subprocess.run(["make", target, *given], cwd=project, env=env, capture_output=True, timeout=60)
    if not record.is_file(): return None, None, ended.returncode, (ended.stdout + ended.stderr).decode(errors="replace")
    words = record.read_bytes().decode().split("\0")[:-1]
    return words, record.with_name("record.data").read_bytes().decode(), ended.returncode, ""


@functools.cache
def plain(project, target, variable):
    "The same of a value without anything in it."
    return made(project, target, f"{variable}=plain")[:2]


def through_make(project, target, variable, value, is_given):
    "A value reaches the command as one word, or as GWI_DATA, as it is."
    given, environment = ([f"{variable}={value}"], {}) if is_given else ([], {variable: value})
    words, data, status, said = made(project, target, *given, **environment)
    before = plain(project, target, variable)
    wanted = [word.replace("plain", value) for word in before[0]], before[1].replace("plain", value)
    wrong = None if (words, data) == wanted else f"{words} {data!r} in place of {wanted}; {status} {said[-150:]!r}"
    return False, harmless(project.parent, wrong)


def of_make(folder):
    project = bare_project(folder / "project")
    for target, variables in GIVEN.items():
        for variable in variables.split():
            for number, value in enumerate(HOSTILE):
                for is_given in (True, False):
                    if not is_given and (number % 3 or variable in ONLY_GIVEN or variable.islower() or variable == "RUN"): continue
                    name = f"{target} {variable}={value!r}{'' if is_given else ', of the environment'}"
                    yield "make", name, functools.partial(through_make, project, target, variable, value, is_given)


def no_target(project, value):
    words, _, status, said = made(project, "--", value)
    is_told = words is None and status and "make help" in said
    return True, harmless(project.parent, None if is_told else f"{status} {said}")


def no_python(project, value):
    "Where nothing is installed yet, PYTHON names a program, and no line for a shell."
    _, _, status, said = made(project, "install", f"PYTHON={value}")
    told = [line for line in said.splitlines() if line.startswith("missing: ")]
    return True, harmless(project.parent, None if status and told else f"{status} {said[-150:]!r}")


def of_targets(folder):
    project, fresh = bare_project(folder / "targets"), bare_project(folder / "fresh")
    shutil.rmtree(fresh / ".venv")
    for value in HOSTILE:
        if "=" not in value and value not in ("..", "/", "~", "~root", "*", "?", "[a-z]", "--", "-"):
            yield "targets", repr(value), functools.partial(no_target, project, value)
        if not value.startswith("~") and value not in ("/", "..", "-", "--"):
            yield "PYTHON", repr(value), functools.partial(no_python, fresh, value)


# -- the project's own folder

def of_name(folder, value, work):
    "A piece of work in a project that lies in a folder of that name, beside profiles called so."
    with tempfile.TemporaryDirectory(dir=folder) as place:
        project = Path(place) / value
        project.mkdir()
        return False, harmless(Path(place), work(bare_project(project), value))


def begun_there(project, value):
    words, data, status, said = made(project, "repro", "DATA=d", "PROFILE=p")
    if (words, data) == (["-m", "gwi.pipeline", "repro", "--profile=p"], "d"): return None
    return f"{words} {data!r} {status} {said[-200:]}"


def cleaned_there(project, value):
    "make clean takes away a profile's pictures, and nothing beside them."
    for name in (value, "other"): (project / "data" / name).mkdir(parents=True)
    (project / "profiles" / f"{value}.yaml").touch()
    _, _, status, said = made(project, "clean")
    kept = {file.name for file in (project / "data").iterdir()} - {"other"}
    is_well = not status and kept <= {value} and (project / "data" / "other").is_dir()
    return None if is_well else f"{status} {kept} {said}"


def helped_there(project, value):
    (project / "profiles" / f"{value}.yaml").touch()
    _, _, status, said = made(project, "help")
    return f"{status} {said}" if status else None


def kit_there(project, value):
    "A kit at that place, called with words like it."
    from gwi.pipeline.kit_pack import RUN
    (project / "run.sh").write_text(RUN)
    (project / "spare" / "yaml").mkdir(parents=True)
    (project / "spare" / "yaml" / "probe").write_text("import yaml\n")
    record = project.parent / "record"
    env = {"PATH": os.environ["PATH"], "RECORD": str(record)}
    words = [f"PYTHON={project / '.venv' / 'bin' / 'python'}", f"OUT={value}", f"EARLIER={value}"]
    ended = subprocess.run(["bash", project / "run.sh", *words], cwd=project, env=env, capture_output=True, timeout=60)
    wanted = ["-m", "gwi.pipeline.kit", "run", f"HERE={project}", *words]
    called = record.read_bytes().decode().split("\0")[:-1] if record.is_file() else None
    return None if called == wanted else f"{called} {ended.stderr[-200:]}"


def of_projects(folder):
    for work in (begun_there, cleaned_there, helped_there, kit_there):
        for value in AS_NAMES:
            if ":" in value or (work is kit_there and value.endswith("\n")): continue
            yield "projects", f"{work.__name__} {value!r}", functools.partial(of_name, folder, value, work)


# -- in a copy of the project: real commands, DVC, folders of images

def said_by(main, words):
    "How a command ends, and what it says."
    told, old = io.StringIO(), {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with patch.dict(os.environ), contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
            main(words)
        return 0, told.getvalue()
    except SystemExit as e: return e.code, told.getvalue()
    finally:
        for number, handler in old.items(): signal.signal(number, handler)


def refused(copy, main, words):
    before = contents(copy.parent)
    status, told = said_by(main, words)
    lines = [line for line in told.strip().splitlines() if not line.startswith((" ", "usage:"))]
    wrong = None if status == 2 and len(lines) == 1 and "Traceback" not in told else f"{status}: {told[-200:]!r}"
    if new := contents(copy.parent) ^ before: wrong = f"made or deleted {sorted(new)[:2]}"
    return True, harmless(copy.parent, wrong)


def of_words(copy):
    from gwi import evaluate, train
    from gwi.pipeline import __main__ as pipeline, kit
    from gwi.tools import estimate, verify
    calls = {pipeline: ("tables V", "rows V", "fetch V", "train V", "attack V", "clean V", "stages --profile=V",
                        "report --profile=V", "compare --profile=V", "pipelines --profile=V", "repro --profile=V",
                        "repro --profile=paper-mini --part=V", "tables --params=V", "tables --profile=V",
                        "report-folder --data=V", "report-folder --data=images --name=V", "repro --jobs=V"),
             kit: ("pack --profile=V", "pack --profile=paper-mini --part=V", "import --profile=V x", "import -- V",
                   "run V"),
             verify: ("--publish=V",), estimate: ("--profile=V", "--profile=paper-mini --part=V"),
             train: ("V", "x --profile=V"), evaluate: ("V clean", "x V")}
    for module, lines in calls.items():
        for number, line in enumerate(lines):
            for value in HOSTILE[number % 3::3]:
                if value == "--help" and "=V" not in line: continue
                words = [word.replace("V", value) if word.endswith("V") else word for word in line.split()]
                if may_be_meant(line, value): continue
                name = f"{module.__name__} {words}"
                yield "commands", name, functools.partial(refused, copy, module.main, words)


def may_be_meant(line, value):
    "Words that say something to that command."
    if value == "--" or (value in ("--profile=tiny", "-") and "=V" not in line): return True  # argparse's own
    return "name=V" in line and value in ("null", "1e3")


PLACES = ("stages.plain", "stages.evaluated", "methods.plain", "profile", "part", "data.name", "corruption.set")


def with_setting(copy, place, value):
    raw = yaml.safe_load((copy / "params.yaml").read_text())
    section, _, key = place.partition(".")
    if isinstance(raw.get(section), dict): raw[section] |= {key: [value, *raw[section][key][1:]] if section in (
        "stages", "methods") else value}
    else: raw[section] = value
    return yaml.safe_dump(raw, allow_unicode=True)


def alone(copy):
    "The pipeline of the root by itself, for DVC reads all that there are."
    project = copy.parent / "alone"
    for name in (".dvc", "gwi", "nbs/experiments", "results/code", "data"):
        shutil.copytree(copy / name, project / name, ignore=shutil.ignore_patterns("__pycache__", "tmp", "cache"))
    for name in (".dvcignore", ".gitignore", "dvc.yaml", "params.yaml", "settings.ini", "results/equal_code.csv"):
        if (copy / name).exists(): shutil.copy(copy / name, project / name)
    for name in ("digits", "digits-c-regenerated", "weights"):
        (project / "data" / "small" / "digits" / name).mkdir(parents=True)
    committed(project)
    return project


AS_STAGES = [v for v in AS_NAMES if "@" not in v and v != "1e3"]  # of others DVC finds no such stage, or a number
NOTED = '#!/bin/sh\nprintf "%s\\0" "$*" "$DVC_STAGE" >> "$RECORD"\nexit 1\n'


def dvc(project, *words, **environment):
    "DVC in a project, by the shell that most people have."
    env = os.environ | {"SHELL": "/bin/bash", "GWI_ROOT": str(project), "PYTHONPATH": str(project)} | environment
    command = [sys.executable, "-m", "dvc", *words]
    return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=150)


@functools.cache
def called_by_dvc(project, names):
    "What DVC began, a stage for each name: stage -> words of its command."
    tools, file = project.parent / "tools", project / "params.yaml"
    tools.mkdir()
    (tools / "python").write_text(NOTED)
    (tools / "python").chmod(0o755)
    (project.parent / "record").touch()
    text, raw = file.read_text(), yaml.safe_load(file.read_text())
    raw["stages"]["plain"] = list(names)
    file.write_text(yaml.safe_dump(raw, allow_unicode=True))
    try: ended = dvc(project, "repro", "--single-item", "--keep-going", "train", PATH=f"{tools}:{os.environ['PATH']}",
                     RECORD=str(project.parent / "record"))
    finally: file.write_text(text)
    said = (project.parent / "record").read_bytes().decode().split("\0")[:-1]
    return dict(zip(said[1::2], said[::2])), ended.stderr[-200:]


def as_stage(project, names, value):
    "A stage called so is begun with the words of all, and its name in the environment."
    called, said = called_by_dvc(project, names)
    words = called.get(f"train@{value}")
    return False, harmless(project.parent, None if words == "-m gwi.pipeline train --of-stage" else f"{words} {said}")


def through_dvc(copy, place, value):
    "Plain `dvc repro` on such settings ends without a traceback of ours; it runs and deletes nothing."
    text, file = (copy / "params.yaml").read_text(), copy / "params.yaml"
    before = contents(copy.parent)
    stage = {"stages.plain": f"train@{value}", "stages.evaluated": f"corruption@{value}"}.get(place, "fetch")
    file.write_text(with_setting(copy, place, value))
    try:
        ended = dvc(copy, "repro", "--single-item", "--force", "--", stage)
    finally: file.write_text(text)
    told, new = ended.stdout + ended.stderr, contents(copy.parent) ^ before
    wrong = None if ended.returncode and "Traceback" not in told else f"{ended.returncode}: {told[-200:]!r}"
    gone = [f for f in new if f in before]
    if gone: wrong = f"deleted {gone[:2]}"
    return True, harmless(copy.parent, wrong)


def of_dvc(copy, is_short):
    project, names = alone(copy), tuple(AS_STAGES[:8] if is_short else AS_STAGES)
    for value in names: yield "stages", repr(value), functools.partial(as_stage, project, names, value)
    if is_short: return
    for number, value in enumerate(("../../../nbs", "../../../../outside", "$(touch canary)", "a\ntouch canary")):
        for place in PLACES[number % 2::2]:
            yield "settings", f"{place}: {value}", functools.partial(through_dvc, project, place, value)


def pictures(folder):
    "Two classes of eight small pictures."
    from PIL import Image
    for k in range(16):
        file = folder / "ab"[k % 2] / f"{k}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (k * 15, 99, 200 - k)).save(file)


def named_folder(copy, number, value):
    "A folder of images with that name becomes a profile whose settings say it, and no command does."
    from gwi import params
    from gwi.pipeline import folder, stages
    home, name = copy.parent / value, f"case-{number}"
    shutil.rmtree(home, ignore_errors=True)
    pictures(home)
    folder.prepare_folder(home, name)
    stages.write_pipelines([name])
    s, linked = params.profile_settings(name), copy / "data" / name / "_links"
    pointed = {file.resolve().parent.parent for file in linked.rglob("*.png")}
    commands = re.findall(r"cmd: (.*)", (copy / "profiles" / name / "dvc.yaml").read_text())
    for made_of in (copy / "profiles" / name, copy / "data" / name, home): shutil.rmtree(made_of, ignore_errors=True)
    (copy / "profiles" / f"{name}.yaml").unlink()
    if pointed != {home.resolve()}: return False, f"links lead to {pointed}, and data.path is {s.data.path!r}"
    odd = [c for c in commands if not re.fullmatch(r"python -m gwi\.pipeline [a-z0-9 ./-]+", c)]
    return False, harmless(copy.parent, f"commands {odd[:1]}" if odd else None)


def told_again(copy, value):
    "The command that a message proposes means what it says."
    from gwi.pipeline import folder
    home = copy.parent / value / "one"
    pictures(home)
    try: folder.look(home.parent)
    except ValueError as e: told = re.search(r"or is (DATA=.*) meant\?", str(e), re.S)
    finally: shutil.rmtree(home.parent)
    words = shlex.split(told[1]) if told else None
    return True, harmless(copy.parent, None if words == [f"DATA={home}"] else f"proposes {words}")


def of_folders(copy):
    for number, value in enumerate(AS_NAMES):
        if value.startswith("~"): continue
        yield "folders", repr(value), functools.partial(named_folder, copy, number, value)
        if value not in ("--help", "@x"): yield "proposals", repr(value), functools.partial(told_again, copy, value)


def within(copy, share):
    "The cases of a copy, in a process whose package is the copy's."
    os.chdir(copy)
    pictures(copy / "images")
    parts = of_words, functools.partial(of_dvc, is_short=share < 0.5), of_folders
    cases = (case for part in parts for case in part(copy))
    print(json.dumps(counted(cases, try_one, share)), flush=True)


def try_one(name, work):
    try: return work()
    except (Exception, subprocess.TimeoutExpired) as e: return False, f"{type(e).__name__}: {str(e)[:200]}"


def committed(copy):
    "All that is there, in a repository of its own."
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], cwd=copy, check=True)


def in_copy(folder, share):
    "What the process in the copy finds."
    copy = folder / "a project"
    copy_tree(copy)
    committed(copy)
    env = {k: v for k, v in os.environ.items() if not k.startswith("GWI_")}
    env |= {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "GWI_ROOT": str(copy)}
    subprocess.run([sys.executable, "-m", "gwi.pipeline", "code"], cwd=copy, env=env, check=True, capture_output=True)
    command = [sys.executable, "-c", f"from pathlib import Path; from tests.abuse import shell; "
               f"shell.within(Path.cwd(), {share!r})"]
    ended = subprocess.run(command, cwd=copy, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try: return {kind: tuple(found) for kind, found in json.loads(ended.stdout.splitlines()[-1]).items()}
    except (ValueError, IndexError): return {"in a copy": (1, [f"{ended.returncode}: {ended.stderr[-250:]!r}"])}


def run(share=1.0):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        cases = (case for part in (of_make, of_targets, of_projects) for case in part(folder / "made"))
        (folder / "made").mkdir()
        return counted(cases, try_one, share) | in_copy(folder / "copied", share)
