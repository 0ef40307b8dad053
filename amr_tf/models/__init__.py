"""Training methods, a file each: Keras models that declare their losses."""
