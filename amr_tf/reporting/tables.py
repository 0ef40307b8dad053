"""Groups of runs set into tables: those of the paper, cell by cell, or one of all there is."""

import os
from typing import Any, NamedTuple

from amr_tf.config import Config, command_line
from amr_tf.reporting.groups import Group, Summary, cell_key, differences, settings_of, shown, varying
from amr_tf.reporting.published import (
    BEST_VALIDATION,
    DFV_CEILING,
    LAST_TESTS,
    PROTOCOL,
    TEST_AT_BEST,
    Cell,
    Published,
    Table,
)

MISSING = "-"
NO_RUN = "no run"
NOT_PUBLISHED = "not in our sources"


class Section(NamedTuple):
    """A part of a table, as text."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


class Report(NamedTuple):
    """A table with all that is said about it.

    Attributes:
        title: of the table.
        protocol: how its numbers were measured.
        sections: the table, as text.
        footnotes: what its marks [1], [2], ... say, in order.
        remarks: what else a reader must know.
        records: the same rows with unrounded numbers, by column name.
        groups: those in the table.
        provenance: the runs behind it, as a table of their own.
    """

    title: str
    protocol: str
    sections: list[Section]
    footnotes: list[str]
    remarks: list[str]
    records: list[dict[str, Any]]
    groups: list[Group]
    provenance: Section


def paper_table(table: Table, groups: list[Group]) -> Report:
    """Each cell of the paper's table with the groups that belong to it, the one with the published settings first."""
    head = (
        "method",
        "paper (lambda)",
        "ours",
        "95 % t interval",
        "ours - paper",
        table.beside_title,
        "seeds",
        "settings",
    )
    sections: dict[str, Section] = {}
    footnotes: dict[str, int] = {}
    records, placed = [], []
    for cell in table.cells:
        section = sections.setdefault(cell.column, Section(cell.column, head, []))
        published = published_settings(cell)
        found = _belonging(published, groups)
        for group in found or (None,):
            other = _other_settings(cell, published, group)
            marks = [
                f" [{footnotes.setdefault(text, len(footnotes) + 1)}]" if text else ""
                for text in (cell.note, other)
            ]
            section.rows.append(_paper_row(table, cell, group, *marks))
            records.append(_paper_record(table, cell, group, other))
        placed += [group for group in found if group not in placed]
    others = [group for group in groups if group not in placed]
    remarks = [f"Belongs to no cell of this table: {group.label} ({_seeds(group)})." for group in others]
    return Report(
        table.title, table.protocol, list(sections.values()), list(footnotes),
        [*remarks, *_remarks(placed)], records, placed, _provenance(placed),
    )  # fmt: skip


def all_groups(groups: list[Group]) -> Report:
    """One table of every group: the settings in which they differ, and each metric that was evaluated."""
    names = [
        name for name in varying([group.settings for group in groups]) if name not in ("dataset", "model")
    ]
    metrics = sorted({name for group in groups for run in group.counted for name in run.scores})
    head = (
        "data set",
        "model",
        *names,
        "validation",
        "95 % t interval",
        "test at that epoch",
        *metrics,
        "seeds",
    )
    rows, records = [], []
    for group in groups:
        settings = {name: group.settings[name] for name in ("dataset", "model", *names)}
        best, test = group.summary(BEST_VALIDATION), group.summary(TEST_AT_BEST)
        scores = {name: group.summary(name) for name in metrics}
        rows.append((
            *(shown(value) for value in settings.values()), _mean(best), _interval(best), _mean(test),
            *(_mean(score, digits=3, seeds=len(group.counted)) for score in scores.values()), _seeds(group),
        ))  # fmt: skip
        records.append(
            {"group": group.label} | settings | _numbers("validation", best) | _numbers("test", test)
            | {key: value for name, score in scores.items() for key, value in _numbers(name, score).items()}
            | {"seeds": _seeds(group), "runs": _folders(group)}
        )  # fmt: skip
    ceiling = [DFV_CEILING] if "amr_dfv" in metrics else []
    return Report(
        "Runs by settings", PROTOCOL, [Section("", head, rows)], [], [*ceiling, *_remarks(groups)], records,
        groups, _provenance(groups),
    )  # fmt: skip


