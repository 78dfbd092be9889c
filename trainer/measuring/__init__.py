"""Rates of error, and what they are shown as."""
