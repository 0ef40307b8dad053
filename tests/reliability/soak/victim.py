"""A process that saves a tiny model on request, so that a bar can fail or kill it at any of its system calls.

python -m tests.reliability.soak.victim FOLDER reads the steps to save, one a line, and answers each with its result.
After "fork" it answers with the number of a child that takes over, and with the child's exit code once that was killed:
a kill takes one process, and a start takes seconds. The child saves with one thread between operations.
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
