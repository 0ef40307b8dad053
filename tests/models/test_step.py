"""The contract of a training step: who moves when, and at what cost."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from amr_tf.models.build import build_model
from amr_tf.registry import ARCHS, MODELS
from tests.models.by_hand import bce, l1, moved, snapshot
from tests.support.config import tiny_config

SHAPES = {"burgess": (64, 64, 1), "mlp": (1, 1, 2), "resnet": (64, 64, 3)}
RNG = np.random.default_rng(0)


def make(model="amr", arch="amr_fixed", batch=4, compiled=False, **settings):
    """A small model and a batch for it. What a step does, and not its graph, is quicker seen uncompiled."""
    config = tiny_config(**{"model": model, "arch": arch, "depth": 4, "batch_size": batch} | settings)
    shape = SHAPES.get(arch, (32, 32, 1))
    x = RNG.uniform(-1, 1, (batch, *shape)).astype("float32")
    network = build_model(config, shape, 10)
    network.run_eagerly = not compiled
    return network, x, RNG.integers(10, size=batch)


@pytest.mark.parametrize(("model", "arch"), list(itertools.product(MODELS, ARCHS)))
def test_every_model_trains_with_every_architecture(model, arch, tmp_path):
    """Two steps, finite losses, every network moves; a checkpoint restores every variable bit for bit.

    The step is compiled for one model with every architecture and
    for one architecture with every model; `data/test_commands.py` compiles the residual networks.
    """
    settings = {"update_g_every": 1} | ({"latent_width": 32} if arch == "resnet" else {})
    compiled = arch != "resnet" and (model == "amr" or arch == "mlp")
    network, x, y = make(model, arch, compiled=compiled, **settings)
    players = [network.encoder, network.decoder, network.probe]
    players += [network.discriminator] if hasattr(network, "discriminator") else []
    before = snapshot(*players)
    for _ in range(2):
        logs = network.train_on_batch(x, y, return_dict=True)
    assert all(np.isfinite(value) for value in logs.values())
    assert np.mean(moved(before, *players)) > 0.9

    assert int(restored_equal(network, tmp_path, model, arch, **settings).step) == 2


def restored_equal(network, folder, *args, **settings):
    """Another model, restored from a checkpoint of `network`: weights, u, optimizer slots and step, bit for bit."""
    path = tf.train.Checkpoint(model=network).save(folder / "checkpoint")
    restored, _, _ = make(*args, seed=5, **settings)
    tf.train.Checkpoint(model=restored).restore(path).assert_consumed()
    for ours, theirs in zip(all_variables(restored), all_variables(network), strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=theirs.path)
    return restored


def all_variables(network):
    optimizers = [
        getattr(network, f"{player}_optimizer", None) for player in ("generator", "discriminator", "probe")
    ]
    return network.weights + [v for optimizer in optimizers if optimizer for v in optimizer.variables]


def test_a_checkpoint_of_float16_holds_the_scales_of_the_losses(tmp_path):
    """The first scale is too large for the generator's gradient: halved, counted from there, and restored so."""
    settings = {"update_g_every": 1, "mixed_precision": "float16"}
    network, x, y = make("amr", "mlp", **settings)
    first = float(network.generator_optimizer.dynamic_scale)
    for _ in range(3):
        network.train_on_batch(x, y)
    optimizer = restored_equal(network, tmp_path, "amr", "mlp", **settings).generator_optimizer
    scale, applied = float(optimizer.dynamic_scale), int(optimizer.iterations)
    assert scale == first / 2 ** (3 - applied)


