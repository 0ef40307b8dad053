"""A trained model as others run it: the SavedModel with its papers, and a client of its server."""
