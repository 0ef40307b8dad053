"""Implementation of `amr_tf.report`: reads runs, compares them with the paper, writes tables and an HTML page."""
