"""Where data comes in: streams and their schemas, landed files."""
