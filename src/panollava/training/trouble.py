"""What ends a stage from outside its arithmetic: memory that ran out, a process of the run that is gone."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import distributed

from panollava.config.schema import TrainerConfig
from panollava.errors import TrainingError
from panollava.out_of_memory import advice, is_out_of_memory
from panollava.training.module import StageModule

_GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Socket Timeout", "remote process")


@contextmanager
def told(module: StageModule, settings: TrainerConfig) -> Iterator[None]:
    """Turn such an end into an error that says what to do.

    Training stops where evaluation would halve its batch: another batch would be another run.

    Raises:
        TrainingError: If memory ran out, or another process of the run ended.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise TrainingError(out_of_memory(error, module, settings)) from error
        if distributed.is_initialized() and any(text in str(error) for text in _GONE):
            first = str(error).splitlines()[0]
            raise TrainingError(
                f"another process of this run ended ({first}); look at its error, then go on with --resume auto"
            ) from error
        raise


def out_of_memory(error: BaseException, module: StageModule, settings: TrainerConfig) -> str:
    """Return what to tell of a stage that needs more memory than there is; the most effective change first."""
    stage, ways = module.stage, []
    if stage.tokens_per_batch is not None:
        ways.append(
            f"stages.{stage.name}.tokens_per_batch: {stage.tokens_per_batch // 2} (now {stage.tokens_per_batch})"
        )
    elif stage.batch_size > 1:
        size = stage.batch_size // 2
        more = -(-stage.batch_size * stage.accumulation // size)
        ways.append(
            f"stages.{stage.name}.batch_size: {size} (now {stage.batch_size}) with accumulation: {more} (now "
            f"{stage.accumulation}): the same step in smaller parts; trainer.auto_batch: true finds the size"
        )
    if not settings.gradient_checkpointing:
        ways.append("trainer.gradient_checkpointing: true (about a third more time)")
    if settings.precision == "32-true":
        ways.append("trainer.precision: bf16-mixed (now 32-true)")
    if stage.questions_per_panorama is None or stage.questions_per_panorama > 1:
        ways.append(f"stages.{stage.name}.questions_per_panorama: fewer (now {stage.questions_per_panorama or 'all'})")
    ways.append("language.quantization: nf4, or a smaller language.model")
    return advice(error, doing=f"stage {stage.name}, step {module.global_step}", ways=ways)
