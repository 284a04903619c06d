"""The rules of the house: how the code is written and what may import what.

Each rule is a generator of complaints, `file:line: what`; `python tests/house.py` prints them all, and
`make test` runs them too."""
import ast
import re
import subprocess
import sys
from collections import defaultdict
from configparser import ConfigParser
from functools import cache
from pathlib import Path

import nbformat

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root / "tests"))
from trust import executions, seen  # noqa: E402

METHOD = ("kernels", "grouping_kernel", "grouping", "map_kernels", "weighting", "masks", "labels", "slopes", "layouts",
          "trunk", "listening", "wrappers", "inhibition")
# what is imported under another name than it is installed under; Triton comes with torch, where there is one
INSTALLED_AS = {"PIL": "pillow", "yaml": "pyyaml", "sklearn": "scikit-learn", "math_core": "math-core",
                "imagecorruptions": "imagecorruptions-imaug", "triton": "torch"}
SCOPES = (ast.Module, ast.FunctionDef)
WIDTH, MODULE_LINES, DEMONSTRATED = 120, 400, 60  # characters, lines, per cent of the exported cells


def near(path): return path.relative_to(root).as_posix()


@cache
def modules():
    "Module, as `report.tables`, -> (file, syntax tree)."
    files = [f for f in sorted((root / "gwi").rglob("*.py")) if f.name not in ("__init__.py", "_modidx.py")]
    return {".".join(f.relative_to(root / "gwi").with_suffix("").parts): (f, ast.parse(f.read_bytes())) for f in files}


@cache
def notebooks():
    "File -> its cells."
    files = [f for f in sorted((root / "nbs").rglob("*.ipynb")) if ".ipynb_checkpoints" not in f.parts]
    return {f: nbformat.read(f, 4).cells for f in files}


@cache
def numbers():
    "Module -> number of its notebook."
    found = {}
    for file, cells in notebooks().items():
        exported = re.search(r"^#\| *default_exp (\S+)", "\n".join(cell.source for cell in cells), re.M)
        number = re.match(r"\d+", file.name)
        if exported and number: found[exported[1]] = int(number[0])
    return found


def imports(tree, package):
    "What a syntax tree imports of `gwi`, also inside functions: (line, module, name in it or None)."
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [(alias.name.partition(".")[2], None) for alias in node.names if alias.name.startswith("gwi.")]
        elif isinstance(node, ast.ImportFrom):
            names = from_import(node, package)
        else: continue
        for module, name in names: yield node.lineno, module, name


def from_import(node, package):
    "(module, name) of `from x import a, b`; package: that of the importing module, as ('report',)."
    parts = (node.module or "").split(".") if node.module else []
    if node.level: parts = [*package[:len(package) - node.level + 1], *parts]
    elif parts[0] == "gwi": parts = parts[1:]
    else: return []
    whole = {alias.name: ".".join([*parts, alias.name]) for alias in node.names}
    return [(module, None) if module in modules() else (".".join(parts), name) for name, module in whole.items()]


def of_package():
    "Every import inside the package: (file, line, importing module, module, name)."
    for module, (file, tree) in modules().items():
        for line, other, name in imports(tree, module.split(".")[:-1]): yield file, line, module, other, name


def ruff():
    "`ruff check` with the configuration in pyproject.toml."
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise", "gwi", "tests"]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if ended.returncode > 1: yield ended.stderr.strip()
    yield from [line for line in ended.stdout.splitlines() if re.match(r"\S+:\d+:", line)]


def long_lines():
    "No line over 120 characters, in the package, the tests, and cells of notebooks; tables and links aside."
    for file in [*sorted((root / "gwi").rglob("*.py")), *sorted((root / "tests").glob("*.py"))]:
        if file.name == "_modidx.py": continue
        for k, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if len(line) > WIDTH and not line.startswith("__all__"): yield f"{near(file)}:{k}: {len(line)} characters"
    for file, cells in notebooks().items():
        for n, cell in enumerate(cells, 1):
            for k, line in enumerate(cell.source.splitlines(), 1):
                if width(cell, line) > WIDTH: yield f"{near(file)}:{k}: cell {n}, {width(cell, line)} characters"


