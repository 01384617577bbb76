"""A run in MLflow: the store, the outbox, the registry. Only this folder imports mlflow."""
