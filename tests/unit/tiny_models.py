"""Models of a few thousand random weights, as folders that the libraries load: a chat model and a sentence encoder."""

from __future__ import annotations

from pathlib import Path

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = tuple(
    [
        "a",
        "red",
        "blue",
        "green",
        "kettle",
        "lamp",
        "mug",
        "teapot",
        "of",
        "for",
        "the",
        "with",
        "steel",
        "glass",
        "large",
        "small",
        "desk",
        "garden",
        "number",
    ]
)


def make_chat_tokenizer(folder: Path) -> None:
    """Every byte is a token, so any text can be written; a few words are, too."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<|im_end|>", "<|im_start|>", "<sep>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[AddedToken(special, special=True) for special in specials],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["Yes Yes No No Maybe search chat intent pans for eggs"] * 9, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>", chat_template=TEMPLATE
    )
    fast.save_pretrained(folder)


def make_chat_model(folder: Path) -> None:
    """Two random layers."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    make_chat_tokenizer(folder)
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=400,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        eos_token_id=0,
        pad_token_id=0,
        bos_token_id=None,
        initializer_range=0.4,
    )
    network = LlamaForCausalLM(config)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = [tokenizer.decode([token], skip_special_tokens=True) for token in range(config.vocab_size)]
    with torch.no_grad():  # what is no text of its own is never the likeliest: a logit of 0 among hundreds
        network.lm_head.weight[[not text or not text.isascii() for text in texts]] = 0
    network.save_pretrained(folder)


def make_encoder(folder: Path) -> None:
    """A BERT of two random layers under mean pooling and normalising, which puts "query: " before queries."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    bert = folder.with_name(f"{folder.name}-bert")
    bert.mkdir(parents=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "query", ":", *map(str, range(10))]
    (bert / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(bert / "vocab.txt"), model_max_length=24).save_pretrained(bert)
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    BertModel(config).save_pretrained(bert)
    modules = [Transformer(str(bert)), Pooling(32), Normalize()]
    SentenceTransformer(modules=modules, prompts={"query": "query: ", "document": ""}, device="cpu").save_pretrained(
        str(folder), create_model_card=False
    )
