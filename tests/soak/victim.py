"""A process that saves a tiny model when it is told to, for those who make its system calls fail or kill it at them.

python -m tests.soak.victim FOLDER; each line of its input is a step to save, each line of its output what came of it.
"""

import pathlib
import sys

from amr_tf.checkpoints import Checkpoints
from amr_tf.errors import UserError
from tests.test_checkpoints import build, fill

SAVED, REFUSED = "saved", "refused: "


def main() -> None:
    model = build()
    checkpoints = Checkpoints(pathlib.Path(sys.argv[1]), model, print)
    print("ready", flush=True)
    for line in sys.stdin:
        fill(model, int(line))
        try:
            checkpoints.save()
            answer = SAVED
        except UserError as error:
            answer = f"{REFUSED}{error}"
        print(answer, flush=True)


if __name__ == "__main__":
    main()
