"""A run in MLflow: the store, the outbox, the registry. Nothing else imports mlflow."""
