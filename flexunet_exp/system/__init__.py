"""What would serve any project: files, locks, signals, threads, TensorFlow's process set-up."""
