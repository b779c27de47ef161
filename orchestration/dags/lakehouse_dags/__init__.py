"""What the DAGs share. Airflow's environment has none of the jobs' library, and needs none."""
