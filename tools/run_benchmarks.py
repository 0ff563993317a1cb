"""Run every benchmark, benchmarks/bench_*.py, one after the other.

Usage: ``python tools/run_benchmarks.py [NAMES]``, where a name is the part after ``bench_``.
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


def main(names):
    """Run the benchmarks `names`, or all; return the first exit status that is not 0."""
    files = [FOLDER / f"bench_{name}.py" for name in names] or sorted(FOLDER.glob("bench_*.py"))
    if not files:
        print("benchmarks/ holds no bench_*.py")
    for file in files:
        print(f"== {file.stem}", flush=True)
        status = subprocess.run([sys.executable, str(file)], check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
