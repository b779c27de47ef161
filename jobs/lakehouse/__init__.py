"""The library of the lakehouse: what every job, DAG and command of the platform is made of."""

__version__ = "0.1.0"
