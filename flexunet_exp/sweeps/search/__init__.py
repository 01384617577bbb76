"""A sweep as an Optuna study."""
