"""The exit statuses of the contract."""

from __future__ import annotations

__all__ = (
    "STATUS_FAILED",
    "STATUS_INCOMPLETE",
    "STATUS_INTERRUPTED",
    "STATUS_WRONG_USE",
)


STATUS_FAILED = 1
STATUS_WRONG_USE = 2
STATUS_INCOMPLETE = 3
STATUS_INTERRUPTED = 130
