"""Requests of every float signature, and the answers of the Keras model to them."""

import numpy as np

from amr_tf.serving import client, v2
from tests.serving.stand_in import MODEL

PARENTS = 3


def connect(url: str):
    return client.connect(url, "" if url.startswith(v2.SCHEME) else MODEL, 60.0)


def cases(model, batch: int) -> dict[str, tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """Inputs and outputs by signature; mixed by NumPy."""
    rng, ones = np.random.default_rng(batch), (1,) * len(model.code_shape)

    def images(*free: int) -> np.ndarray:
        return rng.uniform(-1, 1, (batch, *free, *model.image_shape)).astype(np.float32)

    def decoded(codes) -> dict[str, np.ndarray]:
        return {"images": model.decode(codes).numpy()}

    x, h, parents = images(), rng.normal(size=(batch, *model.code_shape)), images(PARENTS)
    h = h.astype(np.float32)
    codes, logits = model.encode(x).numpy(), model.probe(model.encode(x)).numpy()
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    of_parents = np.stack([model.encode(parents[:, k]).numpy() for k in range(PARENTS)], axis=1)
    alpha = rng.random(batch, np.float32)
    share = alpha.reshape(-1, *ones)
    weights = rng.dirichlet(np.ones(PARENTS), batch).astype(np.float32)
    chosen = rng.integers(PARENTS, size=(batch, model.code_shape[-1]))
    masks = np.moveaxis(np.eye(PARENTS, dtype=np.float32)[chosen], 2, 1)
    of_mixes = [
        (values.reshape(batch, PARENTS, *shape) * of_parents).sum(axis=1)
        for values, shape in ((weights, ones), (masks, (*ones[1:], -1)))
    ]
    one, pair = {"images": x}, {"first": x, "second": parents[:, 0]}
    found = {
        "reconstruct": (one, {"reconstructions": model.decode(codes).numpy(), "codes": codes}),
        "encode": (one, {"codes": codes}),
        "decode": ({"codes": h}, decoded(h)),
        "classify": (one, {"logits": logits, "probabilities": powers / powers.sum(axis=1, keepdims=True)}),
        "interpolate": (pair | {"alpha": alpha}, decoded(share * codes + (1 - share) * of_parents[:, 0])),
        "mix": ({"images": parents, "weights": weights}, decoded(of_mixes[0])),
        "mix_bernoulli": ({"images": parents, "masks": masks}, decoded(of_mixes[1])),
    }
    if model.has_discriminator:
        found["discriminate"] = (one, {"scores": model.discriminator(x, training=False).numpy()})
    return found | {"serving_default": found["reconstruct"]}


def assert_answers(url: str, model, batches=(1, 7, 64)) -> None:
    """Every float signature of the server answers as the model does, within 1e-5."""
    server = connect(url)
    for batch in batches:
        for name, (inputs, outputs) in (found := cases(model, batch)).items():
            if name not in server.signatures:
                continue
            answer = server.predict(name, inputs)
            assert set(answer) == set(outputs)
            for key, value in outputs.items():
                np.testing.assert_allclose(
                    answer[key], value, rtol=1e-5, atol=1e-5, err_msg=f"{name}/{batch}/{key}"
                )
    floats = {name for name in server.signatures if not name.endswith(("_uint8", "_png"))}
    default = set() if url.startswith(v2.SCHEME) else {"serving_default"}  # which is no model of a v2 server
    assert floats == {*found} - {"serving_default"} | default
