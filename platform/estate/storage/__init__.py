"""Buckets, and the keys they are encrypted under."""
