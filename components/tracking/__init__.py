"""Runs and the model registry: the only place that imports mlflow."""
