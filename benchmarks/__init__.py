"""How fast ingestion is, against what bounds it and against Spark's own way."""
