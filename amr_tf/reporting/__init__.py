"""The work of `amr_tf.report`: reading runs, comparing them with the paper, writing tables and a page."""
