"""Arguments of the client for llama.cpp: those of the library's `Llama` and of `Llama.from_pretrained`."""

from typing import Any, Literal

from typing_extensions import TypedDict


class LlamaCppParams(TypedDict, total=False):
    """What a model is loaded with; see the library's reference. Either `model_path`, or `repo_id` and `filename`."""

    repo_id: str | None
    """A repository of Hugging Face; needs the package `huggingface-hub`."""
    filename: str | None
    """The file in it; may be a pattern."""
    additional_files: list[Any] | None
    local_dir: str | None
    local_dir_use_symlinks: bool | Literal["auto"]
    cache_dir: str | None
    model_path: str
    """A GGUF file."""
    n_gpu_layers: int
    """Layers on the GPU; -1 for all."""
    split_mode: int
    main_gpu: int
    tensor_split: list[float] | None
    rpc_servers: str | None
    vocab_only: bool
    use_mmap: bool
    use_mlock: bool
    kv_overrides: dict[str, bool | int | float | str] | None
    seed: int
    n_ctx: int
    """Tokens of prompt and answer together; by default 512. 0 is what the model can take."""
    n_batch: int
    n_ubatch: int
    n_threads: int | None
    n_threads_batch: int | None
    rope_scaling_type: int | None
    pooling_type: int
    rope_freq_base: float
    rope_freq_scale: float
    yarn_ext_factor: float
    yarn_attn_factor: float
    yarn_beta_fast: float
    yarn_beta_slow: float
    yarn_orig_ctx: int
    logits_all: bool
    embedding: bool
    offload_kqv: bool
    flash_attn: bool
    no_perf: bool
    last_n_tokens_size: int
    lora_base: str | None
    lora_scale: float
    lora_path: str | None
    numa: bool | int
    chat_format: str | None
    """A chat format of the library; by default the model's own template."""
    chat_handler: Any | None
    """Takes messages with images; `llama_cpp.llama_chat_format.LlamaChatCompletionHandler`."""
    draft_model: Any | None
    tokenizer: Any | None
    type_k: int | None
    type_v: int | None
    spm_infill: bool
    verbose: bool
    """Have the library write to the standard error. Default: off."""
