"""The version of this program; the package's metadata reads it here."""

from __future__ import annotations

__all__ = ("VERSION",)

VERSION = "0.1.0"
