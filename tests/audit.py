"""What PyPI knows of weaknesses in the locked dependencies: `make audit`. pip-audit runs in an environment of its own,
which uv makes and keeps, and reads the lock file alone, so that nothing of it gets into .venv. Ends with 0: all were
looked up, and nothing is known of any; 1: something is; 2: not all could be looked up, which is no result."""
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
AUDITOR = "pip-audit==2.10.1"
OPTIONS = ("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json", "--aliases", "on",
           "--desc", "off", "--timeout", "20")


def asked(lock):
    "What pip-audit finds: its JSON, or a sentence."
    uv = Path(sys.executable).with_name("uv")
    command = [uv, "tool", "run", "-q", "--python", sys.executable, AUDITOR, "-r", lock, *OPTIONS]
    try: ended = subprocess.run(command, capture_output=True, text=True)
    except OSError as e: return f"{uv}: {e.strerror}; make install brings it"
    try: return json.loads(ended.stdout)
    except ValueError: return (ended.stderr.strip().splitlines() or ["no answer"])[-1].strip()


def weaknesses(packages):
    "A line for each that is known."
    for package in packages:
        for known in package.get("vulns", ()):
            names, fixed = ", ".join([known["id"], *known["aliases"]]), ", ".join(known["fix_versions"])
            yield f"{package['name']} {package['version']}: {names}; fixed in {fixed or 'no version'}"


def audit(lock=LOCK, ask=asked):
    "Say what is known -> the status to end with."
    found = ask(lock)
    if isinstance(found, str):
        print(f"audit: PyPI could not be asked, so this is no result: {found}", file=sys.stderr)
        return 2
    packages, known = found["dependencies"], list(weaknesses(found["dependencies"]))
    silent = Counter(p["skip_reason"].partition(":")[0] for p in packages if "skip_reason" in p)
    for line in known: print(line)
    print(f"{AUDITOR}: {len(packages) - silent.total()} of {len(packages)} packages of {lock.name} were looked up, "
          f"known weaknesses: {len(known)}", flush=True)
    if not silent: return int(bool(known))
    print(f"audit: {silent.total()} packages were not looked up, so this is no result: {silent.most_common(1)[0][0]}; "
          "pip-audit needs the JSON that PyPI itself has for each version, which a mirror may lack", file=sys.stderr)
    return 2


if __name__ == "__main__": sys.exit(audit())
