"""Nano: a policy from scratch, trained on this project's own generated tasks and nothing else.

An imperfect teacher plays tasks of three embedded suites in real kernels; a small llama learns to
imitate it (`base`), then learns from what was verified to be right (`sft`), and from its own
episodes (`dpo`, `ppo`, `grpo`). `python -m benchside_training.nano` does it all.
"""
