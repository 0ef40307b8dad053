"""The bar of a sweep of many jobs, some of which are killed and some of which cannot run."""

import contextlib
import pathlib
import shutil
import time

import psutil

from tests.reliability.faults.harness import POINTS
from tests.reliability.soak.tally import Bar, Outcome
from tests.sweeping.real import Sweep, end_all, starts

RECIPES, SEEDS = 10, 5
TO_KILL, TO_FAIL = 10, 5
LIMIT = 2700.0  # seconds for all jobs


class Sweeps(Bar):
    """50 jobs, two at a time: 5 find somebody's files where their run should be, 10 are killed as they train.

    The same command again trains the killed ones and no other; once more, and nothing is trained.
    """

    asked = RECIPES * SEEDS

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        self.out = folder / "out"

    def trial(self, number: int) -> Outcome:
        shutil.rmtree(self.folder)
        recipes = self.folder / "recipes"
        recipes.mkdir(parents=True)
        for recipe in range(RECIPES):
            settings = POINTS | {"epochs": 1, "lambda": recipe + 1}
            lines = (f"--{flag}={value}\n" for flag, value in settings.items())
            (recipes / f"r{recipe}.flags").write_text("".join(lines))
        jobs = [f"r{recipe}/s{seed}" for seed in range(SEEDS) for recipe in range(RECIPES)]
        # Of two recipes, so that each of them has runs left; the victims are of two others.
        foreign, victims = [f"r{2 + seed % 2}/s{seed}" for seed in range(TO_FAIL)], jobs[1::5][:TO_KILL]
        for job in foreign:
            (self.out / job).mkdir(parents=True)
            (self.out / job / "notes.txt").write_text("mine")
        words = (str(recipes), f"--seeds={','.join(map(str, range(SEEDS)))}")
        begin = time.monotonic()

        sweep = Sweep(self.out, *words)
        self._kill(sweep, victims)
        assert sweep.process.wait(LIMIT) == 2
        assert f"50 jobs: {50 - TO_KILL - TO_FAIL} done, {TO_KILL + TO_FAIL} failed" in sweep.lines
        first = starts(self.out, jobs)
        assert all(first[job] == 1 for job in jobs), first
        finished = {job for job in jobs if (self.out / job / "results.json").exists()}
        assert len(finished) == 50 - TO_KILL - TO_FAIL
        assert finished.isdisjoint(victims)

        sweep = Sweep(self.out, *words)
        assert sweep.process.wait(LIMIT) == 2
        assert f"50 jobs: {50 - TO_FAIL} done, {TO_FAIL} failed" in sweep.lines
        named = {line.split(" failed: ")[0] for line in sweep.lines if "its log: less" in line}
        assert named == set(foreign)
        second = starts(self.out, jobs)
        again = {job for job in jobs if second[job] > first[job]}
        assert again == {*victims, *foreign}, again
        rows = (self.out / "report.csv").read_text().splitlines()
        assert len(rows) == 1 + RECIPES, rows  # a row for each recipe, over its seeds

        for job in foreign:
            shutil.rmtree(self.out / job)
        sweep = Sweep(self.out, *words)
        assert sweep.process.wait(LIMIT) == 0
        assert "50 jobs: 50 done" in sweep.lines
        third = starts(self.out, jobs)
        assert {job for job in jobs if third[job] > second[job]} == set(foreign)
        counts = {"killed": TO_KILL, "failed": TO_FAIL, "finished ones run again": 0}
        return Outcome(counts, {"minutes": (time.monotonic() - begin) / 60}, size=self.asked)

    def _kill(self, sweep: Sweep, victims: list[str]) -> None:
        """kill -9 of the training of each victim as soon as it has a run folder."""
        left, limit = set(victims), time.monotonic() + LIMIT
        while left and sweep.process.poll() is None:
            assert time.monotonic() < limit
            for process in psutil.process_iter(["cmdline"]):
                words = process.info["cmdline"] or []
                job = next((job for job in left if f"--run_dir={self.out / job}" in words), None)
                if job and "amr_tf.train" in words and (self.out / job / ".process.json").exists():
                    with contextlib.suppress(psutil.Error):
                        process.kill()
                    left.remove(job)
            time.sleep(0.1)
        assert not left, left

    def close(self) -> None:
        end_all(self.out)
