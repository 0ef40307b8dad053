"""Scheduler of a sweep, which submits jobs, displays their progress and records their final states."""

import collections
import time

import rich.console
import rich.live
import rich.text

from amr_tf.runtime.errors import UserError
from amr_tf.runtime.interruption import Interruption
from amr_tf.sweeping.executors import Executor
from amr_tf.sweeping.jobs import Job, State

TICK = 0.5  # seconds between two polls
States = dict[Job, tuple[State, str]]
ACTIVE = (State.QUEUED, State.RUNNING, State.RUNNING_ELSEWHERE)


class Scheduler:
    """Runs jobs until they end. Prints a line when the state of a job changes.

    On a terminal, the running jobs are listed below these lines. Finished runs are not trained again. `states` maps
    each job to its state and a note.
    """

    def __init__(self, jobs: list[Job], executor: Executor, console: rich.console.Console):
        self.jobs, self.executor, self.console = jobs, executor, console
        self.states: States = {job: (State.WAITING, "") for job in jobs}
        self._submitted: set[Job] = set()
        self._gone_since: dict[Job, float] = {}
        self._width = max(len(job.name) for job in jobs)
        self._live = rich.live.Live(console=console, auto_refresh=False, transient=True)

    def run(self) -> States:
        """Runs all jobs. Returns the final state of each job and a note, such as the last line of output.

        If a job fails, the other jobs continue.

        Raises:
            UserError: the executor accepts none of the jobs.
            Interrupted: after a signal. Local jobs have saved checkpoints and stopped. Jobs of a cluster continue.
        """
        with Interruption() as interruption:
            interruption.stepping = True  # a signal is handled at the next poll
            for job in self.jobs:
                self._poll(job)
            with self._live:
                while self._in(*ACTIVE, State.WAITING) and not interruption.signal:
                    self._submit()
                    self.refresh()
                    time.sleep(TICK)
                    for job in self._in(*ACTIVE):
                        self._poll(job)
                if interruption.signal and self._in(*ACTIVE):
                    self._stop()
            if interruption.signal:
                done = len(self._in(State.DONE))
                raise interruption.interrupted(f"with {done} of {len(self.jobs)} jobs done")
        return self.states

    def _in(self, *states: State) -> list[Job]:
        return [job for job in self.jobs if self.states[job][0] in states]

    def change(self, job: Job, state: State, note: str) -> None:
        """Records the state of a job, and prints a line if the state has changed."""
        if state is not self.states[job][0]:
            self.console.print(f"{job.name:<{self._width}}  {state:<11}  {note}".rstrip())
        self.states[job] = state, note

    def refresh(self) -> None:
        """Updates the displayed summary and list of running jobs. Does nothing if the output is not a terminal."""
        if self.console.is_terminal:
            lines = [summary(self.states)]
            for job in self._in(State.RUNNING, State.RUNNING_ELSEWHERE):
                lines.append(f"  {job.name:<{self._width}}  {self.states[job][1] or job.progress()}")
            text = rich.text.Text("\n".join(lines), no_wrap=True, overflow="ellipsis")
            self._live.update(text, refresh=True)

    def _poll(self, job: Job) -> State:
        """Updates and returns the state of a job."""
        known = self.executor.state(job)
        if known:
            self._submitted.add(job)
            self._gone_since.pop(job, None)
        elif job not in self._submitted:
            known = job.poll()  # a job that failed in an earlier sweep is started again
        elif not (known := job.end()):
            known = job.poll()  # the training may still run although the executor lost the job
            if known[0] is State.WAITING:
                gone = time.monotonic() - self._gone_since.setdefault(job, time.monotonic())
                failed = State.FAILED, job.last_output() or "ended without output: cancelled, or killed"
                known = failed if gone >= self.executor.patience else None
        if known:
            self.change(job, *known)
        return self.states[job][0]

    def _submit(self) -> None:
        refused: dict[Job, UserError] = {}
        active, waiting = len(self._in(*ACTIVE)), self._in(State.WAITING)
        single = [[job] for job in waiting[: max(0, self.executor.parallel - active)]]
        for batch in [waiting] if self.executor.queues else single:
            # Another process may have trained the run while the job was waiting.
            jobs = [job for job in batch if self._poll(job) is State.WAITING]
            try:
                if jobs:
                    self.executor.submit(jobs, active)
            except UserError as error:
                refused |= dict.fromkeys(jobs, error)
                continue
            self._submitted |= set(jobs)
            for job in jobs:
                self._poll(job)
        if refused and not self._submitted:
            raise next(iter(refused.values()))
        for job, reason in refused.items():
            self.change(job, State.FAILED, str(reason))

    def _stop(self) -> None:
        """Stops local jobs, which save checkpoints first. Jobs of a cluster continue."""
        if self.executor.queues:
            self.console.print(
                "The jobs that are queued or running continue on the cluster: the same command watches them again"
            )
            return
        self.console.print("Stopping the jobs, which save first")
        while running := [
            job for job in self.jobs if self.states[job][0] is State.RUNNING or job.is_locked()
        ]:
            for job in running:
                job.stop()  # repeatedly: a job that has just started may miss the signal
            time.sleep(TICK)
            for job in running:
                self._poll(job)


def summary(states: States) -> str:
    """Returns a text with the number of jobs in each state, such as "6 jobs: 2 running, 3 waiting, 1 done"."""
    counts = collections.Counter(state for state, _ in states.values())
    return f"{len(states)} jobs: " + ", ".join(f"{counts[s]} {s}" for s in State if counts[s])
