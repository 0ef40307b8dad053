"""The output of a sweep: a line for each change, the progress of running jobs on a terminal, and the grid's results."""

import collections
import shlex
import statistics

import rich.console
import rich.live
import rich.text

from amr_tf.runs.folder import best_row, read_rows
from amr_tf.sweeping.jobs import ENDS, Job, State

PIPE_WIDTH = 200  # columns of output that is not a terminal
States = dict[Job, tuple[State, str]]


class Display:
    """Prints changes, and shows the running jobs beneath them on a terminal.

    Args:
        console: prints the lines.
        jobs: all jobs, for the width of their names.
    """

    def __init__(self, console: rich.console.Console, jobs: list[Job]):
        self.console, self.width = console, max(len(job.name) for job in jobs)
        self._live = rich.live.Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> "Display":
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_) -> None:
        self._live.stop()

    def print(self, line: str) -> None:
        """Prints one line."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def change(self, job: Job, state: State, note: str) -> None:
        """Prints the new state of a job."""
        self.print(f"{job.name:<{self.width}}  {state:<11}  {note}".rstrip())

    def refresh(self, states: States) -> None:
        """Shows the summary and the running jobs in place, on a terminal."""
        if not self.console.is_terminal:
            return
        lines = [summary(states)]
        for job, (state, note) in states.items():
            if state in (State.RUNNING, State.RUNNING_ELSEWHERE):
                lines.append(f"  {job.name:<{self.width}}  {note or job.progress()}")
        self._live.update(rich.text.Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)


def summary(states: States) -> str:
    """Returns the number of jobs in each state, such as "6 jobs: 2 running, 3 waiting, 1 done"."""
    counts = collections.Counter(state for state, _ in states.values())
    return f"{len(states)} jobs: " + ", ".join(f"{counts[s]} {s}" for s in State if counts[s])


def complaints(states: States) -> list[str]:
    """Returns a line for each job that ended without being done: its last output and its log."""
    return [
        f"{job.name} {state}: {note} (its log: less {shlex.quote(str(job.log))})"
        for job, (state, note) in states.items()
        if state in ENDS and state is not State.DONE
    ]


def comparison(states: States) -> list[str]:
    """Returns a table of the settings of a grid, and the best of each preset by VALIDATION accuracy.

    Accuracies are those of the probe at each run's best epoch, averaged over the seeds.
    """
    settings: dict[str, dict[str, list[Job]]] = collections.defaultdict(dict)
    for job in states:
        settings[job.preset].setdefault(job.setting, []).append(job)
    width = max(len(f"{job.preset} {job.setting}") for job in states) + 2
    lines = [f"{'setting':<{width}}validation  test     runs"]
    for preset, groups in settings.items():
        done = [name for name, jobs in groups.items() if all(states[job][0] is State.DONE for job in jobs)]
        rows = {name: [best_row(read_rows(job.folder.metrics)) for job in groups[name]] for name in done}
        validation, test = (
            {name: statistics.fmean(row[f"{split}_probe_accuracy"] for row in rows[name]) for name in done}
            for split in ("val", "test")
        )
        best = max(done, key=lambda name: validation[name], default=None)
        for name, jobs in groups.items():
            scores = f"{validation[name]:<12.2%}{test[name]:<9.2%}" if name in rows else f"{'not done':<21}"
            mark = "  <- best by validation" if name == best else ""
            lines.append(f"{f'{preset} {name}':<{width}}{scores}{jobs[0].folder.path.parent}{mark}")
    return lines
