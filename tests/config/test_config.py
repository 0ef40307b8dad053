"""Config: limits, rules and published defaults, without TensorFlow."""

import dataclasses
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr_tf import config as config_lib
from amr_tf.config import ConfigError, flag_name, rules
from amr_tf.config.defaults import FIXED
from amr_tf.config.rules import profiled
from amr_tf.registry import ARCHS, DATASETS, MODELS

Config = config_lib.Config
FIELDS = {field.name: field for field in dataclasses.fields(Config)}
JUNK = st.one_of(
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 0, 2**31, 10**400, -(10**400)]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(),
    st.sampled_from(["", " ", "a\nb", "\x1b[31m", "\x7f", "\u2028", "\ud800", "amr ", "x" * 5000]),
    st.binary(),
    st.lists(st.integers()),
    st.dictionaries(st.text(), st.none()),
)


def within_limits(field: dataclasses.Field) -> st.SearchStrategy:
    """Values that the field's own declaration admits."""
    limits = field.metadata["limits"]
    if field.metadata["choices"]:
        return st.sampled_from(list(field.metadata["choices"]))
    if field.type is bool:
        return st.booleans()
    if field.type is int:
        return st.integers(limits["low"], limits["high"]) | st.integers(limits["low"], limits["low"] + 100)
    if field.type is float:
        low = limits["low"] if limits["above"] is None else limits["above"]
        return st.floats(
            low,
            limits["below"],
            exclude_min=limits["above"] is not None,
            exclude_max=limits["below"] is not None,
            allow_infinity=False,
        )
    return st.text(st.characters(categories=["L", "N", "P", "S"]))


def settings_of(values) -> st.SearchStrategy:
    """Keyword arguments for a handful of fields at a time, so that all of them can be right at once."""
    names = st.lists(st.sampled_from(list(FIELDS)), unique=True, max_size=6)
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries({name: values(FIELDS[name]) for name in chosen})
    )


def assert_valid(config: Config) -> None:
    for name, field in FIELDS.items():
        value, limits = getattr(config, name), field.metadata["limits"]
        assert isinstance(value, field.type)
        assert isinstance(value, bool) == (field.type is bool)
        assert not field.metadata["choices"] or value in field.metadata["choices"]
        if field.type is str:
            assert value.isprintable()
            continue
        assert math.isfinite(value)
        assert limits["low"] is None or value >= limits["low"]
        assert limits["high"] is None or value <= limits["high"]
        assert limits["above"] is None or value > limits["above"]
        assert limits["below"] is None or value < limits["below"]
    assert all(rule.holds(config) for rule in rules.RULES)


def assert_helpful(message: str) -> None:
    assert message.isprintable()
    assert "Received: --" in message
    assert any(f"--{flag_name(name)}" in message for name in FIELDS)


@settings(max_examples=300)
@given(settings_of(within_limits) | settings_of(lambda field: within_limits(field) | JUNK | st.none()))
def test_any_keywords_give_a_valid_config_or_one_helpful_line(keywords):
    try:
        config = Config(**keywords)
    except ConfigError as error:
        assert_helpful(str(error))
        return
    assert_valid(config)
    assert all(getattr(config, name) == value for name, value in keywords.items() if value is not None)
    assert Config(**dataclasses.asdict(config)) == config


@given(st.data())
def test_every_field_refuses_junk(data):
    name = data.draw(st.sampled_from(list(FIELDS)))
    kind = FIELDS[name].type
    junk = data.draw(
        JUNK.filter(lambda value: not isinstance(value, (int, float) if kind is float else kind))
    )
    with pytest.raises(ConfigError, match=f"^--{flag_name(name)} takes "):
        Config(**{name: junk})


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"k": 1}, "--k must be at least 2. Received: --k=1"),
        ({"k": True}, "--k takes a whole number. Received: --k=True"),
        ({"k": 2.0}, "--k takes a whole number. Received: --k=2.0"),
        ({"seed": 2**31}, "--seed must be at most 2147483647. Received: --seed=2147483648"),
        ({"learning_rate": 0}, "--learning_rate must be greater than 0.0. Received: --learning_rate=0"),
        ({"adam_beta1": 1.0}, "--adam_beta1 must be less than 1.0. Received: --adam_beta1=1.0"),
        ({"lambda_": math.nan}, "--lambda takes a finite number. Received: --lambda=nan"),
        (
            {"model": "gan"},
            "--model takes one of ae, denoising, dropout, vae, aae, vqvae, aegan, amr, amr_supervised, acai, "
            "acai_rerun, gaia. Received: --model='gan'",
        ),
        (
            {"run_dir": "a\nb"},
            "--run_dir takes printable text on one line without spaces at its ends. Received: --run_dir='a\\nb'",
        ),
    ],
)
def test_messages_say_what_was_wrong_and_what_was_received(keywords, message):
    with pytest.raises(ConfigError) as error:
        Config(**keywords)
    assert str(error.value) == message


