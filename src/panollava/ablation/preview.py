"""What ``--dry-run`` shows of a study: its arms, in what they differ, what they share, and what they cost."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from panollava.ablation.cost import Sizes, peak_memory
from panollava.ablation.estimate import Speeds, disk_bytes, total_seconds, units
from panollava.ablation.standing import status
from panollava.ablation.study import Study

_GIB = 2**30


def preview(study: Study, *, rate: float | None = None) -> dict[str, Any]:
    """Return the plan of a study as a plain tree.

    Args:
        study: The study.
        rate: Floating point operations a second that the machine does; None: not known.
    """
    speeds = Speeds(study, rate=rate)
    trained = {(unit.run.name, unit.blind): speeds.seconds(unit) for unit in units(study) if unit.key is None}
    return {
        "name": study.settings.experiment_name,
        "folder": str(study.folder),
        "baseline": study.baseline,
        "arms": [_arm(study, name, trained, speeds) for name in study.arms],
        "shared_stages": _shared(study, speeds),
        "runs": len(study.runs),
        "to_do": sum(status(run) != "done" for run in study.runs),
        "seconds": total_seconds(study, speeds),
        "time_basis": speeds.basis,
        "disk_bytes": disk_bytes(study),
    }


def preview_table(tree: Mapping[str, Any]) -> Table:
    """Return the plan as a table of 100 columns; its caption holds what concerns the whole study."""
    table = Table(
        title=f"{tree['name']}: {len(tree['arms'])} arms, {tree['runs']} runs, {tree['to_do']} to do",
        caption="\n".join(_notes(tree)),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("arm", overflow="fold", ratio=3)
    table.add_column("differs in", overflow="fold", ratio=4)
    for name in ("seeds", "tokens", "steps", "time", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    for arm in tree["arms"]:
        differs = ", ".join(f"{key}={value}" for key, value in {**arm["differs"], **arm["derived"]}.items())
        mark = " (baseline)" if arm["name"] == tree["baseline"] else ""
        cells = [arm["vision_tokens"], arm["steps"]]
        numbers = ["-" if value is None else f"{value:,}" for value in cells]
        table.add_row(
            escape(arm["name"] + mark),
            escape(differs),
            str(len(arm["seeds"])),
            *numbers,
            time_text(arm["seconds_per_run"]),
            size_text(arm["memory_bytes"]),
        )
    return table


def time_text(seconds: float | None) -> str:
    """Return a duration for people.

    Example:
        >>> time_text(42), time_text(600), time_text(9000), time_text(None)
        ('42 s', '10 min', '2.5 h', 'unknown')
    """
    if seconds is None:
        return "unknown"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def size_text(size: float | None) -> str:
    """Return a size for people.

    Example:
        >>> size_text(3 * 2**29), size_text(5e6), size_text(None)
        ('1.5 GiB', '5 MiB', 'unknown')
    """
    if size is None:
        return "unknown"
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size / 2**20:.0f} MiB"


def _arm(study: Study, name: str, trained: Mapping[tuple[str, bool], float | None], speeds: Speeds) -> dict[str, Any]:
    arm, runs = study.arms[name], [run for run in study.runs if run.arm == name]
    parts = [trained.get((runs[0].name, blind), 0.0) for blind in (False, True)]
    steps = [row.max_steps for row in arm.config.stages]
    return {
        "name": name,
        "differs": _differing(study, name),
        "derived": dict(arm.derived),
        "seeds": [run.seed for run in runs],
        "shared": sorted({link.key for run in runs for link in (*run.shared, *run.shared_blind)}),
        "vision_tokens": Sizes.of(arm.config).tokens,
        "steps": None if None in steps else sum(step or 0 for step in steps),
        "seconds_per_run": None if None in parts else sum(part or 0.0 for part in parts) + speeds.beside(),
        "memory_bytes": peak_memory(arm.config, text_tokens=study.settings.text_tokens),
    }


def _differing(study: Study, name: str) -> dict[str, Any]:
    """Return the settings of an arm that are not the same in all arms."""
    own = study.arms[name].overrides
    return {
        key: value
        for key, value in own.items()
        if any(key not in arm.overrides or arm.overrides[key] != value for arm in study.arms.values())
    }


def _shared(study: Study, speeds: Speeds) -> list[dict[str, Any]]:
    users: dict[str, int] = {}
    for run in study.runs:
        for link in (*run.shared, *run.shared_blind):
            users[link.key] = users.get(link.key, 0) + 1
    return [
        {
            "key": unit.key,
            "stages": [row.name for row in unit.rows],
            "runs": users[unit.key],
            "seconds": speeds.seconds(unit),
        }
        for unit in units(study)
        if unit.key is not None
    ]


def _notes(tree: Mapping[str, Any]) -> list[str]:
    disk, shared = tree["disk_bytes"], tree["shared_stages"]
    notes = [f"tokens: vision tokens of a panorama; steps: of all stages; time: of a run, {tree['time_basis']}"]
    if shared:
        saved = sum(entry["runs"] - 1 for entry in shared)
        notes.append(f"{len(shared)} shared trainings stand for {saved + len(shared)}; a run's time is without them")
    notes.append(f"all runs one after the other: {time_text(tree['seconds'])}")
    notes.append(f"disk: checkpoints {size_text(disk['checkpoints'])}, features {size_text(disk['features'])}")
    return [escape(note) for note in notes]
