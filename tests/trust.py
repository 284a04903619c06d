"""What SECURITY.md says of the package, as far as its source can show it: where code of others may run."""
import ast

# (module, call) that SECURITY.md names: networks that are programs; pickles of CIFAR, read for arrays alone
NAMED = {("networks", "exec_module"), ("networks", "torch.export.load"), ("networks", "torch.jit.load"),
         ("data.arrays", "pickle.Unpickler")}
RUNS = {"eval", "exec", "__import__", "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput",
        "exec_module", "torch.jit.load", "torch.export.load", "torch.hub.load", "runpy.run_path", "runpy.run_module"}
UNPICKLES = {"pickle.load", "pickle.loads", "pickle.Unpickler", "pd.read_pickle", "pandas.read_pickle", "marshal.load",
             "marshal.loads", "shelve.open", "joblib.load", "dill.load", "dill.loads", "cloudpickle.load"}
READS_TAGS = {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all"}
# must say this, or, where it is the library's own choice, nothing else
SAFELY = {"torch.load": ("weights_only", "True"), "read_array": ("allow_pickle", "False")}
UNLESS_SAID = {"np.load": ("allow_pickle", "False")}
STARTS = {"subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call", "subprocess.check_output",
          "faults.run"}


def called(node):
    "A call, or a base class, as it is written; of a method of what is no name, its name behind a point."
    text = ast.unparse(node)
    return text if text.replace(".", "").replace("_", "").isalnum() else f".{text.rpartition('.')[2]}"


def uses(tree):
    "What a module calls or derives from: (line, name, the call or None)."
    for node in ast.walk(tree):
        if isinstance(node, ast.Call): yield node.lineno, called(node.func), node
        if isinstance(node, ast.ClassDef): yield from ((node.lineno, called(base), None) for base in node.bases)


def complaint(name, call):
    "What is wrong with a call; None: nothing."
    short = name.rpartition(".")[2]
    for key in (name, short) if short in ("exec_module", "read_array") else (name,):
        if key in RUNS: return f"{key} runs code"
        if key in UNPICKLES: return f"{key} runs what a pickle says"
        if key in READS_TAGS: return f"{key} heeds tags; gwi.plain_yaml, or safe_load"
        if key in SAFELY: return unsafe(key, call, *SAFELY[key])
        if key in UNLESS_SAID: return unsafe(key, call, *UNLESS_SAID[key], is_own=True)
    if name not in STARTS or call is None: return None
    if any(word.arg == "shell" for word in call.keywords): return f"{name} with shell="
    is_text = call.args and isinstance(call.args[0], (ast.JoinedStr, ast.Constant, ast.BinOp))
    return f"{name} of a text; a list of words goes through no shell" if is_text else None


def unsafe(name, call, key, wanted, is_own=False):
    said = [ast.unparse(word.value) for word in call.keywords if word.arg == key]
    return None if said == [wanted] or is_own and not said else f"{name} without {key}={wanted}"


def executions(modules):
    "Where a module (name -> (file, tree)) runs what is not ours, but for the places that SECURITY.md names."
    found = set()
    for module, (file, tree) in modules.items():
        for line, name, call in uses(tree):
            key = (module, "exec_module" if name.endswith(".exec_module") else name)
            if key in NAMED: found.add(key)
            elif wrong := complaint(name, call): yield f"{file.name}:{line}: gwi.{module}: {wrong}"
    for module, name in sorted(NAMED - found): yield f"tests/trust.py:1: {module} has no {name} any more"


BAD = (
    "eval(x)", "exec(x)", "os.system('x')", "subprocess.run('ls', check=True)", "subprocess.run(f'ls {x}')",
    "subprocess.Popen(words, shell=True)", "faults.run('a b')", "yaml.load(x)", "torch.load(x)", "torch.jit.load(x)",
    "torch.load(x, weights_only=False)", "pickle.loads(x)", "class A(pickle.Unpickler): pass",
    "spec.loader.exec_module(m)", "np.load(x, allow_pickle=True)", "np.lib.format.read_array(x)")


def seen():
    "Bad lines that are not complained of."
    for line in BAD:
        tree = ast.parse(line)
        if not any(complaint(name, call) for _, name, call in uses(tree)): yield line
