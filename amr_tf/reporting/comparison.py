"""Comparisons of groups of runs, paired by seed and by test image, with sentences on what the results show."""

import dataclasses
import itertools
import math
from typing import NamedTuple

import numpy as np

from amr_tf.config import Config, ConfigError, command_line, flag_name
from amr_tf.metrics import comparison as statistics
from amr_tf.reporting.groups import Group, figure
from amr_tf.reporting.published import TEST_AT_BEST
from amr_tf.reporting.reading import Run
from amr_tf.reporting.tables import MISSING, Section
from amr_tf.runs.alike import settings_of, varying
from amr_tf.runtime.errors import UserError

# Names of the settings that define a method. These settings may differ between two compared methods.
METHOD = {
    "model", "mixer", "k", "lambda", "gan_loss", "style_mixing",
    *(flag_name(field.name) for field in dataclasses.fields(Config) if field.metadata["methods"]),
}  # fmt: skip
EFFECT = 0.5  # difference in percentage points of accuracy, for which the number of needed seeds is computed


class Comparison(NamedTuple):
    """Tables of a comparison, and sentences on what the tables show."""

    sections: list[Section]
    remarks: list[str]


def compare(
    names: list[str], groups: list[Group], margin: float, despite: list[str], seed: int = 0
) -> Comparison:
    """Compares each pair of the named groups.

    Args:
        names: presets, folders of a sweep, methods or labels; each must match exactly one group.
        groups: all groups of the report.
        margin: difference in percentage points of accuracy, below which two methods count as equivalent.
        despite: names of settings that may differ although they do not define a method.
        seed: seed of the sign flips, which are sampled if there are more than 16 pairs.

    Raises:
        UserError: a name matches no group or several groups, or two groups have no common seed or differ in settings
            that are not compared.
    """
    chosen = [_named(name, groups) for name in names]
    rng = np.random.default_rng(seed)
    rows, images, remarks, p_values = [], [], [], []
    for (name_a, a), (name_b, b) in itertools.combinations(zip(names, chosen, strict=True), 2):
        _check(name_a, a, name_b, b, despite)
        pair = f"{name_a} - {name_b}"
        runs = _common(a, b)
        if not runs:
            raise UserError(
                f"The two groups have no finished runs with a common seed. Received: --compare={name_a},{name_b}. "
                "Train both with the same seeds"
            )
        differences = np.array([_accuracy(one) - _accuracy(other) for one, other in runs])
        found = statistics.paired(differences, rng)
        p_values.append(found.p)
        rows.append((pair, runs, differences, found))
        images.append(_by_image(pair, runs))
        left_out = {run.config.seed for run in (*a.counted, *b.counted)} - {
            one.config.seed for one, _ in runs
        }
        if left_out:
            remarks.append(
                f"{pair}: seeds of one group only are left out: {', '.join(map(str, sorted(left_out)))}."
            )
    adjusted = statistics.holm([1.0 if math.isnan(p) else p for p in p_values])
    sections = [_seed_section(rows, adjusted, margin)]
    if any(images):
        sections.append(_image_section([row for found in images for row in found]))
    else:
        remarks.append(
            "No comparison by test image: evaluate all runs with --metrics=probe, which records the examples that each "
            "probe got right."
        )
    return Comparison(
        sections, [*remarks, *(_in_words(row, p) for row, p in zip(rows, adjusted, strict=True))]
    )


def _named(name: str, groups: list[Group]) -> Group:
    """Finds the group for a name, which is tried as a label, a preset, a folder of a sweep and a method, in this order.

    Raises:
        UserError: the name matches no group or several groups.
    """
    found = [group for group in groups if group.label == name] or _of_preset(name, groups)
    found = found or [group for group in groups if {run.path.parent.name for run in group.runs} == {name}]
    methods: dict[str, list[Group]] = {}
    for group in groups:
        methods.setdefault(group.config.model, []).append(group)
    found = found or methods.get(name, [])
    if len(found) == 1:
        return found[0]
    problem = "No group has this name" if not found else "Several groups have this name"
    labels = "; ".join(group.label for group in found or groups)
    raise UserError(f"{problem}. Received: --compare={name}. Name one of: {labels}")


def _of_preset(name: str, groups: list[Group]) -> list[Group]:
    try:
        path = command_line.find_preset(name)
        settings = settings_of(command_line.parse([f"--flagfile={path}"])[0])
    except (ConfigError, OSError):
        return []
    return [group for group in groups if group.settings == settings]


