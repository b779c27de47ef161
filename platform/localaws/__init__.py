"""The estate on one machine: the emulator, Glue runs by spark-submit, Athena by DuckDB."""
