"""What libraries say about themselves, turned down."""

import logging
import os
import warnings

_CHATTER = (
    "does not have many workers",
    "number of training batches",
    "LeafSpec",
    r"module\(s\) in eval mode",  # on purpose: only the adapter has dropout, and only it is in training mode
    "no `val_dataloader`",
    "exists and is not empty",
    "your dataloader is not resumable",  # it is: it starts at the batch it is asked to start at
)


def quiet_libraries() -> None:
    """Silence the chatter of Lightning and transformers; their warnings about our data and models stay."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for text in _CHATTER:
        warnings.filterwarnings("ignore", message=f".*{text}.*")
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
