"""Translate every Triton kernel for two generations of GPUs, which need not be here, with two versions of Triton: that
of the lock file, and that of the oldest torch that the package supports, which is fetched once."""
import os
import subprocess
import sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
OLDEST = "triton==3.6.0"  # belongs to torch 2.11


def fetched():
    "The folder of the oldest Triton."
    folder = root / ".cache" / OLDEST.replace("==", "-")
    if not (folder / "triton").exists():
        install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*install, "--target", str(folder), OLDEST], check=True)
    return folder


def translated(*before):
    "Whether the kernels pass with the modules of these folders before all others."
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [*before, root]))}
    return not subprocess.run([sys.executable, "-m", "gwi.tools.kernel_checks"], cwd=root, env=env).returncode


if __name__ == "__main__":
    passed = [translated(), translated(fetched())]
    print(f"{sum(passed)} passed, {len(passed) - sum(passed)} failed")
    sys.exit(not all(passed))
