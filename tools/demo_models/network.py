"""The network of a demo model (stock Qwen2-VL) and the forward passes that train it cheaply.

The weights live in a stock `Qwen2VLForConditionalGeneration`; only the passes are written anew, because two tricks make
training several times faster on one CPU core: grey patches go through a folded patch embedding, and all questions about
a document share one pass over its image tokens. Evaluation uses the stock forward, which shows that both are equal.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from transformers import Qwen2Tokenizer, Qwen2VLConfig, Qwen2VLForConditionalGeneration
from transformers.vision_utils import get_vision_position_ids

from demo_models.drawing import CHARACTERS, HEIGHT, WIDTH

PATCH, MERGED = 14, 28
GRID = (HEIGHT // PATCH, WIDTH // PATCH)
IMAGE_ROWS, IMAGE_COLUMNS = HEIGHT // MERGED, WIDTH // MERGED
IMAGE_TOKENS = IMAGE_ROWS * IMAGE_COLUMNS
SLOTS = 4  # characters that the throw-away head names per merged image token
CLASSES = len(CHARACTERS) + 1  # 0 means "no character"
IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)
_HEAD = 32  # width of a text attention head


@dataclass(frozen=True)
class Size:
    """Widths and depths of one demo model."""

    vision_width: int
    vision_heads: int
    vision_depth: int
    text_width: int
    text_depth: int
    text_inner: int


@dataclass(frozen=True)
class Geometry:
    """Constant tables of one batch layout: rotary tables and masks of the shared prefix and of the questions."""

    prefix_ids: torch.Tensor
    prefix_rotary: tuple[torch.Tensor, torch.Tensor]
    question_rotary: tuple[torch.Tensor, torch.Tensor]
    prefix_mask: torch.Tensor
    question_mask: torch.Tensor


def build_model(size: Size, tokenizer: Qwen2Tokenizer) -> Qwen2VLForConditionalGeneration:
    """Make an untrained stock model; call `torch.manual_seed` before."""
    names = ("im_end", "endoftext", "image_pad", "video_pad", "vision_start", "vision_end")
    ids = {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in names}
    heads = size.text_width // _HEAD
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": size.text_width,
        "intermediate_size": size.text_inner,
        "num_hidden_layers": size.text_depth,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": ids["im_end"],
        "pad_token_id": ids["endoftext"],
    }
    vision = {
        "depth": size.vision_depth,
        "embed_dim": size.vision_width,
        "hidden_size": size.text_width,
        "num_heads": size.vision_heads,
        "mlp_ratio": 4,
        "patch_size": PATCH,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "in_channels": 3,
    }
    config = Qwen2VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["image_pad"],
        video_token_id=ids["video_pad"],
        vision_start_token_id=ids["vision_start"],
        vision_end_token_id=ids["vision_end"],
        tie_word_embeddings=True,
    )
    model = Qwen2VLForConditionalGeneration(config)
    _initialise(model, size)
    return model


@torch.no_grad()
def _initialise(model: Qwen2VLForConditionalGeneration, size: Size) -> None:
    """Scale weights to the fan-in: the stock 0.02 is made for widths of thousands and starves a width of 96."""
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            continue
        nn.init.normal_(parameter, std=1 / math.sqrt(parameter[0].numel()))
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            parameter.mul_(1 / math.sqrt(2 * size.text_depth))
        if name.endswith(("attn.proj.weight", "fc2.weight")):
            parameter.mul_(1 / math.sqrt(2 * size.vision_depth))


def _rotate(states: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    cosine, sine = rotary
    half = states.shape[-1] // 2
    turned = torch.cat((-states[..., half:], states[..., :half]), -1)
    return (states * cosine + turned * sine).to(states.dtype)


def _attend(scores: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return torch.softmax(scores.float(), -1).to(values.dtype) @ values


def _rms_norm(norm: nn.Module, states: torch.Tensor) -> torch.Tensor:
    states = states.float()
    return norm.weight * (states * torch.rsqrt(states.square().mean(-1, keepdim=True) + norm.variance_epsilon))


class TrainingNetwork(nn.Module):
    """A stock model, the throw-away character head, and the fast training passes."""

    def __init__(self, model: Qwen2VLForConditionalGeneration) -> None:
        super().__init__()
        self.model = model
        self.vision, self.text = model.model.visual, model.model.language_model
        self.character_head = nn.Linear(model.config.text_config.hidden_size, SLOTS * CLASSES)
        positions = get_vision_position_ids(torch.tensor([[1, *GRID]]), 2)
        cosine, sine = self.vision.rotary_pos_emb(torch.zeros(1), positions)
        self.vision_rotary = (cosine[None, None], sine[None, None])

    def geometry(self, prefix: list[int], suffix: list[int], question_length: int) -> Geometry:
        """Prepare the tables for `prefix + image + suffix` shared by questions of at most `question_length` tokens."""
        before, length = len(prefix), len(prefix) + IMAGE_TOKENS + len(suffix)
        positions = torch.zeros(3, 1, length, dtype=torch.long)
        positions[:, :, :before] = torch.arange(before)
        image = slice(before, before + IMAGE_TOKENS)
        positions[0, :, image] = before
        positions[1, :, image] = before + torch.arange(IMAGE_ROWS).repeat_interleave(IMAGE_COLUMNS)
        positions[2, :, image] = before + torch.arange(IMAGE_COLUMNS).repeat(IMAGE_ROWS)
        # Text after an image continues behind the longest side of its grid (multimodal rotary positions).
        after = before + max(IMAGE_ROWS, IMAGE_COLUMNS)
        positions[:, :, image.stop :] = after + torch.arange(len(suffix))
        asked = (after + len(suffix) + torch.arange(question_length)).expand(3, 1, -1).contiguous()
        rotary = self.text.rotary_emb
        return Geometry(
            prefix_ids=torch.tensor(prefix + suffix),
            prefix_rotary=rotary(torch.zeros(1), positions),
            question_rotary=rotary(torch.zeros(1), asked),
            prefix_mask=torch.full((length, length), -1e4).triu(1),
            question_mask=torch.full((question_length, question_length), -1e4).triu(1),
        )

    def image_features(self, patches: torch.Tensor) -> torch.Tensor:
        """Encode grey patches (batch, 192, 196) in 0..1 into merged image tokens."""
        # The stock embedding sees the same grey in three normalised channels and two frames: fold that into one.
        weight = self.vision.patch_embed.proj.weight
        mean, std = (torch.tensor(values).view(1, 3, 1, 1, 1) for values in (IMAGE_MEAN, IMAGE_STD))
        folded, bias = (weight / std).sum((1, 2)).flatten(1), -(weight * mean / std).sum((1, 2, 3, 4))
        states = functional.linear(patches, folded, bias)
        batch, tokens, width = states.shape
        for block in self.vision.blocks:
            heads = block.attn.qkv(block.norm1(states)).view(batch, tokens, 3, block.attn.num_heads, -1)
            queries, keys, values = heads.permute(2, 0, 3, 1, 4).unbind(0)
            queries, keys = _rotate(queries, self.vision_rotary), _rotate(keys, self.vision_rotary)
            mixed = _attend((queries @ keys.transpose(2, 3)) * block.attn.scaling, values)
            states = states + block.attn.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
            states = states + block.mlp(block.norm2(states))
        merger = self.vision.merger
        return merger.mlp(merger.ln_q(states).reshape(batch, tokens // 4, 4 * width))

    def character_loss(self, features: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the loss of naming the characters in each merged token, and the accuracy on real characters."""
        logits, targets = self.character_head(features).float().view(-1, CLASSES), targets.view(-1)
        right = (logits.argmax(-1) == targets) & (targets > 0)
        return functional.cross_entropy(logits, targets), right.sum() / (targets > 0).sum()

    def answer_loss(
        self, features: torch.Tensor, questions: torch.Tensor, labels: torch.Tensor, geometry: Geometry
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return cross-entropy and accuracy of the next answer token; labels below 0 are not counted.

        `questions` and `labels` are (batch, questions per document, question length).
        """
        batch = features.shape[0]
        embed, before = self.text.embed_tokens, len(geometry.prefix_ids) - 1
        text = embed(geometry.prefix_ids)[None].expand(batch, -1, -1)
        prefix = torch.cat((text[:, :before], features.to(text.dtype), text[:, before:]), 1)
        states = self._text_states(prefix, embed(questions), geometry)
        logits = functional.linear(states, embed.weight).float().view(-1, embed.weight.shape[0])
        labels = labels.view(-1)
        counted = labels >= 0
        accuracy = ((logits.argmax(-1) == labels) & counted).sum() / counted.sum()
        return functional.cross_entropy(logits, labels.clamp(min=-1), ignore_index=-1), accuracy

    def _text_states(self, prefix: torch.Tensor, questions: torch.Tensor, geometry: Geometry) -> torch.Tensor:
        """Run the decoder; each question attends to the prefix and to itself, never to another question."""
        batch, shared, width = prefix.shape
        count, length = questions.shape[1:3]
        states = torch.cat((prefix, questions.reshape(batch, count * length, width)), 1)
        rotary = tuple(
            torch.cat((one, each.repeat(1, count, 1)), 1)[:, None]
            for one, each in zip(geometry.prefix_rotary, geometry.question_rotary, strict=True)
        )
        scale = _HEAD**-0.5
        for layer in self.text.layers:
            attention, normed = layer.self_attn, _rms_norm(layer.input_layernorm, states)
            queries, keys, values = (
                projection(normed).view(batch, -1, width // _HEAD, _HEAD).transpose(1, 2)
                for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            queries, keys = _rotate(queries, rotary) * scale, _rotate(keys, rotary)
            to_prefix = queries @ keys[:, :, :shared].transpose(2, 3)
            prefix_mixed = _attend(to_prefix[:, :, :shared] + geometry.prefix_mask, values[:, :, :shared])
            own = (batch, -1, count, length, _HEAD)
            own_queries, own_keys, own_values = (part[:, :, shared:].reshape(own) for part in (queries, keys, values))
            to_own = own_queries @ own_keys.transpose(3, 4) + geometry.question_mask
            to_prefix = to_prefix[:, :, shared:].reshape(batch, -1, count, length, shared)
            weights = torch.softmax(torch.cat((to_prefix, to_own), -1).float(), -1).to(values.dtype)
            from_prefix = weights[..., :shared].reshape(batch, -1, count * length, shared) @ values[:, :, :shared]
            from_own = (weights[..., shared:] @ own_values).reshape(batch, -1, count * length, _HEAD)
            mixed = torch.cat((prefix_mixed, from_prefix + from_own), 2).transpose(1, 2)
            states = states + attention.o_proj(mixed.reshape(batch, -1, width))
            states = states + layer.mlp(_rms_norm(layer.post_attention_layernorm, states))
        return _rms_norm(self.text.norm, states[:, shared:])
