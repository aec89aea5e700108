"""The embedded models' tokenizer: byte-level BPE in which every word of the tasks is one token."""

from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from saccade.backbones.checkpoints.tokenizer import TOKENIZER
from saccade.backbones.families import llada_v
from saccade.backbones.families.family import Family
from saccade.backbones.inputs.chat import QWEN_CHAT, SYSTEM, render_chat
from saccade.studies.runs.files import replacing
from saccade.studies.tasks.documents import KINDS, make_sample

CHAT_ML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|mask|>")
"""Special tokens of the autoregressive model and the one that is adapted from it."""
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


def _corpus(family: Family, samples_per_kind: int = 60) -> Iterator[str]:
    for kind in KINDS:
        for index in range(samples_per_kind):
            sample = make_sample(kind, index, split="train")
            yield render_chat([("user", sample.question)], "", family.template)
            yield sample.answer


def build_tokenizer(family: Family = llada_v.FAMILY) -> Tokenizer:
    """Train the tokenizer on the documents' questions and answers.

    Any text can be encoded (bytes are the fallback) and decoding is lossless. The published system
    sentences are added tokens, so that a small model's prompt stays short. All families but LLaDA-V
    share one.
    """
    own = family is llada_v.FAMILY
    special, systems = (SPECIAL, (SYSTEM,)) if own else (CHAT_ML, (QWEN_CHAT.system, SYSTEM))
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
    tokenizer.train_from_iterator(_corpus(family), trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in systems])
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write ``tokenizer.json`` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / TOKENIZER) as partial:
        tokenizer.save(str(partial))
