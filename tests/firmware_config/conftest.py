"""Fixtures of this folder."""

from tests.connections import connect

__all__ = ["connect"]
