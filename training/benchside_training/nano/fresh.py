"""A fresh model: a tokenizer made from the teacher's notebooks, and a llama with random weights.

The chat template leaves out most of what a large model is told: it keeps the question, the name of
the first table (which tells the schema), and the end of each output. Numbers, ids and times are one
piece, and never hold the space before them: a frequent one is the same single token in a question
as in code, so that copying it takes a single look. An episode has about 100 tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchside.task import Frozen

PAD, END, USER, SAYS, OUTPUT = "<|pad|>", "<|end|>", "<|user|>", "<|says|>", "<|output|>"
TOOLS = "<|tools|>"
_RUN = r"[A-Z_]{2,}(?:[ (,=*]+[A-Z_]{2,})+[ (]*"  # of SQL keywords and columns
_NUMBER = r"\p{N}+(?:[-:]\p{N}+)*"  # ids and times too: without the space before, see above
_PIECES = rf"{_RUN}|{_NUMBER}| ?[\p{{L}}_]+| ?[^\p{{L}}\p{{N}}\s_]+|\s"

CHAT_TEMPLATE = """\
{%- if tools %}<|tools|>{% endif -%}
{%- for message in messages -%}
{%- if message.role == 'user' -%}
<|user|>
{%- if '- `' in message.content %}{{ message.content.split('- `')[1].split('`')[0] }}: {% endif -%}
{{ message.content.split('Question: ')[-1].split('\\n\\n')[0] }}<|end|>
{%- elif message.role == 'assistant' -%}
<|says|>
{%- if message.tool_calls %}{{ message.tool_calls[0].function.arguments.code }}
{%- else %}{{ message.content }}{% endif %}<|end|>
{%- elif message.role == 'tool' -%}
<|output|>{{ message.content[-60:] }}<|end|>
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

    vocabulary: int = 1500
    width: int = 128
    layers: int = 3
    heads: int = 4
    context: int = 1024


def question(prompt: str) -> str:
    """Return what the chat template keeps of a task's prompt."""
    return prompt.rsplit("Question: ", maxsplit=1)[-1].split("\n\n", maxsplit=1)[0]


def make_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Train a tokenizer (byte-level BPE) that has the chat template."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[PAD, END, USER, SAYS, OUTPUT, TOOLS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )  # fmt: skip
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=PAD, eos_token=END, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.response_template = RESPONSE_TEMPLATE
    return tokenizer


def write_fresh(folder: Path, texts: Iterable[str], shape: Shape, seed: int) -> int:
    """Write tokenizer and random weights; return the number of parameters."""
    tokenizer = make_tokenizer(texts, shape.vocabulary)
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=shape.width,
            intermediate_size=shape.width * 8 // 3 // 16 * 16, num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads, max_position_embeddings=shape.context,
            tie_word_embeddings=True, initializer_range=0.05,
            pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )  # fmt: skip
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sum(one.numel() for one in model.parameters())
