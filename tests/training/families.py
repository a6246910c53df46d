"""Chat templates of the shapes that families of models have, in small, each with a tokenizer.

Written for these tests; the shapes are those of the published templates: where turns begin and end,
how tools, calls and results are told, and what the history of later turns looks like.
"""
# ruff: noqa: E501 (templates keep their lines)

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

QWEN = """{%- if tools -%}
<|im_start|>system
{% if messages[0].role == 'system' %}{{ messages[0].content }}

{% endif %}<tools>{% for tool in tools %}
{{ tool | tojson }}{% endfor %}
</tools><|im_end|>
{% elif messages[0].role == 'system' -%}
<|im_start|>system
{{ messages[0].content }}<|im_end|>
{% endif -%}
{%- for message in messages -%}
{%- if message.role == 'user' -%}
<|im_start|>user
{{ message.content }}<|im_end|>
{% elif message.role == 'assistant' -%}
<|im_start|>assistant
{{ message.content }}{% for call in message.tool_calls or [] %}
{{- '\\n' if not loop.first or message.content }}<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% elif message.role == 'tool' -%}
{%- if loop.first or messages[loop.index0 - 1].role != 'tool' -%}<|im_start|>user{%- endif %}
<tool_response>
{{ message.content }}
</tool_response>
{%- if loop.last or messages[loop.index0 + 1].role != 'tool' -%}<|im_end|>
{% endif -%}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}"""

LLAMA = """{{- bos_token -}}
{%- for message in messages -%}
<|start_header_id|>{{ 'ipython' if message.role == 'tool' else message.role }}<|end_header_id|>

{% if message.tool_calls -%}
{"name": "{{ message.tool_calls[0].function.name }}", "parameters": {{
message.tool_calls[0].function.arguments | tojson }}}
{%- else -%}
{%- if tools and loop.first -%}Functions:{% for tool in tools %} {{ tool | tojson }}{% endfor %}
{% endif -%}
{{ message.content }}
{%- endif -%}<|eot_id|>
{%- endfor -%}
{%- if add_generation_prompt -%}<|start_header_id|>assistant<|end_header_id|>

{% endif -%}"""

MISTRAL = """{{- bos_token -}}
{%- if tools -%}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{%- endif -%}
{%- for message in messages -%}
{%- if message.role in ('system', 'user') -%}[INST]{{ message.content }}[/INST]
{%- elif message.role == 'tool' -%}
[TOOL_RESULTS]{"content": {{ message.content | tojson }}, "call_id": "{{ message.tool_call_id }}"}[/TOOL_RESULTS]
{%- elif message.tool_calls -%}
[TOOL_CALLS][{% for call in message.tool_calls %}{"name": "{{ call.function.name }}", "arguments": {{
call.function.arguments | tojson }}}{% endfor %}]</s>
{%- else -%}{{ message.content }}</s>
{%- endif -%}
{%- endfor -%}"""

GEMMA = """{{- bos_token -}}
{%- if messages[0].role == 'system' -%}{{ raise_exception('System role not supported') }}{%- endif -%}
{%- for message in messages -%}
<start_of_turn>{{ 'model' if message.role == 'assistant' else message.role }}
{{ message.content | trim }}<end_of_turn>
{% endfor -%}
{%- if add_generation_prompt -%}<start_of_turn>model
{% endif -%}"""

HARMONY = """{%- if tools -%}<|start|>developer<|message|>{{ tools | tojson }}<|end|>{%- endif -%}
{%- for message in messages -%}
{%- if message.role == 'tool' -%}
<|start|>functions.{{ message.name }} to=assistant<|channel|>commentary<|message|>{{ message.content }}<|end|>
{%- elif message.tool_calls -%}
<|start|>assistant<|channel|>commentary to=functions.{{ message.tool_calls[0].function.name }}<|message|>{{
message.tool_calls[0].function.arguments | tojson }}<|call|>
{%- elif message.role == 'assistant' -%}
<|start|>assistant<|channel|>final<|message|>{{ message.content }}{{ '<|return|>' if loop.last else '<|end|>' }}
{%- else -%}<|start|>{{ message.role }}<|message|>{{ message.content }}<|end|>
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}<|start|>assistant{%- endif -%}"""

REWRITING = QWEN.replace(
    "{{ message.content }}{% for", "{{ message.content if loop.last else '(earlier)' }}{% for"
)
"""Rewrites what was said before, as templates do that leave out old reasoning."""

STOPS = {
    "qwen": (QWEN, ["<|im_end|>"], ["<|im_start|>"]),
    "llama": (LLAMA, ["<|eot_id|>"], ["<|start_header_id|>", "<|end_header_id|>"]),
    "mistral": (
        MISTRAL, ["</s>"], ["[INST]", "[/INST]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"],
    ),
    "gemma": (GEMMA, ["<end_of_turn>"], ["<start_of_turn>"]),
    "harmony": (
        HARMONY, ["<|return|>", "<|call|>"], ["<|start|>", "<|end|>", "<|message|>", "<|channel|>"],
    ),
    "rewriting": (REWRITING, ["<|im_end|>"], ["<|im_start|>"]),
}  # fmt: skip
"""Template, stops and further special tokens of each family."""


def tokenizer_of(family: str) -> PreTrainedTokenizerFast:
    """A tokenizer of single bytes; its pad token is 0, `<s>` 1, and its first stop is the eos."""
    template, stops, marks = STOPS[family]
    special = ["<pad>", "<s>", *stops, *marks]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*special, *alphabet])}
    bare = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    bare.add_special_tokens(special)
    return PreTrainedTokenizerFast(
        tokenizer_object=bare, pad_token="<pad>", bos_token="<s>", eos_token=stops[0],
        chat_template=template,
    )  # fmt: skip


def stop_ids_of(family: str) -> list[int]:
    """What ends a turn in a family."""
    return [int(one) for one in tokenizer_of(family).convert_tokens_to_ids(STOPS[family][1])]
