"""Conversion of a model's keyword arguments to a valid `Config` and valid sizes."""

import contextlib
import dataclasses
import difflib
from collections.abc import Iterator
from typing import Any

import keras

from amr_tf import registry
from amr_tf.config import Config, ConfigError
from amr_tf.networks.own import Networks


def method_of(cls: type) -> str:
    """Returns the name of a class in `registry.MODELS`, or the name of the nearest registered base class.

    Raises:
        ConfigError: neither the class nor a base class is registered.
    """
    names = {path: name for name, path in registry.MODELS.items()}
    for kind in cls.__mro__:
        if name := names.get(f"{kind.__module__}:{kind.__qualname__}"):
            return name
    raise ConfigError(
        f"The class is not a method. Received: {cls.__qualname__}. Extend one of {', '.join(names)}."
    )


def settings_of_method(cls: type, settings: dict[str, Any]) -> Config:
    """Returns the settings of a model of class `cls`, with defaults filled in.

    Raises:
        ConfigError: a setting is unknown, a value is invalid, or the setting `model` names another method.
    """
    fields = [field.name for field in dataclasses.fields(Config)]
    for name in settings:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1) or ["another name"]
            raise ConfigError(
                f"{cls.__name__} has no setting of this name. Received: {name}=. Did you mean {near[0]}?"
            )
    config = Config(**{"model": method_of(cls)} | settings)
    if not issubclass(cls, registry.load(registry.MODELS, config.model)):
        raise ConfigError(
            f"{cls.__name__} is another method. Received: {config.flag('model')}. Leave it out."
        )
    return config


def checked_sizes(
    config: Config, image_shape: Any, num_classes: Any, num_attributes: Any, networks: Networks | None
) -> tuple[int, ...]:
    """Checks the sizes of a model and returns the image shape (H, W, C).

    Raises:
        ConfigError: a size is not a positive integer, `networks` is not a `Networks` object, or the networks of
            `--arch` do not support images of this shape.
    """
    if networks is not None and not isinstance(networks, Networks):
        raise ConfigError(f"networks= takes an amr_tf Networks object. Received: {networks!r}.")
    shape = tuple(image_shape) if isinstance(image_shape, (list, tuple)) else ()
    if len(shape) != 3 or not all(_is_count(size) for size in shape):
        raise ConfigError(
            f"image_shape is (height, width, channels). Received: {image_shape!r}. Pass three sizes."
        )
    for name, count in (("num_classes", num_classes), ("num_attributes", num_attributes or 1)):
        if not _is_count(count):
            raise ConfigError(f"{name} is a whole number of at least 1. Received: {count!r}.")
    if networks is None:
        if shape[0] != shape[1]:
            raise ConfigError(
                f"The networks of {config.flag('arch')} take square images. Received: image_shape={shape}. Cut the "
                "images, or pass networks of your own."
            )
        config.check_networks(shape[0])
    return shape


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_runtime(name: str) -> bool:
    """Returns true if a setting only affects where or how a run is executed, such as `data_dir`."""
    return Config.__dataclass_fields__[name].metadata["runtime"]


@contextlib.contextmanager
def dtype_policy(precision: str) -> Iterator[None]:
    """Sets Keras's dtype policy for layers that are created in this context, from a value of `mixed_precision`."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if precision == "none" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
