"""Each contestant is a program of its own, so that its CPU time and memory are its own too."""
