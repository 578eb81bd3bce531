"""A fresh process: what it has loaded after it did something."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.unit.conftest import REQUIRED

ROOT = Path(__file__).parents[2]
_TELL = "\nimport json, sys\nprint(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"


def loaded_by(code: str, **changes: str) -> set[str]:
    """The packages that a Python process with these settings has loaded after running the code."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("LETHE_")}
    env |= {f"LETHE_{name.upper()}": value for name, value in {**REQUIRED, **changes}.items()}
    argv = [sys.executable, "-c", code + _TELL]
    done = subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))
