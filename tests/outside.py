"""What `make test-outside` runs: every tutorial, outside any clone, with the package installed from its wheel.

Those that need no clone run from top to bottom; the others say that there is none and do nothing.
Given files: those."""
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from bare import build, installed

root = Path(__file__).resolve().parent.parent
RUN = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
NotebookClient(notebook, timeout=900, kernel_name="python3").execute()
said = [output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])]
print("says that there is no clone" if "No clone of the repository here" in "".join(said) else "ran")
"""


def environment(folder):
    "A virtual environment with the wheel, then all that is installed in ours; its Python."
    python, packages = installed(folder / "environment", build(folder / "copy"))
    shutil.rmtree(folder / "copy")
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib"))  # behind the wheel
    return python


def outside(names):
    "Tutorial -> whether it ran, or said why it does not."
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GWI_", "PYTHONPATH"))}
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        python = environment(Path(folder))
        for tutorial in names or sorted((root / "nbs" / "tutorials").glob("*.ipynb")):
            begin, copy = time.monotonic(), shutil.copy(tutorial, folder)
            made = subprocess.run([python, "-c", RUN, copy], cwd=folder, env=kept, capture_output=True, text=True)
            results[Path(tutorial).name] = not made.returncode
            said = (made.stderr if made.returncode else made.stdout).strip().splitlines()[-1:]
            print(f"{Path(tutorial).name}: {' '.join(said)}, {time.monotonic() - begin:.0f} s", flush=True)
    return results


if __name__ == "__main__":
    if missing := [name for name in sys.argv[1:] if not Path(name).is_file()]: sys.exit(f"{missing[0]}: no such file")
    results = outside(sys.argv[1:])
    print(f"{sum(results.values())} passed, {len(results) - sum(results.values())} failed")
    sys.exit(not all(results.values()))