class Table:
    def __repr__(self):
        return "1 2\n3 4"


@pytest.mark.parametrize(
    "value", ["x" * 10**6, list(range(10**5)), Table(), 10**5000], ids=["text", "list", "lines", "number"]
)
def test_messages_stay_short_for_any_received_value(value):
    with pytest.raises(ConfigError) as error:
        Config(k=value)
    assert len(str(error.value)) < 300
    assert_helpful(str(error.value))


def test_a_whole_number_serves_as_a_number():
    assert repr(Config(lambda_=5).lambda_) == "5.0"


# Settings of which each breaks one rule and no other.
WITNESSES = (
    {"k": 5, "batch_size": 4},
    {"arch": "amr", "recon_loss": "bce"},
    {"mixer": "style"},
    {"mixer": "style", "arch": "style", "k": 9},
    {"style_mixing": 0.5},
    {"train_examples": 63},
    {"strategy": "mirrored", "device_data": True},
    {"strategy": "mirrored", "jit_compile": True},
    {"cpu_devices": 2},
    {"smoke": True, "strategy": "multiworker"},
    {"profile_steps": "10"},
    {"raw_dir": "archives"},
    {"dataset": "mnist", "image_size": 64},
    {"dataset": "mnist", "pixel_range": "auto"},
    {"dataset": "zappos", "attributes": "Male"},
)
# The same for networks, with the width of the images.
NETWORK_WITNESSES = (
    ({"arch": "burgess"}, 128),
    ({"arch": "resnet"}, 32),
    ({"arch": "resnet", "latent_width": 1}, 64),
    ({"arch": "mlp"}, 32),
    ({"arch": "amr", "latent_width": 5}, 32),
    ({"arch": "style"}, 48),
)


def refuses(make):
    with pytest.raises(ConfigError) as error:
        make()
    assert_helpful(str(error.value))


def test_rules_refuse_their_witness_and_nothing_else(monkeypatch):
    for witness in WITNESSES:
        refuses(lambda witness=witness: Config(**witness))
    known = rules.RULES
    monkeypatch.setattr(rules, "RULES", ())
    broken = [[rule for rule in known if not rule.holds(Config(**witness))] for witness in WITNESSES]
    assert [len(found) for found in broken] == [1] * len(WITNESSES)
    assert {found[0] for found in broken} == set(known)


def test_network_rules_refuse_their_witness_and_nothing_else():
    broken = set()
    for keywords, width in NETWORK_WITNESSES:
        config = Config(**keywords)
        refuses(lambda config=config, width=width: config.check_networks(width))
        (rule,) = (rule for rule in rules.NETWORK_RULES if not rule.holds(config, width))
        broken.add(rule)
    assert broken == set(rules.NETWORK_RULES)


@pytest.mark.parametrize("model", FIXED)
def test_fixed_settings_of_a_method_refuse_other_values(model):
    others = {"k": 3, "mixer": "bernoulli", "gan_loss": "bce", "recon_loss": "l2", "update_g_every": 2}
    others |= {"gan_loss": "lsgan"} if model == "gaia" else {}
    for name, (value, reason) in FIXED[model].items():
        assert not Config(model=model).uses(name)
        assert getattr(Config(model=model), name) == value
        with pytest.raises(ConfigError, match=f"^{reason}. Received: --model={model} --{name}=") as error:
            Config(model=model, **{name: others[name]})
        assert_helpful(str(error.value))


