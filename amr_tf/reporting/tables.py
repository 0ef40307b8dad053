"""Tables of groups of runs: a table of the paper, filled cell by cell, or one table of all groups."""

import collections
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from amr_tf.config import Config, command_line
from amr_tf.reporting.groups import Group, Summary, cell_key, differences
from amr_tf.reporting.published import (
    BEST_VALIDATION,
    DFV_CEILING,
    LAST_TESTS,
    PROTOCOL,
    RECON_PROTOCOL,
    RECON_TEST,
    RECON_VALIDATION,
    TEST_AT_BEST,
    Cell,
    Published,
    Table,
)
from amr_tf.reporting.reading import Run
from amr_tf.runs.alike import settings_of, shown, varying
from amr_tf.runs.best import ACCURACY

MISSING = "-"
NO_RUN = "no run"
NOT_PUBLISHED = "not in our sources"

# A cell, a group of runs for this cell or None, and a sentence on the settings that differ from the published ones.
Row = tuple[Cell, Group | None, str]


class Section(NamedTuple):
    """A part of a table, as text."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


class Report(NamedTuple):
    """A table with its notes.

    Attributes:
        footnotes: texts of the footnotes [1], [2], ..., in order.
        records: the rows of all sections as dicts by column name, with unrounded numbers.
        groups: groups in the table.
        provenance: table of all runs in these groups, with data, commit and hardware.
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
    """Fills each cell of a table of the paper with the groups of runs that belong to the cell.

    In a cell, the group with the published settings comes first.
    """
    rows: list[Row] = []
    placed: list[Group] = []
    for cell in table.cells:
        config = published_settings(cell)
        settings = settings_of(config) if config else {}
        found = [group for group in groups if config and cell_key(group.config) == cell_key(config)]
        for group in sorted(found, key=lambda group: group.settings != settings):
            changed = differences(group.settings, settings)
            what = "protocol" if cell.whose == "the paper's" else "settings"
            rows.append((cell, group, f"Not {cell.whose} {what}: {changed}." if changed else ""))
            placed += [group] if group not in placed else []
        if not found:
            rows.append((cell, None, ""))
    footnotes = list(dict.fromkeys(text for cell, _, other in rows for text in (cell.note, other) if text))
    head = (
        "method", "paper (lambda)", "measured", "95 % t interval", "measured - paper",
        table.beside_title, "seeds", "settings",
    )  # fmt: skip
    texts, records = zip(*(_paper_row(table, row, footnotes) for row in rows), strict=True)
    columns: dict[str, list[tuple[str, ...]]] = collections.defaultdict(list)
    for row, text in zip(rows, texts, strict=True):
        columns[row[0].column].append(text)
    sections = [Section(column, head, members) for column, members in columns.items()]
    others = [group for group in groups if group not in placed]
    remarks = [
        f"Belongs to no cell of this table: {group.label} (seeds {_seeds(group)})." for group in others
    ]
    return Report(
        table.title, table.protocol, sections, footnotes, [*remarks, *_remarks(placed)], list(records), placed,
        _provenance(placed),
    )  # fmt: skip


def all_groups(groups: list[Group]) -> Report:
    """Makes one table of all groups. Its columns are the settings in which groups differ, and all evaluated metrics.

    Groups whose best epoch is chosen by reconstruction are in a separate, last section.
    """
    differing = varying([group.settings for group in groups])
    names = [name for name in differing if name not in ("dataset", "model")]
    metrics = sorted({name for group in groups for run in group.counted for name in run.scores})
    sections, protocols, records = [], [], []
    for by_accuracy, title, measure, protocol in (
        (True, "", "validation", PROTOCOL),
        (False, "By reconstruction: all labels are the same", "validation reconstruction", RECON_PROTOCOL),
    ):
        members = [group for group in groups if group.by_accuracy == by_accuracy]
        if members:
            head = (
                "data set",
                "model",
                *names,
                measure,
                "95 % t interval",
                "test at that epoch",
                *metrics,
                "seeds",
            )
            texts, found = zip(*(_group_row(group, names, metrics) for group in members), strict=True)
            sections.append(Section(title, head, list(texts)))
            protocols.append(protocol)
            records += found
    ceiling = [DFV_CEILING] if "amr_dfv" in metrics else []
    return Report(
        "Runs by settings", " ".join(protocols), sections, [], [*ceiling, *_remarks(groups)], records, groups,
        _provenance(groups),
    )  # fmt: skip


