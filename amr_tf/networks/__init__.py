"""Networks for the values of `--arch`, and layers that Keras does not provide."""
