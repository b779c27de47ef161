"""What a person or a schedule does to tables that are there: rebuild, compare, keep small."""