def width(cell, line):
    "Characters of a line; in prose tables count for nothing, links without their targets."
    if cell.cell_type != "markdown": return len(line)
    return 0 if line.lstrip().startswith("|") else len(re.sub(r"\]\([^)]*\)|https?://\S+|<[^>]*>", "", line))


def long_modules():
    for file, _ in modules().values():
        n_lines = len(file.read_text(encoding="utf-8").splitlines())
        if n_lines > MODULE_LINES: yield f"{near(file)}:{n_lines}: a module has at most {MODULE_LINES} lines"


def same_numbers():
    "No two notebooks share a number."
    by_number = defaultdict(list)
    for file in notebooks():
        if number := re.match(r"\d+", file.name): by_number[number[0]].append(near(file))
    for files in by_number.values():
        if len(files) > 1: yield f"{files[0]}:1: the same number as {', '.join(files[1:])}"


def import_order():
    "A module imports only modules with lower numbers."
    for file, line, module, other, _ in of_package():
        own, needed = numbers().get(module), numbers().get(other)
        if own is None: yield f"{near(file)}:1: no numbered notebook exports it"
        elif needed is not None and needed >= own:
            yield f"{near(file)}:{line}: {module} ({own}) imports {other} ({needed})"


def product_and_tools():
    "The product imports no tool."
    for file, line, module, other, _ in of_package():
        if other.startswith("tools.") and not module.startswith("tools."):
            yield f"{near(file)}:{line}: imports gwi.{other}"


def inhibition_alone():
    "What others take out of the house imports torch and, of ours, only its own parts."
    for file, line, module, other, _ in of_package():
        if module in METHOD and other not in METHOD: yield f"{near(file)}:{line}: imports gwi.{other}"


@cache
def extras():
    "Extra -> distributions that it declares, as settings.ini has them; `core`: what comes without one."
    ini = ConfigParser(delimiters=["="])
    ini.read(root / "settings.ini", encoding="utf-8")
    cfg = ini["DEFAULT"]
    words = {key.removeprefix("extra_"): value.split() for key, value in cfg.items() if key.startswith("extra_")}
    words |= dict(core=cfg["requirements"].split(), dev=cfg["dev_requirements"].split())
    def declared(name):
        parts = [declared(word[1:-1]) if word[0] == "[" else {re.match(r"[\w-]+", word)[0]} for word in words[name]]
        return set().union(*parts)
    return {name: declared(name) for name in words}


def unasked_extras():
    "What the core does not bring is asked for by `needs`, before its import; tools serve a clone, which has `dev`."
    for module, (file, tree) in modules().items():
        init = file.with_name("__init__.py")
        of_package = needed_in(ast.parse(init.read_bytes()), 0) if file.parent.name != "gwi" else {}
        for line, package, scopes, is_tried in foreign_imports(tree):
            name = INSTALLED_AS.get(package, package)
            asked = of_package | (needed_anywhere(tree) if is_tried else {})
            for scope in scopes: asked |= needed_in(scope, line)
            extra = "dev" if module.startswith("tools.") else asked.get(package)
            if name in extras()["core"] or name in extras().get(extra, ()): continue
            why = f"the extra {extra} does not declare {name}" if extra else "no needs(...) before it"
            yield f"{near(file)}:{line}: imports {package}: {why}"


