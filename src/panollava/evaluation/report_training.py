"""The report's sections on the run itself: curves, stages, time and memory, configuration."""

from collections.abc import Mapping

from panollava.evaluation.report_html import Html, absent, section, table, tag
from panollava.evaluation.report_run import Run, StageRecord
from panollava.evaluation.report_text import count, duration, loss, parameters


def training(run: Run, picture: Html | None) -> Html:
    """Return the training curves, and what trained and what was frozen in each stage."""
    content = [picture or absent("There are no training logs (logs/<stage>/metrics.csv) in this run's folder.")]
    if run.stages is None:
        content.append(absent("There is no stages.json in this run's folder: what trained is not on record."))
    else:
        headers = ["Stage", "Objective", "Steps", "Time", "Last loss", "Trained", "Frozen"]
        rows = [_stage_row(stage) for stage in run.stages]
        caption = "Stages, with parameters by component"
        content.append(table(headers, rows, caption=caption, numeric=(2, 3, 4), stacks=True))
    return section("training", "Training", *content)


def _stage_row(stage: StageRecord) -> list[str]:
    return [
        stage.name,
        stage.objective,
        count(stage.steps),
        duration(stage.seconds),
        loss(stage.final_loss),
        _components(stage.trainable, "trained"),
        _components(stage.frozen, "frozen"),
    ]


def _components(components: Mapping[str, int], kind: str) -> Html:
    if not components:
        return tag("span", "nothing", attrs={"class": "note"})
    items = [
        tag("li", f"{name} ", tag("span", parameters(total), attrs={"class": "size"}))
        for name, total in components.items()
    ]
    return tag("ul", *items, attrs={"class": f"components {kind}"})


def run_facts(run: Run) -> Html:
    """Return where the model came from, what it cost, and the resolved configuration."""
    scores = run.scores
    facts = [("Checkpoint", scores.checkpoint), ("Evaluated", scores.created)]
    facts += [(f"Time, {name}", duration(value)) for name, value in scores.seconds.items()]
    if scores.peak_memory_mb is not None:
        facts.append(("Peak memory", f"{scores.peak_memory_mb:,.0f}\u00a0MB"))
    if scores.tokens_per_panorama is not None:
        facts.append(("Vision tokens per panorama", count(scores.tokens_per_panorama)))
    rows = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts]
    if run.config is None:
        config = absent("There is no config.yaml in this run's folder.")
    else:
        text = tag("pre", tag("code", run.config), attrs={"tabindex": "0"})
        config = tag("details", tag("summary", "Resolved configuration"), text)
    return section("run", "Run", tag("dl", *rows, attrs={"class": "facts"}), config)
