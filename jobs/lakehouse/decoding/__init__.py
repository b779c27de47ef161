"""Bytes to rows: formats, codecs, and the rules of one record."""