@pytest.mark.parametrize(
    ("keywords", "methods"),
    [
        ({"beta": 1.0}, "amr and amr_supervised and acai_rerun"),
        ({"beta_kl": 4.0}, "vae"),
        ({"attribute_weight": 2.0}, "amr_supervised"),
        ({"mask_eps": 1.0}, "amr_supervised"),
        ({"mask_gradient": "soft"}, "amr_supervised"),
        ({"labelled_examples": 100}, "amr_supervised"),
        ({"structure_weight": 0.5}, "gaia"),
        ({"balance_slope": 5.0}, "gaia"),
        ({"input_noise": 0.5}, "denoising"),
        ({"keep_probability": 0.75}, "dropout"),
        ({"codewords": 64}, "vqvae"),
        ({"code_vectors": 2}, "vqvae"),
        ({"codebook_decay": 0.9}, "vqvae"),
        ({"commitment_weight": 1.0}, "vqvae"),
    ],
)
def test_settings_of_some_methods_are_refused_by_others(keywords, methods):
    with pytest.raises(ConfigError, match=f"is a setting of --model={methods}. Received: --model=aegan"):
        Config(model="aegan", **keywords)
    assert Config(model=methods.split()[-1], **keywords)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"model": "acai_amr", "beta": 1.0}, {"model": "acai_rerun", "beta": 1.0}),
        ({"mixer": "supervised"}, {"model": "amr_supervised"}),
        ({"model": "amr", "mixer": "supervised", "labelled_examples": 9},
         {"model": "amr_supervised", "labelled_examples": 9}),
    ],
)  # fmt: skip
def test_names_of_earlier_versions_are_read(old, new):
    assert Config(**old) == Config(**new)


AMR = {
    "model": "amr", "dataset": "lines", "arch": "amr", "mixer": "mixup", "k": 2, "lambda": 10.0, "beta": 0.0,
    "style_mixing": 0.9, "structure_weight": 5e-5, "balance_slope": 20.0, "input_noise": 1.0, "keep_probability": 0.5,
    "codewords": 16384, "code_vectors": 10, "codebook_decay": 0.999, "commitment_weight": 10.0,
    "beta_kl": 1.0, "attribute_weight": 1.0, "mask_eps": 1e-8, "mask_gradient": "straight_through",
    "labelled_examples": 0, "recon_loss": "l1", "consistency_loss": "l1", "gan_loss": "bce", "update_g_every": 5,
    "latent_width": 4, "latent": 16, "depth": 16, "image_fit": "resize", "image_size": 0,
    "pixel_range": "full", "attributes": "",
    "train_examples": 0, "batch_size": 64, "epochs": 100, "steps_per_epoch": 0, "learning_rate": 1e-4,
    "schedule": "constant", "adam_beta1": 0.5, "adam_beta2": 0.99, "adam_epsilon": 1e-8, "weight_decay": 1e-5,
    "seed": 0, "mixed_precision": "none", "jit_compile": False, "smoke": False,
}  # fmt: skip
ACAI_PAPER = {
    "arch": "acai", "lambda": 1.0, "recon_loss": "l2", "consistency_loss": "l2",
    "update_g_every": 1, "image_fit": "pad", "adam_beta1": 0.9, "adam_beta2": 0.999, "weight_decay": 0.0,
    "epochs": 256, "steps_per_epoch": 1024,
}  # fmt: skip
ACAI = ACAI_PAPER | {"gan_loss": "lsgan"}
GAIA = {
    "arch": "acai", "mixer": "gaussian", "lambda": 0.0, "update_g_every": 1, "adam_beta1": 0.9, "adam_beta2": 0.999,
    "weight_decay": 0.0,
}  # fmt: skip
RESNET = {"latent": 512, "latent_width": 8, "depth": 64}
FACES = {"attributes": "Male,Heavy_Makeup,Wearing_Lipstick"}


@pytest.mark.parametrize(
    ("keywords", "differences"),
    [
        ({}, {}),
        ({"model": "aegan"}, {}),
        ({"model": "acai_rerun"}, {}),
        ({"model": "ae"}, {"update_g_every": 1, "lambda": 1.0}),
        ({"model": "vae"}, {"update_g_every": 1, "lambda": 1.0, "adam_beta1": 0.9}),
        ({"model": "acai"}, ACAI | {"latent_width": 2}),
        *[({"model": name}, ACAI_PAPER | {"latent_width": 2}) for name in ("denoising", "dropout", "aae")],
        ({"model": "vqvae"}, ACAI_PAPER),
        ({"model": "dropout", "dataset": "svhn"}, ACAI_PAPER | {"depth": 64}),
        ({"model": "gaia"}, GAIA),
        ({"model": "gaia", "dataset": "spiral"}, GAIA | {"arch": "mlp", "latent": 2}),
        ({"model": "acai", "dataset": "mnist"}, ACAI),
        ({"model": "acai", "dataset": "svhn"}, ACAI | {"depth": 64}),
        ({"model": "acai", "dataset": "cifar10"}, ACAI | {"depth": 64}),
        ({"dataset": "spiral"}, {"arch": "mlp", "latent": 2}),
        ({"arch": "burgess"}, {"latent": 10, "recon_loss": "bce_sum", "weight_decay": 0.0}),
        ({"arch": "burgess", "model": "acai_rerun"}, {"latent": 10, "weight_decay": 0.0}),
        ({"arch": "resnet"}, RESNET),
        ({"dataset": "zappos"}, {"arch": "resnet", **RESNET}),
        ({"dataset": "celeba"}, {"arch": "resnet", **RESNET, **FACES}),
        ({"model": "acai", "dataset": "celeba"}, ACAI | FACES | {"depth": 64}),
        ({"dataset": "svhn"}, {"epochs": 4000}),
        ({"recon_loss": "l2"}, {"consistency_loss": "l2"}),
    ],
)
def test_unset_values_are_the_published_ones(keywords, differences):
    assert Config(**keywords).hyperparameters() == {**AMR, **keywords, **differences}


