"""Who may do what: a role for each job and one for Airflow."""
