"""A fresh model: a tokenizer made from the teacher's notebooks, and a llama with random weights.

The chat template leaves out most of what a large model is told: it keeps the question, the name of
the first table (which tells the schema), and the end of each output; or all of the prompt, for
models that are large enough. Numbers and ids are one piece, and no piece holds the space between
two words, which is put back when text is decoded: a word is the same token in a question and as the
first one in quotes, so that copying it takes a single look.
Years, months and days are pieces of their own, since most dates are rare; the present time, which
is in most solutions, is two. With questions alone, an episode has about 100 tokens.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchside.hospital.questions.window import NOW_TEXT
from benchside.protocol import opening_messages
from benchside.task import Frozen, TaskSpec

PAD, END, USER, SAYS, OUTPUT = "<|pad|>", "<|end|>", "<|user|>", "<|says|>", "<|output|>"
TOOLS = "<|tools|>"
SHARPNESS = 4.0
"""Weight of the last norm at the start. Embeddings are small, and logits made of them alone lie too
near to each other for a rare token, such as an id, to be told from others."""
_WORD = r"[\p{L}\p{N}_]"
_NOW = NOW_TEXT.replace(" ", "|")  # its day and its time of day
_ID = r"\p{N}{3}-\p{N}+"  # of a patient in units
_PIECES = rf"{_NOW}|{_ID}|{_WORD}+|[^\p{{L}}\p{{N}}_]+"
_BETWEEN = rf"(?<={_WORD}) (?={_WORD})"
_LAST = "\ue000"  # ends the last token of a piece; in no text

Reads = Literal["question", "prompt"]
_SHOWN: dict[Reads, str] = {
    "question": """\
{%- if '- `' in message.content %}{{ message.content.split('- `')[1].split('`')[0] }}: {% endif -%}
{{ message.content.split('Question: ')[-1].split('\\n\\n')[0] }}""",
    "prompt": "{{- message.content }}",
}
_SHOWN_OUTPUT: dict[Reads, int] = {"question": 60, "prompt": 2000}  # letters, at its end
_CHAT_TEMPLATE = """\
{%- if tools %}<|tools|>{% endif -%}
{%- for message in messages -%}
{%- if message.role == 'user' -%}
<|user|>
SHOWN<|end|>
{%- elif message.role == 'assistant' -%}
<|says|>
{%- if message.tool_calls %}{{ message.tool_calls[0].function.arguments.code }}
{%- else %}{{ message.content }}{% endif %}<|end|>
{%- elif message.role == 'tool' -%}
<|output|>{{ message.content[-LETTERS:] }}<|end|>
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}<|says|>{% endif -%}"""

RESPONSE_TEMPLATE = {
    "start_anchor": SAYS,
    "fields": {
        "tool_calls": {
            "open_pattern": r"\A(?P<name>)(?=.)", "content": "text",
            "transform": {"name": "{name}", "arguments": "{content}"},
        }
    },
}  # fmt: skip


class Shape(Frozen):
    """Size of the model; two million parameters and less are enough for three suites."""

    vocabulary: int = 4096
    width: int = 128
    layers: int = 3
    heads: int = 4
    context: int = 1024


def question(prompt: str) -> str:
    """Return the question of a task's prompt, which is what the chat template keeps of it."""
    return prompt.rsplit("Question: ", maxsplit=1)[-1].split("\n\n", maxsplit=1)[0]


def shown(task: TaskSpec, image_description: str, reads: Reads) -> str:
    """Return what the model is shown of a task."""
    if reads == "question":
        return question(task.prompt)
    return opening_messages(task, image_description)[-1].content or ""


def chat_template(reads: Reads) -> str:
    """Return the template that shows so much of a task."""
    whole = _CHAT_TEMPLATE.replace("SHOWN", _SHOWN[reads])
    return whole.replace("LETTERS", str(_SHOWN_OUTPUT[reads]))


def make_tokenizer(
    texts: Iterable[str], vocabulary: int, reads: Reads = "question"
) -> PreTrainedTokenizerFast:
    """Train a tokenizer (BPE, bytes where nothing else fits) that has the chat template.

    Equal texts give equal tokenizers: last letters are told as if they were special tokens, since
    the trainer finds them in the order of a hash map with a random seed.
    """
    texts = list(texts)
    ends = sorted({letter + _LAST for text in texts for letter in text})
    bpe = Tokenizer(models.BPE(end_of_word_suffix=_LAST, byte_fallback=True))
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_BETWEEN), "removed"),
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
        ]
    )
    between = Regex(rf"(?<={_WORD}){_LAST}(?={_WORD})")
    bpe.decoder = decoders.Sequence(
        [
            decoders.ByteFallback(), decoders.Fuse(), decoders.Replace(between, " "),
            decoders.Replace(_LAST, ""),
        ]
    )  # fmt: skip
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 256, special_tokens=[PAD, END, USER, SAYS, OUTPUT, TOOLS, *ends],
        end_of_word_suffix=_LAST, show_progress=False,
    )  # fmt: skip
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_with_bytes(bpe),
        pad_token=PAD,
        eos_token=END,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = chat_template(reads)
    tokenizer.response_template = RESPONSE_TEMPLATE
    return tokenizer


def _with_bytes(bpe: Tokenizer) -> Tokenizer:
    """Return the tokenizer with a token for each byte: what it has not seen is written in them.

    As special tokens, which a trainer could add, they would be left out where text is decoded; so
    last letters are none any more.
    """
    told = json.loads(bpe.to_str())
    told["added_tokens"] = [one for one in told["added_tokens"] if _LAST not in one["content"]]
    known = told["model"]["vocab"]
    known |= {f"<0x{byte:02X}>": len(known) + byte for byte in range(256)}
    return Tokenizer.from_str(json.dumps(told))


def llama_config(shape: Shape, vocabulary: int) -> dict[str, Any]:
    """Return the arguments of `LlamaConfig` that tell a model's size.

    Logits of wider models are as far apart at the start: their embeddings are smaller.
    """
    return {
        "vocab_size": vocabulary, "hidden_size": shape.width,
        "intermediate_size": shape.width * 8 // 3 // 16 * 16,
        "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "max_position_embeddings": shape.context, "tie_word_embeddings": True,
        "initializer_range": 0.05 * (128 / shape.width) ** 0.5,
    }  # fmt: skip


def write_fresh(
    folder: Path, texts: Iterable[str], shape: Shape, seed: int, reads: Reads = "question"
) -> int:
    """Write tokenizer and random weights; return the number of parameters."""
    tokenizer = make_tokenizer(texts, shape.vocabulary, reads)
    torch.manual_seed(seed)
    told = llama_config(shape, len(tokenizer))
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    model = LlamaForCausalLM(LlamaConfig(**told, **ends, bos_token_id=None))
    nn.init.constant_(model.model.norm.weight, SHARPNESS)
    staged = folder.with_name(f".{folder.name}-staged")  # what is there is whole
    shutil.rmtree(staged, ignore_errors=True)
    model.save_pretrained(staged)
    tokenizer.save_pretrained(staged)
    shutil.rmtree(folder, ignore_errors=True)
    staged.rename(folder)
    return sum(one.numel() for one in model.parameters())