def foreign_imports(tree, scopes=(), is_tried=False):
    "Imports of neither Python's library nor ours: (line, package, module and functions around it, whether tried)."
    if isinstance(tree, SCOPES): scopes = (*scopes, tree)
    is_tried = is_tried or isinstance(tree, ast.Try)
    for node in ast.iter_child_nodes(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level: names = [node.module]
        for name in {name.partition(".")[0] for name in names} - {"gwi", *sys.stdlib_module_names}:
            yield node.lineno, name, scopes, is_tried
        yield from foreign_imports(node, scopes, is_tried)


def needed_in(scope, line):
    "Package -> extra, of the calls of `needs` that are statements of a module or function, above a line (0: all)."
    calls = [node.value for node in scope.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    found = [call for call in calls if getattr(call.func, "id", "") == "needs" and (not line or call.lineno < line)]
    return {package.value: call.args[0].value for call in found for package in call.args[1:]
            if isinstance(package, ast.Constant)}


def needed_anywhere(tree):
    "The same of a whole module."
    scopes = [node for node in ast.walk(tree) if isinstance(node, SCOPES)]
    return {package: extra for scope in scopes for package, extra in needed_in(scope, 0).items()}


def bodies_of_methods():
    "What `@patch` gives to a class is no public function of its module."
    for file, tree in modules().values():
        patched = {node.name: node.lineno for node in tree.body if isinstance(node, ast.FunctionDef)
                   and any(re.match(r"patch\b", ast.unparse(each)) for each in node.decorator_list)}
        for node in tree.body:
            is_all = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
            public = ast.literal_eval(node.value) if is_all else []
            for name in patched.keys() & set(public): yield f"{near(file)}:{patched[name]}: {name} is in __all__"


def report_without_torch():
    "Tables and figures are made where there is no torch: neither named in gwi.report, nor loaded with it."
    names = [f"gwi.{module}" for module in modules() if module.startswith("report.")]
    for name in names:
        file, tree = modules()[name.removeprefix("gwi.")]
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)) and re.search(r"\btorch\b", ast.unparse(node)):
                yield f"{near(file)}:{node.lineno}: {ast.unparse(node)}"
    loads = f"import sys, {', '.join(names)}; sys.exit('torch' in sys.modules)"
    if subprocess.run([sys.executable, "-c", loads], cwd=root).returncode: yield "gwi/report:1: loads torch"


def grafts():
    "A class is whole where it is defined, or grows by `@patch`."
    for file, tree in modules().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setattr":
                yield f"{near(file)}:{node.lineno}: setattr"
        for node in tree.body:
            targets = [t for t in node.targets if isinstance(t, ast.Attribute)] if isinstance(node, ast.Assign) else []
            for target in targets: yield f"{near(file)}:{node.lineno}: {ast.unparse(target)} = ..."


def private_names():
    "No use of another module's underscore names, in the package and in what notebooks show."
    for module, (file, tree) in modules().items():
        package = module.split(".")[:-1]
        yield from private_uses(near(file), tree, package, names_of_modules([tree], package))
    for file, cells in notebooks().items():
        trees = {n: tree_of(cell) for n, cell in enumerate(cells, 1) if cell.cell_type == "code"}
        ours = names_of_modules(trees.values(), [])
        for n, tree in trees.items():
            if not is_exported(cells[n - 1]): yield from private_uses(f"{near(file)}, cell {n}", tree, [], ours)


def tree_of(cell):
    "The syntax tree of a code cell without its magics."
    return ast.parse(re.sub(r"^[%!].*$", "", cell.source, flags=re.M))


def names_of_modules(trees, package):
    "Names that stand for modules of ours."
    return {module.rpartition(".")[2] for tree in trees for _, module, name in imports(tree, package) if name is None}


def private_uses(place, tree, package, ours):
    "Complaints about one syntax tree."
    for line, module, name in imports(tree, package):
        if is_private(name or "") and name != "_modidx": yield f"{place}:{line}: from gwi.{module} import {name}"
    for node in ast.walk(tree):
        of_name = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if of_name and node.value.id in ours and is_private(node.attr):
            yield f"{place}:{node.lineno}: {node.value.id}.{node.attr}"


def is_private(name): return name.startswith("_") and not name.startswith("__")


def is_exported(cell): return bool(re.match(r"#\| *export", cell.source))


