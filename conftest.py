"""What holds for all tests."""

import shutil

import kernel_home

kernel_home.prepare()  # the user's IPython settings do not reach the kernels that tests start

# Where there is no make, its lines are run by hand, and there is no Makefile to test.
collect_ignore = [] if shutil.which("make") else ["tests/test_makefile.py"]
