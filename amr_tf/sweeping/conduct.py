"""The course of a sweep: submits jobs, watches them and says how each one ended."""

import time

from amr_tf.runtime.errors import UserError
from amr_tf.runtime.interruption import Interruption
from amr_tf.sweeping.executors import Executor
from amr_tf.sweeping.jobs import Job, State
from amr_tf.sweeping.status import Display

TICK = 0.5  # seconds between two looks
UNDER_WAY = (State.QUEUED, State.RUNNING, State.ELSEWHERE)


class Sweep:
    """Jobs and where each of them stands.

    Args:
        jobs: what is to be done. Their runs that are finished are left alone.
        executor: where they run.
        display: what a user sees.
    """

    def __init__(self, jobs: list[Job], executor: Executor, display: Display):
        self.jobs, self.executor, self.display = jobs, executor, display
        self.standing: dict[Job, tuple[State, str]] = {job: (State.WAITING, "") for job in jobs}
        self._submitted: set[Job] = set()
        self._over: dict[Job, float] = {}

    def run(self) -> dict[Job, tuple[State, str]]:
        """Until every job has ended. One that fails does not keep the others from it.

        Returns:
            How each job ended, and the last line it said where that was not well.

        Raises:
            UserError: the executor takes no job.
            Interrupted: by a signal. Local jobs have saved and left then; those of a cluster go on.
        """
        with Interruption() as interruption:
            interruption.stepping = True  # a signal waits for the next look
            for job in self.jobs:
                self._look(job)
            with self.display:
                while self._any(*UNDER_WAY, State.WAITING) and not interruption.signal:
                    self._submit()
                    self.display.refresh(self.standing)
                    time.sleep(TICK)
                    self._look_at(*UNDER_WAY)
                if interruption.signal and self._any(*UNDER_WAY):
                    self._leave()
            if interruption.signal:
                done = sum(state is State.DONE for state, _ in self.standing.values())
                raise interruption.interrupted(f"with {done} of {len(self.jobs)} jobs done")
        return self.standing

    def _any(self, *states: State) -> bool:
        return any(state in states for state, _ in self.standing.values())

    def _look_at(self, *states: State) -> None:
        for job in [job for job in self.jobs if self.standing[job][0] in states]:
            self._look(job)

    def _look(self, job: Job) -> None:
        known = self.executor.state(job)
        if known:
            self._submitted.add(job)
            self._over.pop(job, None)
            self._set(job, *known)
            return
        # A job of an earlier sweep that ended without success gets its new chance in this one.
        if job not in self._submitted:
            self._set(job, *job.look())
            return
        end = job.end() or self._without_a_word(job)
        if end:
            self._set(job, *end)

    def _without_a_word(self, job: Job) -> tuple[State, str] | None:
        """Of a job that is over and did not say how it ended. Its training may live on."""
        state, note = job.look()
        if state is not State.WAITING:
            return state, note
        if time.monotonic() - self._over.setdefault(job, time.monotonic()) < self.executor.patience:
            return None
        return State.FAILED, self.executor.said(job) or "it ended without a word: cancelled, or killed"

    def _set(self, job: Job, state: State, note: str) -> None:
        before, self.standing[job] = self.standing[job][0], (state, note)
        if state is not before:
            self.display.change(job, state, note)

    def _submit(self) -> None:
        under_way = sum(state in UNDER_WAY for state, _ in self.standing.values())
        waiting = [job for job in self.jobs if self.standing[job][0] is State.WAITING]
        chosen = waiting[: self.executor.room(under_way, len(waiting))]
        for job in chosen:
            self._look(job)  # what is on disk may have changed while it waited
        chosen = [job for job in chosen if self.standing[job][0] is State.WAITING]
        if not chosen:
            return
        try:
            self.executor.submit(chosen, under_way)
        except UserError as error:
            refused = [job for job in chosen if not self.executor.state(job)]
            if refused == chosen and not self._submitted:
                raise
            # Those that run are watched to their end.
            for job in refused:
                self._set(job, State.FAILED, str(error))
            chosen = [job for job in chosen if job not in refused]
        self._submitted |= set(chosen)
        for job in chosen:
            self._look(job)

    def _leave(self) -> None:
        """Local jobs are told to stop, and save; others stay."""
        if not self.executor.stops:
            self.display.say(
                "The jobs that are queued or running stay with the cluster: the same command watches them again"
            )
            return
        self.display.say("Telling jobs to stop: they save and leave")
        while running := [job for job in self.jobs if self.standing[job][0] is State.RUNNING or job.held()]:
            for job in running:
                job.ask_to_stop()  # again and again: one that only just starts may not have heard it
            time.sleep(TICK)
            for job in running:
                self._look(job)
