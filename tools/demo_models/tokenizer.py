"""Builds the tokenizer of the demo models: byte-level BPE in Qwen2's format, with fixed instead of learnt merges.

A letter of the documents is one token, and so is a word of the known wordings, which keeps prompts and answers short.
Any other text falls back to bytes, so nothing is unknown.
"""

import itertools

from transformers import AddedToken, Qwen2Tokenizer

from demo_models.drawing import CHARACTERS
from demo_models.wordings import known_words

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_ROLES = ("user", "assistant", "system")

# Qwen2-VL's own template without its default system text: the models were trained without one.
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' or 'image' in part or 'image_url' in part %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _byte_alphabet() -> dict[int, str]:
    """Map each byte to the printable character that stands for it in byte-level BPE (GPT-2's table)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = itertools.count(256)
    return {byte: chr(byte if byte in printable else next(spare)) for byte in range(256)}


def build_tokenizer() -> Qwen2Tokenizer:
    """Make the tokenizer; the same call gives the same ids."""
    alphabet = _byte_alphabet()
    vocabulary = {character: index for index, character in enumerate(sorted(alphabet.values()))}
    merges: dict[tuple[str, str], None] = {}

    def merge_in_order(pieces: list[str]) -> None:
        for end in range(1, len(pieces)):
            pair = ("".join(pieces[:end]), pieces[end])
            merges[pair] = None
            vocabulary.setdefault("".join(pair), len(vocabulary))

    def as_bytes(text: str) -> list[str]:
        return [alphabet[byte] for byte in text.encode()]

    for character in CHARACTERS:
        merge_in_order(as_bytes(character))
    for word in (*_ROLES, *known_words()):
        merge_in_order(["".join(as_bytes(character)) for character in word])
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=list(merges),
        unk_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=[token for token in SPECIAL_TOKENS if token not in ("<|endoftext|>", "<|im_end|>")],
        model_max_length=2048,
    )
    tokenizer.add_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS], special_tokens=True
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
