"""Metrics of codes and images: pure functions of arrays, for anyone's codes. NumPy, SciPy and scikit-learn only.

METRICS says what each is in a line. What a trained run gives to each of them is `amr_tf.measures`'s business.
"""

METRICS = {
    "probe": "linear classifier on frozen codes: test accuracy",
    "probe_pixels": "the same classifier on pixels, the floor for `probe`",
    "clustering": "k-means on whitened codes: test accuracy (ACAI)",
    "reconstruction": "MSE, MAE, PSNR and SSIM on the test split",
    "interpolation": "how far decoded mixes are from real images, and from their own codes",
    "attributes": "supervised mixes that show all asked-for attributes to an independent classifier",
    "lines": "mean distance and smoothness of paths between lines (ACAI)",
    "spiral": "mean distance of decoded mixes to the spiral, beside reconstructions and blends of points",
    "factor_vae": "FactorVAE's majority vote (Kim and Mnih 2018), 800 votes of 100 images",
    "factor_vae_dlib": "the same with the numbers of disentanglement_lib",
    "amr_dfv": "the AMR paper's Table 3: 0.80 at most, and for a collapsed code too",
    "beta_vae": "beta-VAE's classifier of differences (Higgins et al. 2017)",
    "mig": "mutual information gap (Chen et al. 2018)",
    "sap": "separated attribute predictability (Kumar et al. 2018), continuous",
    "dci": "disentanglement, completeness, informativeness (Eastwood and Williams 2018)",
    "dci_quick": "the same of fewer examples",
    "modularity": "modularity (Ridgeway and Mozer 2018)",
}