def _group_row(group: Group, names: list[str], metrics: list[str]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Returns a group's row of the table as text and as a record."""
    settings = {name: group.settings[name] for name in ("dataset", "model", *names)}
    figures = {
        "validation": BEST_VALIDATION,
        "test": TEST_AT_BEST,
        **{name: name for name in (RECON_VALIDATION, RECON_TEST, *metrics)},
    }
    found = {title: group.summary(name) for title, name in figures.items()}
    record = {"group": group.label} | settings
    for name, summary in found.items():
        record |= _numbers(name, summary)
    shown_as, digits = (
        (("validation", "test"), 2) if group.by_accuracy else ((RECON_VALIDATION, RECON_TEST), 4)
    )
    best, test = (found[name] for name in shown_as)
    means = [_mean(found[name], _digits(found[name]), seeds=len(group.counted)) for name in metrics]
    numbers = (_mean(best, digits), _interval(best, digits), _mean(test, digits))
    text = (*map(shown, settings.values()), *numbers, *means, _seeds(group))
    return text, record | {"seeds": _seeds(group), "runs": _folders(group)}


def published_settings(cell: Cell) -> Config | None:
    """Returns the settings of a cell's preset, or None if the preset's file is missing."""
    paths = [root / cell.preset for root in command_line.PRESET_ROOTS]
    preset = next((path for path in paths if path.is_file()), None)
    return command_line.parse([f"--flagfile={preset}"])[0] if preset else None


def _paper_row(table: Table, row: Row, footnotes: list[str]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Returns a row of the table as text and as a record."""
    cell, group, other = row
    ours, beside = (_figure(group, name) if group else None for name in (cell.figure, table.beside))
    mean, sd, weight = cell.published or (None, None, None)
    gap = ours.mean - mean if ours and mean is not None else None
    note_mark, other_mark = (f" [{footnotes.index(text) + 1}]" if text else "" for text in (cell.note, other))
    text = (cell.row, _published(cell.published) + note_mark, NO_RUN, *[MISSING] * 5)
    if group:
        settings = f"not {cell.whose}{other_mark}" if other else cell.whose
        means = [_mean(found, seeds=len(group.counted)) for found in (ours, beside)]
        shown_gap = MISSING if gap is None else f"{gap:+.2f}"
        text = *text[:2], means[0], _interval(ours), shown_gap, means[1], _seeds(group), settings
    return text, {
        "column": cell.column,
        "method": cell.row,
        "paper_mean": mean,
        "paper_sd": sd,
        "paper_lambda": weight,
        **_numbers("ours", ours),
        "ours_minus_paper": gap,
        **_numbers(table.beside, beside),
        "figure": cell.figure,
        "settings": (other or cell.whose) if group else NO_RUN,
        "preset": cell.preset,
        "seeds": _seeds(group) if group else None,
        "runs": _folders(group) if group else None,
    }


def _figure(group: Group, name: str) -> Summary | None:
    """Returns the statistics of a number in %, as in the paper. Scores of metrics are multiplied by 100."""
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
    """Formats mean and sd as `93.71 +- 0.18`, with the number of runs if this number differs from `seeds`."""
    if summary is None:
        return MISSING
    sd = "" if summary.sd is None else f" +- {summary.sd:.{digits}f}"
    few = "" if seeds in (None, summary.n) else f" (n = {summary.n})"
    return f"{summary.mean:.{digits}f}{sd}{few}"


def _digits(summary: Summary | None) -> int:
    """Returns the number of decimal places for a metric's mean. Distances of lines, for example, are about 0.001."""
    return 5 if summary and abs(summary.mean) < 0.1 else 3


def _interval(summary: Summary | None, digits: int = 2) -> str:
    if summary is None or summary.low is None:
        return MISSING
    return f"{summary.low:.{digits}f} to {summary.high:.{digits}f}"


def _numbers(name: str, summary: Summary | None) -> dict[str, Any]:
    values = summary or (None,) * len(Summary._fields)
    return {f"{name}_{part}": value for part, value in zip(Summary._fields, values, strict=True)}


def _seeds(group: Group) -> str:
    """Returns `2: 0, 1; in progress: 2`: the number of counted seeds, their values, and the seeds in progress."""
    counted = f"{len(group.counted)}: {', '.join(str(run.config.seed) for run in group.counted)}"
    if not group.finished:
        return f"{counted}, in progress"
    waiting = ", ".join(str(run.config.seed) for run in group.runs if not run.finished)
    return f"{counted}; in progress: {waiting}" if waiting else counted


def _folders(group: Group) -> str:
    return "; ".join(run.folder for run in group.runs)


def _remarks(groups: list[Group]) -> list[str]:
    return [remark for group in groups for remark in _remarks_on(group)]


def _remarks_on(group: Group) -> Iterator[str]:
    """Yields remarks on the runs: progress, repeated seeds, differing data and checkpoints."""
    progress = ", ".join(
        f"seed {run.config.seed} at epoch {run.epoch} of {run.config.epochs}"
        for run in group.runs
        if not run.finished
    )
    if progress:
        fate = "not counted yet" if group.finished else "its numbers so far"
        yield f"In progress: {group.label}, {progress}; {fate}."
    for run in group.dropped:
        yield (
            f"Seed {run.config.seed} of {group.label} is there twice: {run.folder} does not count, a finished run or "
            "the newest one does."
        )
    data = dict.fromkeys(run.data for run in group.counted)
    if len(data) > 1:
        yield f"Runs of {group.label} saw different data: {', '.join(data)}."
    for name in sorted({name for run in group.counted for name in run.scores}):
        origins = sorted({run.checkpoints[name] for run in group.counted if name in run.scores})
        if len(origins) > 1:
            yield f"{name} of {group.label} comes from several checkpoints: {', '.join(origins)}."
        elif "then" in origins[0]:
            yield f"{name} of {group.label} is older than the best epoch: measured at {origins[0]}."


def _provenance(groups: list[Group]) -> Section:
    """Makes a table with a row for each run: folder, progress, results, versions and hardware."""
    rows = [
        {
            "run folder": run.folder,
            "group": group.label,
            "seed": str(run.config.seed),
            "epochs": f"{run.epoch} of {run.config.epochs}" + ("" if run.finished else ", in progress"),
            "training time": MISSING if run.hours is None else f"{run.hours:.2f} h",
            "validation (best epoch)": f"{_result(run, 'val')} ({run.best['epoch']:.0f})",
            "test": _result(run, "test"),
            "data": run.data,
            "commit": run.commit[:12],
            "hardware": run.device,
            "versions": run.versions,
        }
        for group in groups
        for run in group.runs
    ]
    return Section("Runs", tuple(rows[0]) if rows else (), [tuple(row.values()) for row in rows])


def _result(run: Run, part: str) -> str:
    """Formats the number of the best epoch: an accuracy in %, or the word "reconstruction" and the loss."""
    if run.by is ACCURACY:
        return f"{100 * run.best[f'{part}_probe_accuracy']:.2f}"
    return f"reconstruction {run.by.shown(run.best, part)}"


def summary_line(groups: list[Group]) -> str:
    """Returns short sentences that name the counted runs, their data, commits and hardware."""
    runs = [run for group in groups for run in group.counted]
    places = collections.defaultdict(list)
    for run in runs:
        parent, name = os.path.split(run.folder)
        places[parent].append(name)
    folders = "; ".join(f"{parent or '.'}: {', '.join(names)}" for parent, names in places.items())
    data, commits, devices = (
        ", ".join(dict.fromkeys(values))
        for values in zip(*((run.data, run.commit[:12], run.device) for run in runs), strict=True)
    )
    return f"Runs in {folders}. Data: {data}. Commit: {commits}. Hardware: {devices}."