@pytest.mark.parametrize(
    ("stated", "latent_width"),
    [
        ({"latent": 16, "depth": 16}, 2),
        ({"latent": 2}, 4),
        ({"depth": 8}, 4),
        ({"latent": 32, "depth": 8}, 4),
    ],
)
def test_acais_lines_model_is_taken_whole_or_not_at_all(stated, latent_width):
    assert Config(model="acai", **stated) == Config(model="acai", **stated, latent_width=latent_width)


def test_the_named_choices_alone_never_contradict_each_other():
    for model, dataset in itertools.product(MODELS, DATASETS):
        config = Config(model=model, dataset=dataset)
        config.check_networks(config.image_width)
        for arch in ARCHS:
            assert_valid(Config(model=model, arch=arch, dataset=dataset))


@pytest.mark.parametrize(
    ("keywords", "width"),
    [({"dataset": "mnist"}, 32), ({"dataset": "celeba"}, 64), ({"dataset": "zappos", "image_size": 128}, 128),
     ({"dataset": "folder:a b"}, 64), ({"dataset": "folder:/a", "image_size": 32}, 32),
     ({"dataset": "npz:a.npz", "image_size": 128}, 128)],
)  # fmt: skip
def test_image_width_is_the_data_sets_unless_it_is_asked_for(keywords, width):
    assert Config(**keywords).image_width == width


@pytest.mark.parametrize("prefix", ["folder:", "npz:"])
def test_dataset_of_own_data_without_a_path_is_refused(prefix):
    with pytest.raises(ConfigError, match=rf"folder:PATH, npz:PATH\. Received: --dataset='{prefix}'"):
        Config(dataset=prefix)


def test_published_defaults_depend_on_earlier_fields_only():
    position = {name: number for number, name in enumerate(FIELDS)}
    for where, values in config_lib.PUBLISHED_DEFAULTS:
        assert max(position[name] for name in where) < min(position[name] for name in values)


def test_hyperparameters_leave_out_places_and_means():
    here = Config(dataset="mnist")
    places = {"run_dir": "a", "data_dir": "b", "raw_dir": "c"}
    means = {"strategy": "mirrored", "cpu_devices": 2, "steps_per_execution": 4, "checkpoint_minutes": 1.0}
    elsewhere = Config(dataset="mnist", **places, **means, projector=True, profile_steps="1,2")
    assert elsewhere != here
    assert elsewhere.hyperparameters() == here.hyperparameters()


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("10,20", range(10, 21)),
        ("3,3", range(3, 4)),
        *((text, None) for text in ("4,3", "0,3", "1,2,3", "\u0661,\u0662")),
    ],
)
def test_profiled_steps_include_both_ends(text, steps):
    assert profiled(text) == steps


@given(st.sampled_from(("amr", "acai", "amr_fixed")), st.integers(1, 6), st.integers(1, 64))
def test_networks_fit_where_halving_leads_to_the_code(arch, halvings, latent_width):
    width = found = latent_width << halvings
    found += 0 if arch == "acai" else 2
    for _ in range(halvings):
        found //= 2
    config = Config(arch=arch, latent_width=latent_width)
    if found == latent_width:
        config.check_networks(width)
    else:
        refuses(lambda: config.check_networks(width))


@pytest.mark.parametrize(("width", "latent_width"), [(32, 32), (32, 64), (32, 5), (28, 4), (1, 4)])
def test_networks_whose_halvings_do_not_fit_are_refused(width, latent_width):
    refuses(lambda: Config(arch="acai", latent_width=latent_width).check_networks(width))
