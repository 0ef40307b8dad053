"""The process around every command: streams, signals, errors, files, TensorFlow's start."""
