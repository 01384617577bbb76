"""Parts for any project: files, locks, signals, threads, set-up of TensorFlow's process."""