def published_settings(cell: Cell) -> Config | None:
    """The settings of a cell's preset; None where this project has none for it."""
    paths = [root / cell.preset for root in command_line.PRESET_ROOTS]
    preset = next((path for path in paths if path.is_file()), None)
    return command_line.parse([f"--flagfile={preset}"])[0] if preset else None


def _belonging(published: Config | None, groups: list[Group]) -> list[Group]:
    if published is None:
        return []
    found = [group for group in groups if cell_key(group.config) == cell_key(published)]
    return sorted(found, key=lambda group: group.settings != settings_of(published))


def _other_settings(cell: Cell, published: Config | None, group: Group | None) -> str:
    """In what a group departs from the settings of the cell; empty where it does not."""
    changed = differences(group.settings, settings_of(published)) if published and group else ""
    whose = "Not the paper's protocol" if cell.known else "Not the preset's settings"
    return f"{whose}: {changed}." if changed else ""


def _paper_row(table: Table, cell: Cell, group: Group | None, note: str, other: str) -> tuple[str, ...]:
    """A line of the table; `note` and `other` are the marks of their footnotes, or empty."""
    paper = _published(cell.published) + note
    if group is None:
        return cell.row, paper, NO_RUN, *[MISSING] * 5
    ours, beside = _figure(group, cell.figure), _figure(group, table.beside)
    gap = f"{ours.mean - cell.published.mean:+.2f}" if ours and cell.published else MISSING
    settings = f"not {_whose(cell)}{other}" if other else _whose(cell)
    means = [_mean(found, seeds=len(group.counted)) for found in (ours, beside)]
    return cell.row, paper, means[0], _interval(ours), gap, means[1], _seeds(group), settings


def _paper_record(table: Table, cell: Cell, group: Group | None, other: str) -> dict[str, Any]:
    mean, sd, weight = cell.published or (None, None, None)
    ours, beside = (_figure(group, name) if group else None for name in (cell.figure, table.beside))
    return {
        "column": cell.column,
        "method": cell.row,
        "paper_mean": mean,
        "paper_sd": sd,
        "paper_lambda": weight,
        **_numbers("ours", ours),
        "ours_minus_paper": ours.mean - mean if ours and mean is not None else None,
        **_numbers(table.beside, beside),
        "figure": cell.figure,
        "settings": (other or _whose(cell)) if group else NO_RUN,
        "preset": cell.preset,
        "seeds": _seeds(group) if group else None,
        "runs": _folders(group) if group else None,
    }


def _whose(cell: Cell) -> str:
    """Whose settings a preset holds."""
    return "the paper's" if cell.known else "the preset's"


def _figure(group: Group, name: str) -> Summary | None:
    """Of a figure in %, as the paper has all of its own; metrics are shares."""
    found = group.summary(name)
    if found is None or name in (BEST_VALIDATION, TEST_AT_BEST, LAST_TESTS):
        return found
    sd, low, high = (value and 100 * value for value in found[2:])
    return Summary(found.n, 100 * found.mean, sd, low, high)


def _published(number: Published | None) -> str:
    if number is None:
        return NOT_PUBLISHED
    weight = "" if number.lambda_ is None else f" ({number.lambda_:g})"
    return f"{number.mean:.2f} +- {number.sd:.2f}{weight}"


def _mean(summary: Summary | None, digits: int = 2, seeds: int | None = None) -> str:
    """`93.71 +- 0.18`; with how many of the `seeds` have it where not all do."""
    if summary is None:
        return MISSING
    sd = "" if summary.sd is None else f" +- {summary.sd:.{digits}f}"
    few = "" if seeds in (None, summary.n) else f" (n = {summary.n})"
    return f"{summary.mean:.{digits}f}{sd}{few}"


