"""The network that jobs and Airflow run in."""
