"""Takes training steps with the checkout that PYTHONPATH names, for `benchmarks.checkouts`: counts in, times out."""

import json
import resource
import sys
import time

# The folder of this file, which Python puts first, belongs to another checkout.
del sys.path[0]

from amr_tf.config import command_line  # noqa: E402
from amr_tf.runtime import startup  # noqa: E402
from amr_tf.runtime.errors import UserError  # noqa: E402


def main(arguments: list[str]) -> None:
    try:
        config, _ = command_line.parse(["--dataset=lines", "--arch=amr", *arguments])
    except UserError as error:
        sys.exit(f"benchmarks.checkouts: {error}")
    startup.import_tensorflow()
    import numpy as np
    import tensorflow as tf

    from amr_tf.distributed.strategy import make_strategy
    from amr_tf.models.build import build_model

    rng = np.random.default_rng(0)
    shape = (config.image_width, config.image_width, 3 if config.dataset in ("svhn", "cifar10") else 1)
    x = rng.uniform(-1, 1, (config.batch_size, *shape)).astype("float32")
    y = rng.integers(10, size=config.batch_size)
    strategy = make_strategy(config)
    dataset = tf.data.Dataset.from_tensors((x, y)).repeat()
    begin = time.perf_counter()
    with strategy.scope():
        model = build_model(config, shape, 10)
    batches = iter(strategy.experimental_distribute_dataset(dataset))
    train = model.make_train_function()

    def seconds(steps: int) -> float:
        start = time.perf_counter()
        tf.stack(list(train(batches, steps).values())).numpy()
        return (time.perf_counter() - start) / steps

    seconds(1)
    say(first_step=time.perf_counter() - begin, batch=config.batch_size)
    seconds(config.update_g_every)
    for line in sys.stdin:
        say(seconds=seconds(int(line)), peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


def say(**facts: float) -> None:
    print(json.dumps(facts), flush=True)


main(sys.argv[1:])
