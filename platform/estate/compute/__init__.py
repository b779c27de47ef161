"""Glue jobs, the code they run, and what keeps them running."""
