"""Local models: engines that sample for many episodes at once; policies `hf:`, `vllm:` on them."""
