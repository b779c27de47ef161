"""The acceptance of a stack: what has to work on an account, step by step, with its evidence."""
