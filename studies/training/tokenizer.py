"""The embedded models' tokenizer: byte-level BPE in which every word of the tasks is one token."""

from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from saccade.backbones.prompt import SYSTEM, render_chat
from saccade.backbones.vocabulary import TOKENIZER
from saccade.studies.documents import KINDS, make_sample
from saccade.studies.files import replacing

SPECIAL = (
    "<|startoftext|>",
    "<|endoftext|>",
    "<|mdm_mask|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
)
_WORDS = Regex(r" ?[A-Za-z]+(?: (?=\d))?|\d|\n+| ?[^\sA-Za-z\d]+|\s")
"""Words carry their leading space; a space before a digit belongs to the word before it."""


def _corpus(samples_per_kind: int = 60) -> Iterator[str]:
    for kind in KINDS:
        for index in range(samples_per_kind):
            sample = make_sample(kind, index, split="train")
            yield render_chat([("user", sample.question)], system="")
            yield sample.answer


def build_tokenizer() -> Tokenizer:
    """Train the tokenizer on the documents' questions and answers.

    Any text can be encoded (bytes are the fallback) and decoding is lossless. The published system
    sentence is one added token, so that a small model's prompt stays short.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_WORDS, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tokenizer.add_tokens([AddedToken(SYSTEM, special=False, normalized=False)])
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write ``tokenizer.json`` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / TOKENIZER) as partial:
        tokenizer.save(str(partial))
