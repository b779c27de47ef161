"""Airflow on MWAA, and the files it is given."""
