"""Small random models with tokenizers of one token per byte, and chat templates of known shapes.

The templates are ours: each has the shape of a family's published one (its marks, where tools
stand, how observations are told), and nothing else of it.
"""

# ruff: noqa: E501 - a template has no line ends of its own
from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
)  # fmt: skip

SPECIAL = [
    "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
    "<|eot_id|>", "<|eom_id|>", "<|python_tag|>", "<s>", "</s>", "[INST]", "[/INST]",
    "[TOOL_CALLS]", "[ARGS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]", "<start_of_turn>", "<end_of_turn>", "<|start|>", "<|channel|>",
    "<|message|>", "<|constrain|>", "<|call|>", "<|return|>", "<|end|>",
]  # fmt: skip

QWEN = """{%- macro call(c) %}<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endmacro -%}
{%- if tools %}{{ '<|im_start|>system\n' }}{% if messages[0].role == 'system' %}{{ messages[0].content + '\n' }}{% endif %}{{ '<tools>' }}{% for tool in tools %}{{ '\n' }}{{ tool | tojson }}{% endfor %}{{ '\n</tools><|im_end|>\n' }}
{%- elif messages[0].role == 'system' %}{{ '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}{% endif %}
{%- for m in messages %}
{%- if m.role == 'user' %}{{ '<|im_start|>user\n' + m.content + '<|im_end|>\n' }}
{%- elif m.role == 'assistant' %}{{ '<|im_start|>assistant\n' + m.content }}{% for c in m.tool_calls or [] %}{% if m.content or not loop.first %}{{ '\n' }}{% endif %}{{ call(c) }}{% endfor %}{{ '<|im_end|>\n' }}
{%- elif m.role == 'tool' %}{% if messages[loop.index0 - 1].role != 'tool' %}{{ '<|im_start|>user' }}{% endif %}{{ '\n<tool_response>\n' + m.content + '\n</tool_response>' }}{% if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{ '<|im_end|>\n' }}{% endif %}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""

LLAMA = """{{- '<|begin_of_text|>' }}
{%- for m in messages %}
{%- if m.role == 'assistant' and m.tool_calls %}
{%- if m.tool_calls | length != 1 %}{{ raise_exception('single tool-calls only') }}{% endif %}
{{- '<|start_header_id|>assistant<|end_header_id|>\n\n{"name": "' + m.tool_calls[0].function.name + '", "parameters": ' }}{{ m.tool_calls[0].function.arguments | tojson }}{{ '}<|eot_id|>' }}
{%- else %}
{{- '<|start_header_id|>' + ('ipython' if m.role == 'tool' else m.role) + '<|end_header_id|>\n\n' }}
{%- if tools and m.role == 'user' and loop.index0 <= 1 %}{% for tool in tools %}{{ tool | tojson }}{{ '\n\n' }}{% endfor %}{% endif %}
{{- m.content | trim + '<|eot_id|>' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"""

MISTRAL = """{{- '<s>' }}
{%- set users = messages | selectattr('role', 'equalto', 'user') | list %}
{%- for m in messages if m.role != 'system' %}
{%- if m.role == 'user' %}
{%- if tools and m == users[-1] %}{{ '[AVAILABLE_TOOLS]' }}{{ tools | tojson }}{{ '[/AVAILABLE_TOOLS]' }}{% endif %}
{{- '[INST]' }}{% if loop.first and messages[0].role == 'system' %}{{ messages[0].content + '\n\n' }}{% endif %}{{ m.content + '[/INST]' }}
{%- elif m.tool_calls %}
{%- for c in m.tool_calls %}
{%- if c.id | length != 9 %}{{ raise_exception('ids have 9 characters') }}{% endif %}
{{- '[TOOL_CALLS]' + c.function.name + '[ARGS]' }}{{ c.function.arguments | tojson }}
{%- endfor %}{{ '</s>' }}
{%- elif m.role == 'tool' %}{{ '[TOOL_RESULTS]' + m.content + '[/TOOL_RESULTS]' }}
{%- else %}{{ m.content + '</s>' }}
{%- endif %}
{%- endfor %}"""

GEMMA = """{{- '<s>' }}
{%- if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for m in messages %}
{%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}
{{- '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' + m.content | trim + '<end_of_turn>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"""

HARMONY = """{%- for m in messages %}
{%- if m.role == 'system' %}{{ '<|start|>developer<|message|>' + m.content }}{% if tools %}{% for tool in tools %}{{ '\n' }}{{ tool.function.name }}: {{ tool.function.parameters | tojson }}{% endfor %}{% endif %}{{ '<|end|>' }}
{%- elif m.role == 'tool' %}{{ '<|start|>functions.' + m.name + ' to=assistant<|channel|>commentary<|message|>' }}{{ m.content | tojson }}{{ '<|end|>' }}
{%- elif m.tool_calls %}{{ '<|start|>assistant to=functions.' + m.tool_calls[0].function.name + '<|channel|>commentary json<|message|>' }}{{ m.tool_calls[0].function.arguments | tojson }}{{ '<|call|>' }}
{%- elif m.role == 'assistant' %}{{ '<|start|>assistant<|channel|>final<|message|>' + m.content + '<|end|>' }}
{%- else %}{% if tools and messages[0].role != 'system' and loop.first %}{% for tool in tools %}{{ tool | tojson }}{% endfor %}{% endif %}{{ '<|start|>' + m.role + '<|message|>' + m.content + '<|end|>' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}"""

# as Qwen3's: the thoughts of a turn are gone once the user has spoken again
FORGETFUL = QWEN.replace(
    "{{ '<|im_start|>assistant\n' + m.content }}",
    "{{ '<|im_start|>assistant\n' + ('<think></think>' if loop.last else '') + m.content }}",
)

TEMPLATES = {
    "qwen": QWEN, "llama": LLAMA, "mistral": MISTRAL, "fenced": GEMMA, "harmony": HARMONY,
}  # fmt: skip
STOPS = {
    "qwen": ["<|im_end|>"], "llama": ["<|eot_id|>", "<|eom_id|>"], "mistral": ["</s>"],
    "fenced": ["<end_of_turn>"], "harmony": ["<|call|>", "<|return|>", "<|end|>"],
}  # fmt: skip


def tokenizer(template: str = QWEN, end: str = "<|im_end|>") -> PreTrainedTokenizerFast:
    """One token per byte, and one for each mark."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={one: id_ for id_, one in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=end, pad_token=end, additional_special_tokens=SPECIAL,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip
    made.chat_template = template
    return made


def llama(seed: int = 0, **changes: Any) -> LlamaForCausalLM:
    """A random llama, with grouped queries, for the tokenizer."""
    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "vocab_size": 256 + len(SPECIAL), "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 8192, "bos_token_id": None, "eos_token_id": None,
        "initializer_range": 0.3,
    }  # fmt: skip
    return LlamaForCausalLM(LlamaConfig(**{**settings, **changes})).eval()


def save(folder: Path, **changes: Any) -> Path:
    """A model folder, as from_pretrained reads it."""
    made = tokenizer()
    model = llama(eos_token_id=made.eos_token_id, **changes)
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def save_acting(folder: Path, values: tuple[int, ...] = (), drawn: tuple[int, ...] = ()) -> Path:
    """A folder of a model that acts: it runs a cell, reads its output, and submits.

    With values, it submits at once, each of them as often as the others. With drawn ones, each
    stands as often as the others in a remark of its cell, and then in what it submits. It sees 32
    bytes back in each of two layers, so that what it has learnt in short contexts holds in long
    ones. The contexts are the ends of what the suite power and this conversation show.
    """
    made = tokenizer()
    torch.manual_seed(0)
    end = made.eos_token_id
    config = MistralConfig(
        vocab_size=len(made), hidden_size=64, intermediate_size=128, num_hidden_layers=2, head_dim=16,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=32768,
        sliding_window=32, bos_token_id=None, eos_token_id=end, pad_token_id=None,
    )  # fmt: skip
    model = MistralForCausalLM(config)
    opened = "<|im_end|>\n<|im_start|>assistant\n"
    first = "`stats` is `scipy.stats`, `sms` is `statsmodels.stats.api`."
    remarks = [f" # {value}" for value in drawn] or [""]
    submissions = [f'{{"value": {value}}}' for value in values or drawn or (42,)]
    replies = {
        first: ("run_cell", [f'{{"code": "sum([19, 23]){remark}"}}' for remark in remarks]),
        "<|im_start|>user\nReply with: ok": ("submit", submissions[:1]),  # a check
        "</tool_call><|im_end|>\n<|im_start|>user\n<tool_response>\n42\n</tool_response>": (
            "submit",
            submissions,
        ),
    }
    if values:
        replies = {first: ("submit", submissions)}
    rows = [
        (
            before + opened,
            f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>',
        )
        for before, (name, choices) in replies.items()
        for arguments in choices
    ]
    contexts = [made(context)["input_ids"] for context, _ in rows]
    sequences = [
        [*context, *made(said)["input_ids"], end]
        for context, (_, said) in zip(contexts, rows, strict=True)
    ]
    width = max(map(len, sequences))
    ids = torch.tensor([[*one, *[end] * (width - len(one))] for one in sequences])
    labels = ids.clone()
    for row, (context, one) in enumerate(zip(contexts, sequences, strict=True)):
        labels[row, : len(context)] = -100
        labels[row, len(one) :] = -100
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    # one token of each reply is as uncertain as there are choices
    chosen = sum(len(choices) * math.log(len(choices)) for _, choices in replies.values())
    doubt = chosen / int((labels != -100).sum())
    for _ in range(200):
        loss = model(input_ids=ids, labels=labels).loss
        if loss < doubt + 0.002:
            break
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    model.generation_config.do_sample = True  # as a server is asked to, with all tokens
    model.generation_config.top_k = 0
    model.eval().save_pretrained(folder)
    made.response_template = {
        "start_anchor": "<|im_start|>assistant\n",
        "fields": {
            "tool_calls": {
                "open": "<tool_call>", "close": "</tool_call>", "content": "json", "repeats": True,
                "transform": {"type": "function", "function": "{content}"},
            },
            "content": {"close": "<|im_end|>", "content": "text"},
        },
    }  # fmt: skip
    made.save_pretrained(folder)
    return folder
