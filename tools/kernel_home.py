"""A home of the kernels' own, so that a reader's IPython settings cannot change the book.

Whatever runs notebooks calls `prepare` first. Kernels then start with this profile only: no startup
files of the user, and the kernel of this environment even when the user has others.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = """\
c.IPKernelApp.log_level = "ERROR"
c.InteractiveShell.xmode = "{xmode}"
c.InteractiveShell.colors = "nocolor"
c.HistoryManager.enabled = False
c.InteractiveShellApp.exec_lines = ["__import__('sys').stdout.flush_interval = 60.0"]
"""  # what a cell prints arrives in one piece: pieces cut in mid-line are not put together well


def prepare(*, xmode="Context"):
    """Write the kernels' profile below _build and point this process's kernels to it.

    Parameters
    ----------
    xmode : str
        IPython's traceback mode: "Context" shows the lines, "Minimal" only the error, without
        this machine's paths.

    Returns
    -------
    Path
        The folder that IPYTHONDIR now names.
    """
    home = ROOT / "_build" / ".ipython" / xmode.lower()
    config = home / "profile_default" / "ipython_kernel_config.py"
    text = CONFIG.format(xmode=xmode)
    if not config.exists() or config.read_text(encoding="utf-8") != text:
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(text, encoding="utf-8")
    os.environ["IPYTHONDIR"] = str(home)
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    return home
