"""How a stage is run: machine, arithmetic, validation, averages, logs."""

from typing import Literal

from pydantic import Field, model_validator

from panollava.config.sections import Section


class TrainerConfig(Section):
    """Where and how training runs; the names of the first block are Lightning's."""

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = Field("auto", description="Kind of device.")
    devices: Literal["auto"] | int = Field(1, description="Devices per machine; auto: all; -1: all.")
    num_nodes: int = Field(1, ge=1, description="Machines.")
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true", description="Arithmetic of training; what trains is kept in float32 (frozen: language.dtype)."
    )
    strategy: Literal["auto", "ddp", "fsdp"] = Field(
        "auto", description="What several devices share: ddp (auto): batches; fsdp (FSDP2): the towers' blocks too."
    )
    gradient_clip: float | None = Field(1.0, gt=0, description="Largest gradient norm; null: no clipping.")
    log_every: int = Field(10, ge=1, description="Optimiser steps between two log lines.")
    loggers: tuple[Literal["csv", "tensorboard", "wandb", "trackio"], ...] = Field(
        ("csv", "tensorboard"), description="Where curves go; the report reads csv."
    )
    threads: int | None = Field(None, ge=1, description="CPU threads of torch; null: torch's choice.")
    val_every: int | None = Field(
        None,
        ge=1,
        description="Optimiser steps between validations, each of which may become the checkpoint 'best'; null: "
        "validate once, at the end of a stage, and write 'last' alone.",
    )
    patience: int | None = Field(
        None, ge=1, description="Validations without a better loss after which a stage stops; null: never."
    )
    min_delta: float = Field(0.0, ge=0, description="How much lower a validation loss must be to count as better.")
    ema_decay: float | None = Field(
        None, gt=0, lt=1, description="Keep an exponential moving average of what trains; null: do not."
    )
    ema_use: Literal["both", "validation", "checkpoint"] = Field(
        "both", description="Where the averaged weights stand in for the trained ones."
    )
    save_every: int | None = Field(
        None, ge=1, description="Optimiser steps between checkpoints inside a stage; null: by save_minutes alone."
    )
    save_minutes: float | None = Field(
        10.0, gt=0, description="Minutes between checkpoints inside a stage; null: by save_every alone."
    )
    keep_checkpoints: int = Field(
        2, ge=1, description="Checkpoints inside a stage that are kept; all go when the stage is complete."
    )
    max_skipped: int = Field(
        3,
        ge=1,
        description="Steps in a row whose loss or gradient is not finite that end a stage; fewer are skipped.",
    )
    auto_batch: bool = Field(
        False,
        description="Split batch_size x accumulation panoramas of a step into the largest batches that memory holds.",
    )
    memory_gb: float | None = Field(
        None, gt=0, description="Memory that auto_batch may fill on a CPU; null: half of what is free."
    )
    compile: bool = Field(False, description="Compile the language model's decoder (torch.compile).")
    gradient_checkpointing: bool = Field(
        False, description="Compute activations again in the backward pass instead of keeping them."
    )

    @model_validator(mode="after")
    def _check(self) -> "TrainerConfig":
        if isinstance(self.devices, int) and self.devices < 1 and self.devices != -1:
            raise ValueError(f"devices is {self.devices}; allowed: auto, -1 (all) or a number from 1")
        if self.strategy == "fsdp" and self.precision == "16-mixed":
            raise ValueError("precision is 16-mixed, which strategy fsdp cannot scale; write bf16-mixed, or ddp")
        if self.patience is not None and self.val_every is None:
            raise ValueError(
                f"patience is {self.patience}, but val_every is null, so a stage validates once, at its end; "
                "write val_every, or patience: null"
            )
        if len(set(self.loggers)) != len(self.loggers):
            raise ValueError(f"loggers lists one twice: {', '.join(self.loggers)}")
        return self
