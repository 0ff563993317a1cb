"""Run one step of `make`: say what it does, show its command, time it, and say how it ended.

Usage: ``python tools/step.py TITLE [--hint WHAT_TO_DO] -- COMMAND ...``, and around a sequence of
steps ``python tools/step.py --begin`` and ``python tools/step.py --end NAME``, which sums up.
Needs only the standard library, because the first steps make the environment.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

LOG = Path("_build") / ".steps.json"


def duration(seconds):
    """Return the time in words: ``8.3 s`` or ``2 min 5 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def run(title, command, hint):
    """Run `command` with its output in sight; return its exit status."""
    print(f"\n==> {title}\n    $ {shlex.join(command)}", flush=True)
    begun = time.perf_counter()
    try:
        status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    except FileNotFoundError:
        print(f"    {command[0]} is not there")
        status = 127
    except KeyboardInterrupt:
        status = 130
    took = time.perf_counter() - begun
    if status:
        print(f"\n==> FAILED after {duration(took)}: {title}")
        print(f"    What to do: {hint}" if hint else "    The reason is above.", flush=True)
        return status
    print(f"==> done in {duration(took)}: {title}", flush=True)
    if LOG.exists():
        steps = json.loads(LOG.read_text(encoding="utf-8"))
        LOG.write_text(json.dumps([*steps, [title, took]]), encoding="utf-8")
    return 0


def begin():
    """Forget the steps of an earlier run."""
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text("[]", encoding="utf-8")


def end(name):
    """Print every step with its time, and the sum."""
    steps = json.loads(LOG.read_text(encoding="utf-8"))
    LOG.unlink()
    print(f"\n==> {name}: all steps passed")
    for title, took in [*steps, ["in all", sum(took for _, took in steps)]]:
        print(f"    {duration(took):>12}  {title}")


def main(argv=None):
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("title", nargs="?")
    parser.add_argument("--hint", default="")
    parser.add_argument("--begin", action="store_true")
    parser.add_argument("--end", metavar="NAME")
    argv = sys.argv[1:] if argv is None else argv
    cut = argv.index("--") if "--" in argv else len(argv)
    args, command = parser.parse_args(argv[:cut]), argv[cut + 1 :]
    if args.begin:
        begin()
    elif args.end:
        end(args.end)
    elif args.title and command:
        return run(args.title, command, args.hint)
    else:
        parser.error("a title and, after --, a command are needed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