def _interval(summary: Summary | None) -> str:
    if summary is None or summary.low is None:
        return MISSING
    return f"{summary.low:.2f} to {summary.high:.2f}"


def _numbers(name: str, summary: Summary | None) -> dict[str, Any]:
    n, mean, sd, low, high = summary or (None,) * 5
    return {f"{name}_n": n, f"{name}_mean": mean, f"{name}_sd": sd, f"{name}_low": low, f"{name}_high": high}


def _seeds(group: Group) -> str:
    """`0, 1; in progress: 2`: the seeds that count, and those that do not yet."""
    counted = ", ".join(str(run.config.seed) for run in group.counted)
    if not group.finished:
        return f"{counted}, in progress"
    waiting = ", ".join(str(run.config.seed) for run in group.runs if not run.finished)
    return f"{counted}; in progress: {waiting}" if waiting else counted


def _folders(group: Group) -> str:
    return "; ".join(run.folder for run in group.runs)


def _remarks(groups: list[Group]) -> list[str]:
    found = []
    for group in groups:
        unfinished = [run for run in group.runs if not run.finished]
        if unfinished:
            progress = ", ".join(
                f"seed {run.config.seed} at epoch {run.epoch} of {run.config.epochs}" for run in unfinished
            )
            fate = "not counted yet" if group.finished else "its numbers so far"
            found.append(f"In progress: {group.label}, {progress}; {fate}.")
        for run in group.dropped:
            found.append(
                f"Seed {run.config.seed} of {group.label} is there twice: {run.folder} does not count, a finished "
                "run or the newest one does."
            )
        data = dict.fromkeys(run.data for run in group.counted)
        if len(data) > 1:
            found.append(f"Runs of {group.label} saw different data: {', '.join(data)}.")
        for name in sorted({name for run in group.counted for name in run.scores}):
            origins = sorted({run.checkpoints[name] for run in group.counted if name in run.scores})
            if len(origins) > 1:
                found.append(f"{name} of {group.label} comes from several checkpoints: {', '.join(origins)}.")
            elif "then" in origins[0]:
                found.append(
                    f"{name} of {group.label} is older than the best epoch: measured at {origins[0]}."
                )
    return found


def _provenance(groups: list[Group]) -> Section:
    """A row for each run: where it is, how far it got, and on what it ran."""
    head = (
        "run folder", "group", "seed", "epochs", "training time", "validation (best epoch)", "test", "data",
        "commit", "hardware", "versions",
    )  # fmt: skip
    rows: list[tuple[str, ...]] = [
        (
            run.folder,
            group.label,
            str(run.config.seed),
            f"{run.epoch} of {run.config.epochs}" + ("" if run.finished else ", in progress"),
            MISSING if run.hours is None else f"{run.hours:.2f} h",
            f"{100 * run.best['val_probe_accuracy']:.2f} ({run.best['epoch']:.0f})",
            f"{100 * run.best['test_probe_accuracy']:.2f}",
            run.data,
            run.commit[:12],
            run.device,
            run.versions,
        )
        for group in groups
        for run in group.runs
    ]
    return Section("Runs", head, rows)


def summary_line(groups: list[Group]) -> str:
    """Which runs these are, their data, commits and hardware, in short sentences."""
    runs = [run for group in groups for run in group.counted]
    places: dict[str, list[str]] = {}
    for run in runs:
        parent, name = os.path.split(run.folder)
        places.setdefault(parent, []).append(name)
    folders = "; ".join(f"{parent or '.'}: {', '.join(names)}" for parent, names in places.items())
    data, commits, devices = (
        ", ".join(dict.fromkeys(values))
        for values in zip(*((run.data, run.commit[:12], run.device) for run in runs), strict=True)
    )
    return f"Runs in {folders}. Data: {data}. Commit: {commits}. Hardware: {devices}."
