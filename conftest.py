"""What holds for all tests."""

import shutil

import kernel_home
from hypothesis import settings

kernel_home.prepare()  # the user's IPython settings do not reach the kernels that tests start

# Where there is no make, its lines are run by hand, and there is no Makefile to test.
collect_ignore = [] if shutil.which("make") else ["tests/test_makefile.py"]

# No test asserts a time: machines are noisy. And the same examples are drawn in every run.
settings.register_profile("book", deadline=None, derandomize=True)
settings.load_profile("book")