def _check(name_a: str, a: Group, name_b: str, b: Group, despite: list[str]) -> None:
    """Raises UserError if two groups cannot be compared.

    Two groups may differ in settings of METHOD and in the settings `despite`. If no setting of METHOD differs, they may
    differ in one other setting. All runs must have the same data.
    """
    received = f"Received: --compare={name_a},{name_b}"
    if a is b:
        raise UserError(f"Both names are of the same group. {received}. Name two groups")
    differing = [name for name in varying([a.settings, b.settings]) if name not in despite]
    others = [name for name in differing if name not in METHOD]
    same_method = len(others) == len(differing)
    if others and not (same_method and len(others) == 1):
        shown = ", ".join(f"{name} ({a.settings[name]} and {b.settings[name]})" for name in others)
        raise UserError(
            f"The runs differ in more than what is compared: {shown}. {received}. Compare runs that agree in it, or "
            f"add --despite={','.join(others)}"
        )
    data = {run.data for group in (a, b) for run in group.counted}
    if len(data) > 1:
        raise UserError(
            f"The runs saw different data: {', '.join(sorted(data))}. {received}. Compare runs on one"
        )


def _common(a: Group, b: Group) -> list[tuple[Run, Run]]:
    by_seed = {run.config.seed: run for run in b.runs if run.finished}
    return [(run, by_seed[run.config.seed]) for run in a.runs if run.finished and run.config.seed in by_seed]


def _accuracy(run: Run) -> float:
    found = figure(run, TEST_AT_BEST)
    if found is None:
        raise UserError(
            f"The run has no accuracy, because all its labels are equal. Received: {run.folder}. Compare labelled data"
        )
    return found


def _by_image(pair: str, runs: list[tuple[Run, Run]]) -> list[tuple[str, ...]]:
    """Returns a table row for each seed and a row for all seeds.

    Returns no rows if a run did not record which test images its probe classified correctly.
    """
    right = [
        (one.right, other.right) for one, other in runs if one.right is not None and other.right is not None
    ]
    if len(right) < len(runs) or len({len(side) for sides in right for side in sides}) > 1:
        return []
    rows: list[tuple[str, ...]] = []
    for (one, _), (a, b) in zip(runs, right, strict=True):
        only_a, only_b, p = statistics.mcnemar(a, b)
        gap = 100 * (float(np.mean(a)) - float(np.mean(b)))
        rows.append((pair, str(one.config.seed), f"{gap:+.2f}", str(only_a), str(only_b), _p(p), MISSING))
    all_a, all_b = (np.stack(side) for side in zip(*right, strict=True))
    low, high = statistics.over_seeds_and_images(all_a, all_b)
    gap = 100 * float(all_a.mean() - all_b.mean())
    interval = MISSING if math.isnan(low) else f"{100 * low:+.2f} to {100 * high:+.2f}"
    rows.append((pair, "all", f"{gap:+.2f}", MISSING, MISSING, MISSING, interval))
    return rows


def _seed_section(rows: list, adjusted: list[float], margin: float) -> Section:
    head = (
        "difference", "seeds", "mean, points", "95 % t interval", "sign-flip p", "p after Holm",
        f"seeds for {EFFECT:g} points", f"equivalent within {margin:g}",
    )  # fmt: skip
    shown: list[tuple[str, ...]] = []
    for (pair, runs, differences, found), p in zip(rows, adjusted, strict=True):
        interval = MISSING if math.isnan(found.low) else f"{found.low:+.2f} to {found.high:+.2f}"
        needed = None if math.isnan(found.sd) else statistics.seeds_needed(found.sd, EFFECT)
        p_equal, equal = statistics.equivalent(differences, margin)
        verdict = MISSING if math.isnan(p_equal) else f"{'yes' if equal else 'not shown'} (p {_p(p_equal)})"
        shown.append(
            (
                pair,
                str(len(runs)),
                f"{found.mean:+.2f}",
                interval,
                _p(found.p),
                _p(p),
                _seeds(needed, found.sd),
                verdict,
            )
        )
    return Section("Comparison by seed: test accuracy at the best epoch", head, shown)


def _image_section(rows: list[tuple[str, ...]]) -> Section:
    head = (
        "difference",
        "seed",
        "points",
        "only the first right",
        "only the second right",
        "McNemar p",
        "95 % interval",
    )
    return Section("Comparison by test image: the probe on frozen codes", head, rows)


def _in_words(row: tuple, p: float) -> str:
    """Returns a sentence on what a row of the comparison shows."""
    pair, runs, _, found = row
    if math.isnan(found.p):
        return f"{pair}: one common seed says nothing about other seeds."
    least = 2.0 ** (1 - len(runs))
    limit = f" With {len(runs)} seeds it cannot be below {least:.2g}." if least > statistics.LEVEL else ""
    if p < statistics.LEVEL:
        return f"{pair}: the difference is larger than chance explains (p {_p(p)})."
    return f"{pair}: no difference is shown (p {_p(p)}).{limit}"


def _seeds(needed: int | None, sd: float) -> str:
    if math.isnan(sd):
        return MISSING
    return f"more than {statistics.MOST_SEEDS}" if needed is None else str(needed)


def _p(value: float) -> str:
    return MISSING if math.isnan(value) else f"{value:.2g}"