def test_generator_learns_on_every_nth_step_of_an_epoch_only():
    """update_g_every=3 with epochs of 5 steps: steps 0, 3, then 5, 8 again; the others always learn."""
    network, x, y = make(update_g_every=3)
    network.epoch_length = 5
    updated = []
    for _ in range(10):
        generator = snapshot(network.encoder, network.decoder)
        others = snapshot(network.discriminator, network.probe)
        logs = network.train_on_batch(x, y, return_dict=True)
        updated.append(any(moved(generator, network.encoder, network.decoder)))
        assert any(moved(others, network.discriminator, network.probe))
        of_generator = {"gan_recon", "gan_mix", "gen_loss"}
        assert of_generator & set(logs) == (of_generator if updated[-1] else set()), (
            "logged although not computed"
        )
        assert all(np.isfinite(value) for value in logs.values())
    assert [step for step, moves in enumerate(updated) if moves] == [0, 3, 5, 8]


def test_cosine_schedule_is_shared_and_ends_with_the_run():
    """Half a cosine from the learning rate at step 0 to 0 at the last one, counted in the model's steps.

    The generator, which learns on every third step, is at the same rate as the others.
    """
    network, x, y = make(
        schedule="cosine", learning_rate=0.01, epochs=2, update_g_every=3, arch="mlp", compiled=True
    )
    network.epoch_length = 3
    optimizers = (network.generator_optimizer, network.discriminator_optimizer, network.probe_optimizer)
    for step in range(7):
        expected = 0.01 * (1 + np.cos(np.pi * step / 6)) / 2
        rates = [float(optimizer.learning_rate) for optimizer in optimizers]
        np.testing.assert_allclose(rates, expected, rtol=1e-5, atol=1e-9)
        before = snapshot(network.discriminator, network.probe)
        network.train_on_batch(x, y)
        # Nothing is learnt at the rate 0; a rate that was compiled in would still apply.
        assert any(moved(before, network.discriminator, network.probe)) == (step < 6)


def test_cosine_schedule_without_a_run_length_is_refused():
    network, x, y = make(schedule="cosine")
    with pytest.raises(ValueError, match="--schedule=cosine needs the run's length"):
        network.train_on_batch(x, y)


@pytest.mark.parametrize(("model", "generator_passes", "discriminator_passes"),
                         [("aegan", 2, 2), ("amr", 2, 3), ("amr_supervised", 3, 4), ("acai_rerun", 1, 3)])  # fmt: skip
@pytest.mark.parametrize("update_g_every", [1, 2])
def test_power_vectors_move_once_a_pass(model, generator_passes, discriminator_passes, update_g_every):
    """u after a step equals that many power iterations of the kernel as it was, run in NumPy."""
    network, x, y = make(model, "amr", update_g_every=update_g_every)
    network.train_on_batch(x, y)
    layer = next(layer for layer in network.discriminator.layers if hasattr(layer, "u"))
    matrix = layer.kernel.numpy().reshape(-1, layer.kernel.shape[-1]).astype("float64")
    u = layer.u.numpy().astype("float64")
    network.train_on_batch(x, y)
    for _ in range(generator_passes + discriminator_passes):
        v = matrix @ u / np.linalg.norm(matrix @ u)
        u = matrix.T @ v / np.linalg.norm(matrix.T @ v)
    np.testing.assert_allclose(layer.u.numpy(), u, atol=1e-5)


def test_players_do_not_move_each_other():
    """With weight decay off, a phase moves its own networks and no others."""
    network, x, y = make(weight_decay=0.0)
    generator = (network.encoder, network.decoder)

    before = snapshot(network.discriminator, network.probe)
    forward = network.generator_step(tf.constant(x), y)
    assert not any(moved(before, network.discriminator, network.probe))

    before = snapshot(*generator, network.probe)
    network.discriminator_step(forward)
    assert not any(moved(before, *generator, network.probe))

    before = snapshot(*generator, network.discriminator)
    network.probe_step(forward.h, y)
    assert not any(moved(before, *generator, network.discriminator))


def test_evaluation_moves_nothing():
    network, x, y = make(arch="amr")
    before = [v.numpy() for v in network.weights]
    network.evaluate(x, y, batch_size=3, verbose=0)
    assert not any(np.any(a != v.numpy()) for a, v in zip(before, network.weights, strict=True))


