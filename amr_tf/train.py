"""BINARY. Trains one model: python -m amr_tf.train --dataset=svhn --mixer=mixup --k=4

Without any flag it runs the demonstration, flags/demo.flags. Exit codes: 0 done, 2 a failure that the message
explains, 130 interrupted.
"""

import sys

from amr_tf import command_line, data, runs, startup
from amr_tf.errors import UserError

DEMO = "--flagfile=flags/demo.flags"
PURPOSE = "trains an autoencoder whose mixed codes must decode into realistic images"
HELP_FLAGS = {"--help", "-help", "-h", "--helpfull", "--helpshort"}


def main(arguments: list[str]) -> int:
    """Runs the training that `arguments` ask for; returns the exit code."""
    if HELP_FLAGS.intersection(arguments):
        print(command_line.help_text("python -m amr_tf.train", PURPOSE))
        return 0
    try:
        config, sources = command_line.parse(arguments or [DEMO])
        # TensorFlow takes seconds to import: bad flags, another run's folder and missing data are refused before.
        runs.RunFolder(config).check()
        data.check(config)
        startup.import_tensorflow()
        from amr_tf import experiment

        experiment.run(config, sources)
    except UserError as error:
        print(f"amr_tf.train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "amr_tf.train: interrupted. The same command goes on after the last whole epoch", file=sys.stderr
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
