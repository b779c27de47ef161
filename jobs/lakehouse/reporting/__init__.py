"""Reports of the gates: pages a person reads, rendered from verdicts alone."""
