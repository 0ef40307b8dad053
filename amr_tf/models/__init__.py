"""Training methods. Each method is a Keras model that declares its losses."""
