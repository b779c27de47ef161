"""The estate on AWS: one component a file, each with a typed configuration of its own."""
