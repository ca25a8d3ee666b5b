"""Convert a BLEURT checkpoint (bleurt-pytorch's layout, such as BLEURT-20) to RemBERT, which transformers knows.

    python tools/convert_bleurt.py SOURCE TARGET
    python -m runner ... metrics=[bleurt] metrics.bleurt.model=TARGET

SOURCE is a folder with config.json, model.safetensors or pytorch_model.bin, and the tokenizer's files (copied as they
are). bleurt-pytorch itself breaks on transformers 5; the networks are the same: factorised embeddings, a BERT encoder,
a pooler and one output. Only names differ.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import RemBertConfig, RemBertForSequenceClassification

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# Settings that both configurations call the same.
SHARED = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act"),
    *("max_position_embeddings", "type_vocab_size", "initializer_range", "pad_token_id"),
)


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Read a checkpoint's tensors by name."""
    for name in WEIGHTS:
        if (folder / name).is_file():
            file = folder / name
            return load_file(file) if file.suffix == ".safetensors" else torch.load(file, weights_only=True)
    raise FileNotFoundError(f"{folder}: neither {' nor '.join(WEIGHTS)}")


def rename(name: str) -> str:
    """Return a tensor's name in RemBERT."""
    renamed = "rembert." + name.removeprefix("bleurt.") if name.startswith("bleurt.") else name
    return renamed.replace(".embedding_projection.", ".embedding_hidden_mapping_in.")


def convert(source: Path, target: Path) -> None:
    """Write the converted checkpoint; raise ValueError where a tensor is missing or left over."""
    settings = json.loads((source / "config.json").read_text(encoding="utf-8"))
    hidden = settings["hidden_size"]
    embedding = settings.get("embedding_size") or hidden
    config = RemBertConfig(
        **{name: settings[name] for name in SHARED if name in settings},
        input_embedding_size=embedding,
        output_embedding_size=embedding,
        layer_norm_eps=settings.get("layer_norm_eps", 1e-12),
        num_labels=1,
        architectures=["RemBertForSequenceClassification"],
    )
    tensors = {
        rename(name): tensor.contiguous()
        for name, tensor in read_weights(source).items()
        if not name.endswith("position_ids") and not name.startswith("cls.")
    }
    if embedding == hidden:
        # Without a projection BLEURT has nothing there; RemBERT always has one.
        projection = "rembert.encoder.embedding_hidden_mapping_in"
        tensors.setdefault(f"{projection}.weight", torch.eye(hidden))
        tensors.setdefault(f"{projection}.bias", torch.zeros(hidden))
    with torch.device("meta"):
        wanted = RemBertForSequenceClassification(config).state_dict()
    needed = {name for name in wanted if not name.endswith("position_ids")}
    if needed != tensors.keys():
        raise ValueError(
            f"{source}: not a BLEURT checkpoint; missing {sorted(needed - tensors.keys())[:5]},"
            f" left over {sorted(tensors.keys() - needed)[:5]}"
        )
    target.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(target)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    for file in source.iterdir():
        if file.is_file() and file.name != "config.json" and file.name not in WEIGHTS:
            shutil.copy2(file, target / file.name)


def main() -> int:
    """Convert what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    try:
        convert(arguments.source, arguments.target)
    except (OSError, ValueError, KeyError) as error:
        print(f"convert_bleurt: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
