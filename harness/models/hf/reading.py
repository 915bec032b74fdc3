"""A model's tokenizer and limits without its weights, for engines that load those themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from harness.errors import ModelError
from harness.models.bases import pinned
from harness.models.hf.loading import end_ids, load_errors
from harness.models.hf.prompts import Prompts
from harness.models.hf.quiet import quiet_transformers
from harness.models.refs import ModelRef


def read_prompts(ref: ModelRef, *, limit: int | None = None) -> Prompts:
    """The prompts of a model as `HfModel` writes them: token for token the same, whichever engine reads them.

    `limit` is the longest text in tokens, where it is less than the model's own. Raises ModelError.
    """
    name, revision = pinned(ref.base)
    with quiet_transformers(), load_errors(ref.base):
        config: Any = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)
        tokenizer: Any = AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=False)
        try:
            eos = GenerationConfig.from_pretrained(name, revision=revision or "main").eos_token_id
        except OSError:
            # No generation_config.json: the model's own configuration says where it stops.
            eos = None
    text_config = config.get_text_config(decoder=True)
    if ref.adapter is not None and (Path(ref.adapter) / "tokenizer_config.json").is_file():
        with quiet_transformers(), load_errors(ref.adapter):
            tokenizer = AutoTokenizer.from_pretrained(ref.adapter, trust_remote_code=False)
        if len(tokenizer) > text_config.vocab_size:
            raise ModelError(
                f"{ref.adapter}: its tokenizer has {len(tokenizer)} tokens, its base only {text_config.vocab_size}: "
                "tokens were added in training. Merge the adapter and name the merged folder."
            )
    own = getattr(text_config, "max_position_embeddings", None)
    limits = [value for value in (limit, own) if value is not None]
    return Prompts(
        tokenizer,
        eos=end_ids(eos, getattr(config, "eos_token_id", None)),
        limit=min(limits, default=None),
        label=ref.label,
    )
