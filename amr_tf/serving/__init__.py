"""A trained model for use elsewhere: the SavedModel with its descriptions, and a client of its server."""
