"""Loads: input to bronze, exactly once."""
