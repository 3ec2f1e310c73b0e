"""Merged weights written as a GGUF file: transformers, which reads that format by itself, finds them in it again."""

from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter

from app.llm.gguf_export import write_gguf
from tasteline.errors import SetupError

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
WIDTH, INNER, HEADS, SHARED, BLOCKS, WORDS = 64, 96, 4, 2, 2, 128
SHAPES = {
    "attn_q": (WIDTH, WIDTH),
    "attn_k": (WIDTH * SHARED // HEADS, WIDTH),
    "attn_v": (WIDTH * SHARED // HEADS, WIDTH),
    "attn_output": (WIDTH, WIDTH),
    "ffn_gate": (INNER, WIDTH),
    "ffn_up": (INNER, WIDTH),
    "ffn_down": (WIDTH, INNER),
    "attn_norm": (WIDTH,),
    "ffn_norm": (WIDTH,),
}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A GGUF file of a tiny model whose last matrix is its first, with other weights than those to be written."""
    path = tmp_path / "tiny-base.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_block_count(BLOCKS)
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(SHARED)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(WORDS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_file_type(3)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"word{number}" for number in range(WORDS)])
    writer.add_token_types([1] * WORDS)
    writer.add_token_merges(["w o", "r d"])
    names = {"token_embd": (WORDS, WIDTH), "output_norm": (WIDTH,)}
    names |= {f"blk.{block}.{name}": shape for block in range(BLOCKS) for name, shape in SHAPES.items()}
    for name, shape in names.items():
        writer.add_tensor(f"{name}.weight", np.zeros(shape, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def merged(folder: Path, dtype: str = "float32", width: int = WIDTH, blocks: int = BLOCKS) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=WORDS,
        hidden_size=width,
        intermediate_size=INNER,
        num_hidden_layers=blocks,
        num_attention_heads=HEADS,
        num_key_value_heads=SHARED,
        tie_word_embeddings=True,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).to(getattr(torch, dtype)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_what_was_written_is_read_again(base: Path, tmp_path: Path, dtype: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    source = merged(tmp_path / "merged", dtype)
    write_gguf(source, base, tmp_path / "made" / "shop.gguf")
    wanted = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval()
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "made", gguf_file="shop.gguf", dtype=torch.float32).eval()
    words = torch.arange(20)[None]
    with torch.no_grad():
        expected, given = wanted(words).logits, found(words).logits
    assert np.corrcoef(expected.flatten(), given.flatten())[0, 1] > 0.998  # a head laid out wrongly: .6
    for (name, one), (_, other) in zip(wanted.named_parameters(), found.named_parameters(), strict=True):
        assert float((one - other).detach().abs().max()) <= 0.006 * float(one.detach().abs().max()), name


def test_all_but_the_weights_is_the_bases(base: Path, tmp_path: Path) -> None:
    target = tmp_path / "shop.gguf"
    write_gguf(merged(tmp_path / "merged"), base, target)
    before, after = ({n: f.contents() for n, f in GGUFReader(path).fields.items()} for path in (base, target))
    changed = {name for name in before if before[name] != after.get(name)}
    assert changed == {"general.file_type"}
    assert set(before) == set(after)
    assert after["tokenizer.ggml.tokens"][:2] == ["word0", "word1"]
    assert list(tmp_path.glob(".writing-*")) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"width": 32}, r"token_embd.weight is \(128, 32\)"), ({"blocks": 1}, "9 tensors are missing")],
)
def test_another_models_weights_are_refused(base: Path, tmp_path: Path, changes: dict[str, int], said: str) -> None:
    source = merged(tmp_path / "merged", **changes)  # type: ignore[arg-type]
    with pytest.raises(SetupError, match=said):
        write_gguf(source, base, tmp_path / "shop.gguf")
    assert list(tmp_path.glob("*shop*")) == list(tmp_path.glob(".writing-*")) == []


def test_a_folder_without_weights_is_told(base: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no weights"):
        write_gguf(tmp_path, base, tmp_path / "shop.gguf")
