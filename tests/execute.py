"What `make notebooks` runs: execute notebooks from a clean kernel and save their outputs, without the warnings, which name paths and process ids."
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

root = Path(__file__).resolve().parent.parent
chosen = [Path(a).resolve() for a in sys.argv[1:]] or [*sorted((root / "nbs").glob("*.ipynb")), *sorted((root / "nbs" / "tutorials").glob("*.ipynb"))]
for path in chosen:
    print(path.relative_to(root), flush=True)
    nb = nbformat.read(path, 4)
    NotebookClient(nb, timeout=900, kernel_name="python3", resources={"metadata": {"path": path.parent}}).execute()
    for cell in nb.cells:
        if cell.cell_type == "code": cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    nbformat.write(nb, path)
