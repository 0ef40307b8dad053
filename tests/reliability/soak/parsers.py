"""The bar of generated input: 10,000 texts for each parser, 5,000 mutated files for each loader, in one process."""

import contextlib
import io
import json
import os
import pathlib
import shutil

import hypothesis
import numpy as np
import scipy.io
from hypothesis import strategies as st

from tests.config import test_command_line
from tests.reliability.attacks import generated
from tests.reliability.soak.tally import Outcome
from tests.reporting.run_folders import write_run
from tests.runs import test_checkpoints

TEXTS, FILES, AT_ONCE = 10_000, 5_000, 500


class Parsers:
    """Which parser or loader a trial is for follows from its number."""

    parsers = ("flags", "presets", "results", "manifests")
    loaders = ("idx", "mat", "zip", "pictures")
    asked = TEXTS * len(parsers) + FILES * len(loaders)

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        shutil.rmtree(folder)
        folder.mkdir()
        self.run = write_run(
            folder / "run", [0.5, 0.6], {"probe": {"score": 0.9, "checkpoint": "best", "step": 3}}
        )
        self.results = (self.run / "results.json").read_bytes()
        model = test_checkpoints.build()
        test_checkpoints.fill(model, 1)
        (folder / "checkpoints").mkdir()
        test_checkpoints.Checkpoints(folder / "checkpoints", model, print).save()
        self.checkpoint = folder / "checkpoints" / "step_0000000001"
        self.manifest = (self.checkpoint / "manifest.json").read_bytes()
        mat = io.BytesIO()
        scipy.io.savemat(mat, {"X": np.zeros((32, 32, 3, 4), np.uint8), "y": np.ones((4, 1), np.uint8)})
        self.mat, self.zip = mat.getvalue(), generated.zip_of_shoes()
        os.chdir(folder)  # where no generated word names a file

    def trial(self, number: int) -> Outcome:
        if number < TEXTS * len(self.parsers):
            kind = self.parsers[number // TEXTS]
            self._generate(kind, number)
        else:
            kind = self.loaders[(number - TEXTS * len(self.parsers)) // FILES]
            self._mutate(kind, number)
        return Outcome({kind: AT_ONCE}, size=AT_ONCE)

    def _generate(self, kind: str, number: int) -> None:
        # What the last trial left must not be what this one begins with.
        (self.run / "results.json").write_bytes(self.results)
        (self.checkpoint / "manifest.json").write_bytes(self.manifest)
        lines, words = self.folder / "a.flags", st.lists(test_command_line.WORDS, max_size=5)

        def preset(content: bytes) -> None:
            lines.write_bytes(content)
            with generated.harmless(self.folder):
                test_command_line.assert_parses_or_refuses([f"--flagfile={lines}"])

        def flags(found: list[str]) -> None:
            with generated.harmless(self.folder):
                test_command_line.assert_parses_or_refuses(found)

        texts = st.binary() | words.map(lambda found: "\n".join(found).encode(errors="surrogatepass"))
        strategy, check = {
            "flags": lambda: (words, flags),
            "presets": lambda: (texts, preset),
            "results": lambda: (
                generated.changed(json.loads(self.results)),
                generated.results_file(self.run),
            ),
            "manifests": lambda: (
                generated.changed(json.loads(self.manifest)),
                generated.manifest_file(self.checkpoint),
            ),
        }[kind]()
        few = hypothesis.settings(
            max_examples=AT_ONCE,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        run = hypothesis.seed(number)(few(hypothesis.given(strategy)(check)))
        run()

    def _mutate(self, kind: str, number: int) -> None:
        rng, place = np.random.default_rng((13, number)), self.folder / "files"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        if kind == "pictures":
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                for part in range(5):
                    generated.folder_of_pictures(place / str(part), rng, AT_ONCE // 5)
            return
        for _ in range(AT_ONCE):
            if kind == "idx":
                generated.idx_archive(place, rng)
            elif kind == "mat":
                generated.mat_archive(place, rng, self.mat)
            else:
                generated.zip_archive(place, rng, self.zip)

    def close(self) -> None:
        """Nothing runs on."""
