"""Bronze to silver: refine, gate, publish."""
