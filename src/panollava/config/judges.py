"""What scores are computed with beside the answers: pretrained models, and SPICE's program."""

from pydantic import Field

from panollava.config.sections import Section


class JudgesConfig(Section):
    """Pretrained models that metrics need; a metric whose model is null is reported as missing."""

    clip: str | None = Field(None, min_length=1, description="CLIP, for clip_score: folder or Hugging Face id.")
    dino: str | None = Field(None, min_length=1, description="DINOv2, for dino_similarity: folder or id.")
    sbert: str | None = Field(None, min_length=1, description="Sentence encoder, for sbert_similarity: folder or id.")
    bert: str | None = Field(None, min_length=1, description="Encoder, for bert_score: folder or id.")
    bert_layer: int | None = Field(
        None, ge=1, description="Its layer; null: the one known to be the best for the model's name."
    )


class SpiceConfig(Section):
    """How SPICE's program is run."""

    corenlp: str | None = Field(
        None,
        min_length=1,
        description="Folder of the CoreNLP 3.6.0 jars; null: PANOLLAVA_CORENLP, or what 'metrics install spice' put.",
    )
    memory: str = Field("4G", pattern="^[1-9][0-9]*[kKmMgG]$", description="Largest Java heap, as in Java's -Xmx.")
    timeout_s: float = Field(3600.0, gt=0, description="Seconds for 500 captions with their references; then it stops.")
