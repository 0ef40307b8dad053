"""Networks, a file for each family of `--arch`, and the layers that Keras lacks."""
