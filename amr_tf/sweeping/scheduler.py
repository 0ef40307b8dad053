"""The scheduler of a sweep: submits jobs, watches them and records how each one ended."""

import time

from amr_tf.runtime.errors import UserError
from amr_tf.runtime.interruption import Interruption
from amr_tf.sweeping.executors import Executor
from amr_tf.sweeping.jobs import Job, State
from amr_tf.sweeping.status import Display

TICK = 0.5  # seconds between two polls
ACTIVE = (State.QUEUED, State.RUNNING, State.RUNNING_ELSEWHERE)


class Scheduler:
    """Runs jobs to their end.

    Args:
        jobs: the jobs; finished runs are not trained again.
        executor: runs them.
        display: shows their state.

    Attributes:
        states: the state of each job and a note.
    """

    def __init__(self, jobs: list[Job], executor: Executor, display: Display):
        self.jobs, self.executor, self.display = jobs, executor, display
        self.states: dict[Job, tuple[State, str]] = {job: (State.WAITING, "") for job in jobs}
        self._submitted: set[Job] = set()
        self._gone_since: dict[Job, float] = {}

    def run(self) -> dict[Job, tuple[State, str]]:
        """Returns when every job has ended, how each one did, and its last line of output unless it is done.

        A job that fails does not affect the others.

        Raises:
            UserError: the executor accepts none of the jobs.
            Interrupted: by a signal. Local jobs have saved and stopped; those of a cluster continue.
        """
        with Interruption() as interruption:
            interruption.stepping = True  # a signal is handled at the next poll
            for job in self.jobs:
                self._poll(job)
            with self.display:
                while self._in(*ACTIVE, State.WAITING) and not interruption.signal:
                    self._submit()
                    self.display.refresh(self.states)
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

    def _poll(self, job: Job) -> State:
        """Updates the state of a job."""
        known = self.executor.state(job)
        if known:
            self._submitted.add(job)
            self._gone_since.pop(job, None)
        elif job not in self._submitted:
            known = job.poll()  # an earlier sweep's job that failed is tried again
        else:
            known = job.end() or self._lost(job)
        before = self.states[job][0]
        if known:
            self.states[job] = known
            if known[0] is not before:
                self.display.change(job, *known)
        return self.states[job][0]

    def _lost(self, job: Job) -> tuple[State, str] | None:
        """Returns the state of a job that the executor no longer knows and that has not recorded its end."""
        state, note = job.poll()
        if state is not State.WAITING:  # its training may live on
            return state, note
        if time.monotonic() - self._gone_since.setdefault(job, time.monotonic()) < self.executor.patience:
            return None
        return State.FAILED, self.executor.last_output(job) or "ended without output: cancelled, or killed"

    def _submit(self) -> None:
        refused: dict[Job, UserError] = {}
        active, waiting = len(self._in(*ACTIVE)), self._in(State.WAITING)
        for batch in self.executor.batches(waiting, active):
            # The folders may have changed while the job waited.
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
            self.states[job] = State.FAILED, str(reason)
            self.display.change(job, *self.states[job])

    def _stop(self) -> None:
        """Stops local jobs, which save; those of a cluster continue."""
        if not self.executor.stops:
            self.display.print(
                "The jobs that are queued or running continue on the cluster: the same command watches them again"
            )
            return
        self.display.print("Stopping the jobs, which save first")
        while running := [
            job for job in self.jobs if self.states[job][0] is State.RUNNING or job.is_locked()
        ]:
            for job in running:
                job.stop()  # repeatedly: a job that has just started may miss the signal
            time.sleep(TICK)
            for job in running:
                self._poll(job)
