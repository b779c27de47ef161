"""What people query: databases, the history of the gates, Athena."""
