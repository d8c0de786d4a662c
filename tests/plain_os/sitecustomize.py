"""Hides what only some systems have, so that the plain path is the one that runs.

Every interpreter that has this folder on its path loads this module first, by its name;
`tests/conftest.py` imports it for the tests' own interpreter.
"""

from __future__ import annotations

__all__ = ("HIDDEN",)

import os
import sys

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]

HIDDEN = (
    "O_DIRECTORY",
    "O_NOFOLLOW",
    "copy_file_range",
    "fchmod",
    "link",
    "pidfd_open",
    "posix_fadvise",
)
"""Names of the module `os`."""

for name in HIDDEN:
    if hasattr(os, name):
        delattr(os, name)
os.supports_dir_fd.clear()
os.supports_fd.clear()
sys.modules["yaml._yaml"] = None  # type: ignore[assignment]  # so that it cannot be imported
if resource is not None and hasattr(resource, "RUSAGE_THREAD"):
    del resource.RUSAGE_THREAD
