"""What the figures of trained runs are called and show, for the command lines. How they are drawn: `amr_tf.figures`."""

FIGURES = {
    "interpolation": "pixel blend and decoded paths between test images, a row for each run",
    "triangle": "decoded mixes of three test images, for the first run",
    "traversal": "one number of a flat code changed at a time, for the first run",
    "masks": "supervised mixing: the mask of each combination of attributes, for the first run",
    "attribute_mixes": "supervised mixing: pairs of test images mixed for each combination, for the first run",
    "spiral": "points: decoded mixes over real points, and their distance to the spiral, a panel for each setting",
    "latent": "codes in 3-D, real and mixed, a panel for each setting",
}