def test_evaluation_counts_the_last_partial_batch_right():
    """4 examples in batches of 3 and 1 give the same means as one batch of 4."""
    network, x, y = make()
    whole = network.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)
    parts = network.evaluate(x, y, batch_size=3, verbose=0, return_dict=True)
    assert whole == pytest.approx(parts, rel=1e-5)


def test_step_without_update_computes_no_generator_gradient():
    """Filter gradients in each branch of the compiled step: the discriminator's alone where no update is due."""
    network, x, y = make(update_g_every=2)

    def filter_gradients(update):
        step = tf.function(lambda: network.train_step((x, y), update_generator=update))
        return sum(
            op.type == "Conv2DBackpropFilter" for op in pruned_operations(step.get_concrete_function())
        )

    convolutions = {n: sum(v.name == "kernel" and len(v.shape) == 4 for v in getattr(network, n).trainable_variables)
                    for n in ("encoder", "decoder", "discriminator")}  # fmt: skip
    without, with_update = filter_gradients(False), filter_gradients(True)
    assert without == 3 * convolutions["discriminator"]
    # The encoder is used once, the decoder for reconstructions and mixes.
    assert with_update == without + convolutions["encoder"] + 2 * convolutions["decoder"]


def pruned_operations(function):
    """The operations that the state updates and outputs of a traced function depend on, as the runtime keeps them."""
    graph, wanted = function.graph, []
    queue = [*(t.op for t in graph.outputs), *graph.control_outputs]
    seen = set()
    while queue:
        op = queue.pop()
        if op.name not in seen:
            seen.add(op.name)
            wanted.append(op)
            queue += [t.op for t in op.inputs] + list(op.control_inputs)
    return wanted


def test_the_step_is_traced_once():
    """Whichever kind of step comes first, and however many follow."""
    network, x, y = make(arch="acai", latent_width=16, update_g_every=3, compiled=True)
    traces = []
    forward = network.forward
    network.forward = lambda *data: traces.append(1) or forward(*data)
    for _ in range(7):
        network.train_on_batch(x, y)
    assert len(traces) == 2, "one for each of the two kinds of step"


def test_consistency_loss_reaches_the_total_and_both_its_sides():
    """beta scales it into gen_loss; the encoder gets gradient from h_mix as well as from f(x_mix)."""
    network, x, y = make(beta=2.0, update_g_every=1)
    logs = network.train_on_batch(x, y, return_dict=True)
    terms = 10 * logs["recon"] + logs["gan_recon"] + logs["gan_mix"] + 2 * logs["consistency"]
    assert logs["gen_loss"] == pytest.approx(terms, rel=1e-5)

    with tf.GradientTape() as tape:
        forward = network.forward(tf.constant(x))
        h_mix = tf.identity(forward.h_mix)
        tape.watch(h_mix)
        loss = network.generator_losses(dataclasses.replace(forward, h_mix=h_mix))["consistency"]
    assert np.any(tape.gradient(loss, h_mix))


def test_same_seed_same_numbers_and_another_seed_others():
    runs = {}
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        network, x, y = make(seed=seed)
        x, y = np.linspace(-1, 1, x.size, dtype="float32").reshape(x.shape), np.arange(len(y))
        runs[name] = [network.train_on_batch(x, y, return_dict=True)["disc_loss"] for _ in range(3)]
    assert runs["first"] == runs["again"]
    assert runs["first"] != runs["other"]


def test_each_step_draws_anew():
    network, x, _ = make()
    first = network.forward(tf.constant(x)).weights
    network.step.assign_add(1)
    assert np.any(first != network.forward(tf.constant(x)).weights)


