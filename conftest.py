"""Kernels that tests start know nothing of the user's IPython settings."""

import kernel_home

kernel_home.prepare()