def demonstrated():
    "A cell that exports is followed by one that shows or checks what it does, in most cases."
    followed = []
    for cells in notebooks().values():
        for cell, after in zip(cells, [*cells[1:], None]):
            if is_definition(cell): followed.append(after is not None and is_demonstration(after))
    share = 100 * sum(followed) / len(followed)
    if share < DEMONSTRATED: yield f"nbs:1: of the exported cells {share:.0f} % are demonstrated, not {DEMONSTRATED} %"


def is_definition(cell):
    "Whether an exported cell holds more than imports."
    if cell.cell_type != "code" or not is_exported(cell): return False
    return not all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in ast.parse(cell.source).body)


def is_demonstration(cell): return cell.cell_type == "code" and not re.match(r"#\| *(export|hide)", cell.source)


def tutorials():
    "A tutorial says first how long it takes, and either needs no clone or does nothing without one."
    for file, cells in notebooks().items():
        if file.parent.name != "tutorials": continue
        first, alone = cells[0].source, r"installed package alone|needs no checkout|runs where there is none"
        how_long = re.search(r"\n\*(Runs from top|This page takes).*(minute|seconds)", first)
        if not how_long: yield f"{near(file)}: how long does it take?"
        guarded = any("only_in_clone()" in cell.source for cell in cells)
        if not guarded and not re.search(alone, first): yield f"{near(file)}: and without a clone?"


def words():
    "Prose says image where it means one; `pictures/` is a folder."
    picture = re.compile(r"(?<![\w/<])pictures?\b(?![/_>])", re.I)
    for file, cells in notebooks().items():
        prose = ((n, cell.source) for n, cell in enumerate(cells, 1) if cell.cell_type == "markdown")
        yield from (f"{near(file)}:1: cell {n}: {found}" for n, text in prose for found in picture.findall(text))


def places():
    "Outputs name no folder of the machine that made them; folders for a moment are nobody's."
    place = re.compile(r"(?<![\w.…}/:-])/(?:home|mnt|root|Users|work)/\w[\w/.-]*")
    for file, cells in notebooks().items():
        for n, cell in enumerate(cells, 1):
            for output in cell.get("outputs", []):
                shown = [output.get("text", ""), *(str(v) for k, v in output.get("data", {}).items() if "text" in k)]
                yield from (f"{near(file)}:1: output of cell {n}: {found}" for found in place.findall("\n".join(shown)))


def trusted():
    "Code of others runs nowhere but where SECURITY.md says, and the rule knows it when it sees it."
    yield from executions(modules())
    yield from (f"tests/trust.py:1: not seen: {line}" for line in seen())


RULES = {
    "ruff check is clean": ruff,
    f"no line is over {WIDTH} characters": long_lines,
    f"no module is over {MODULE_LINES} lines": long_modules,
    "no two notebooks share a number": same_numbers,
    "modules import only those with lower numbers": import_order,
    "the product imports no tool": product_and_tools,
    "gwi.inhibition and its parts import only one another": inhibition_alone,
    "gwi.report imports no torch": report_without_torch,
    "what the core does not bring is asked for by the extra that declares it": unasked_extras,
    "bodies of methods are no public functions": bodies_of_methods,
    "nothing is grafted onto a class": grafts,
    "no module uses another's private names": private_names,
    "tutorials say how long they take, and run or say why not without a clone": tutorials,
    "prose says images, not pictures": words,
    "outputs name no folder of a machine": places,
    "code of others runs nowhere but where SECURITY.md says": trusted,
    f"at least {DEMONSTRATED} % of the exported cells are demonstrated": demonstrated,
}


def house():
    "Rule -> whether it holds; what breaks it is printed."
    results = {}
    for name, rule in RULES.items():
        complaints = list(rule())
        for complaint in complaints: print(complaint)
        results[name] = not complaints
    return results


if __name__ == "__main__":
    results = house()
    for name, holds in results.items(): print("holds: " if holds else "BROKEN:", name)
    sys.exit(not all(results.values()))
