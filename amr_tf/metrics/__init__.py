"""Metrics of codes and images: pure functions of arrays, for anyone's codes. NumPy, SciPy and scikit-learn only."""

# Results and random draws of a renamed metric are those under its former name.
FORMER_NAMES = {"factor_vae_disentanglement_lib": "factor_vae_dlib"}
