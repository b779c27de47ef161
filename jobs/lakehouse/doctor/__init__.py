"""Checks an account before the first deployment; asks, and changes nothing."""
