"""A process that saves a tiny model when it is told to, for those who make its system calls fail or kill it at them.

python -m tests.reliability.soak.victim FOLDER; each line of its input is a step to save, each line of its output what
came of it.
After "fork" a child of it, whose number is the answer, does so until it is gone, which is answered, too: a start takes
many seconds and a kill takes one process. (A save with one thread between operations needs no other, which a child does
not have.)
"""

import os
import pathlib
import sys

from amr_tf.runs.checkpoints import Checkpoints
from amr_tf.runtime.errors import UserError
from tests.runs.test_checkpoints import build, fill

SAVED, REFUSED = "saved", "refused: "


def main() -> None:
    model = build()
    checkpoints = Checkpoints(pathlib.Path(sys.argv[1]), model, print)
    print("ready", flush=True)
    for line in sys.stdin:
        if line == "fork\n":
            child = os.fork()
            if child:
                print(child, flush=True)
                print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
            continue
        fill(model, int(line))
        try:
            checkpoints.save()
            answer = SAVED
        except UserError as error:
            answer = f"{REFUSED}{error}"
        print(answer, flush=True)


if __name__ == "__main__":
    main()
