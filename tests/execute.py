"""What `make notebooks` runs: execute notebooks from a clean kernel and save their outputs, without the warnings, which
name paths and process ids. Given names: those; else all but the experiments, which papermill runs."""
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from gwi.pipeline.notebooks import without_warnings

root = Path(__file__).resolve().parent.parent


def all_notebooks():
    "Every notebook but the experiments, and the copies that an editor keeps."
    files = (root / "nbs").rglob("*.ipynb")
    return sorted(f for f in files if not {"experiments", ".ipynb_checkpoints"} & set(f.parts))


def execute(path):
    "Execute a notebook where it lies, and save it."
    print(path.relative_to(root), flush=True)
    notebook = nbformat.read(path, 4)
    where = {"metadata": {"path": path.parent}}
    NotebookClient(notebook, timeout=900, kernel_name="python3", resources=where).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code": cell.outputs = without_warnings(cell.outputs)
    nbformat.write(notebook, path)


for path in [Path(name).resolve() for name in sys.argv[1:]] or all_notebooks(): execute(path)