@pytest.mark.parametrize("mixer", ["mixup", "bernoulli"])
def test_interpolation_starts_and_ends_at_the_reconstructions(mixer):
    network, x, _ = make(mixer=mixer)
    path = network.interpolate(x[:2], x[2:], 5)
    assert path.shape == (2, 5, 32, 32, 1)
    np.testing.assert_allclose(path[:, 0], network.reconstruct(x[:2]), atol=1e-5)
    np.testing.assert_allclose(path[:, -1], network.reconstruct(x[2:]), atol=1e-5)


def judged(network, x, *names):
    """A forward pass and the discriminator's scores of its images. None of these networks has spectral norm."""
    forward = network.forward(tf.constant(x))
    return forward, *(network.discriminator(getattr(forward, name)).numpy() for name in names)


def assert_losses(network, x, y, generator, discriminator=None):
    logs = network.train_on_batch(x, y, return_dict=True)
    assert logs["gen_loss"] == pytest.approx(np.mean(generator), rel=1e-4)
    assert discriminator is None or logs["disc_loss"] == pytest.approx(np.mean(discriminator), rel=1e-4)


def test_acai_losses_are_those_of_the_paper():
    """MSE + 0.5 mean D(x_m)^2, and the discriminator's squared errors, from the definition."""
    network, x, y = make("acai", "acai")
    forward, score = judged(network, x, "mix")
    blend = network.discriminator(0.2 * x + 0.8 * forward.recon)
    generator = np.mean((x - forward.recon) ** 2) + 0.5 * np.mean(score**2)
    assert_losses(network, x, y, generator, (score - np.ravel(forward.weights[:, 0])) ** 2 + blend**2)


def test_amr_losses_are_those_of_the_paper():
    """Eq. 3 with a mix of three and consistency, from the definition."""
    network, x, y = make("amr", "acai", k=3, latent_width=16, beta=1.5, lambda_=4.0, update_g_every=1)
    forward, real, recon, mixed = judged(network, x, "x", "recon", "mix")
    consistency = l1(network.encode(forward.mix), forward.h_mix)
    generator = 4 * l1(x, forward.recon) + bce(recon, 1) + bce(mixed, 1) + 1.5 * consistency
    assert_losses(network, x, y, generator, bce(real, 1) + bce(recon, 0) + bce(mixed, 0))


def test_the_papers_rerun_of_acai_has_its_own_targets():
    """G: lambda l1 + l(D(x_m), 0). D: 0 for images and reconstructions, 2 min(alpha, 1 - alpha) for mixes."""
    network, x, y = make("acai_rerun", "acai", latent_width=16, lambda_=3.0, update_g_every=1)
    forward, real, recon, mixed = judged(network, x, "x", "recon", "mix")
    alpha = np.ravel(forward.weights[:, 0])
    discriminator = bce(real, 0) + bce(recon, 0) + bce(mixed, 2 * np.minimum(alpha, 1 - alpha))
    assert_losses(network, x, y, 3 * l1(x, forward.recon) + bce(mixed, 0), discriminator)


def test_a_plain_autoencoder_minimises_the_reconstruction_alone():
    network, x, y = make("ae", "acai", latent_width=16)
    assert_losses(network, x, y, l1(x, network.reconstruct(x)))


def test_images_of_numpys_own_precision_train_as_well():
    network, x, y = make("ae", "acai", latent_width=16, compiled=True)
    assert np.isfinite(network.train_on_batch(x.astype("float64"), y, return_dict=True)["recon"])


def test_a_drawn_mix_is_built_from_the_codes_of_its_parents():
    """Three parents, given draw: h_mix is their weighted sum and x_mix its decoding."""
    network, x, _ = make(k=3)
    indices, weights = network.mixer.sample(4, network.code_shape, network.seeds())
    forward = network.forward(tf.constant(x))
    h = network.encode(x).numpy()
    expected = sum(weights[:, i] * h[indices[:, i]] for i in range(3))
    np.testing.assert_allclose(forward.h_mix, expected, atol=1e-5)
    np.testing.assert_allclose(forward.mix, network.decode(forward.h_mix), atol=1e-5)
