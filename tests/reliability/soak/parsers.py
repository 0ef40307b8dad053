"""The bar of generated input: 10,000 texts for each parser, 5,000 mutated files for each loader, in one process."""

import contextlib
import json
import os
import pathlib
import shutil

import numpy as np
from hypothesis import strategies as st

from tests.config import test_command_line
from tests.reliability.attacks import generated
from tests.reliability.soak.tally import Bar, Outcome
from tests.reporting.run_folders import write_run
from tests.runs import test_checkpoints

TEXTS, FILES, AT_ONCE = 10_000, 5_000, 500
PARSERS = ("flags", "presets", "results", "manifests")
LOADERS = ("idx", "mat", "zip", "pictures")
WORDS = st.lists(test_command_line.WORDS, max_size=5)


class Parsers(Bar):
    """The number of a trial determines which parser or loader it tries."""

    asked = TEXTS * len(PARSERS) + FILES * len(LOADERS)

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        shutil.rmtree(folder)
        (folder / "checkpoints").mkdir(parents=True)
        metrics = {"probe": {"score": 0.9, "checkpoint": "best", "step": 3}}
        self.run = write_run(folder / "run", [0.5, 0.6], metrics)
        self.results = (self.run / "results.json").read_bytes()
        model = test_checkpoints.build()
        test_checkpoints.fill(model, 1)
        test_checkpoints.Checkpoints(folder / "checkpoints", model, print).save()
        self.checkpoint = folder / "checkpoints" / "step_0000000001"
        self.manifest = (self.checkpoint / "manifest.json").read_bytes()
        os.chdir(folder)  # no generated word names a file there

    def trial(self, number: int) -> Outcome:
        if number < TEXTS * len(PARSERS):
            kind = PARSERS[number // TEXTS]
            self._generate(kind, number)
        else:
            kind = LOADERS[(number - TEXTS * len(PARSERS)) // FILES]
            self._mutate(kind, number)
        return Outcome({kind: AT_ONCE}, size=AT_ONCE)

    def _generate(self, kind: str, number: int) -> None:
        (self.run / "results.json").write_bytes(self.results)
        (self.checkpoint / "manifest.json").write_bytes(self.manifest)
        lines = self.folder / "a.flags"

        def flags(words: list[str]) -> None:
            with generated.harmless(self.folder):
                test_command_line.assert_parses_or_refuses(words)

        def preset(content: bytes) -> None:
            lines.write_bytes(content)
            flags([f"--flagfile={lines}"])

        texts = st.binary() | WORDS.map(lambda found: "\n".join(found).encode(errors="surrogatepass"))
        strategy, check = {
            "flags": lambda: (WORDS, flags),
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
        generated.tried(strategy, check, AT_ONCE, seed=number)

    def _mutate(self, kind: str, number: int) -> None:
        place = self.folder / "files"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            generated.mutate(kind, place, np.random.default_rng((13, number)), AT_ONCE)
