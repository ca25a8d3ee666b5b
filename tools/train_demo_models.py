"""Trains one demo model from scratch on a CPU: `python tools/train_demo_models.py --model demo_m --work DIR`.

The schedule counts steps, so a run depends on its seed and not on the machine's speed; it is the same for both models:
1. steps 0-399: the vision tower alone learns to name the characters in each merged image token, through a head that is
   thrown away; 2. the rest: that loss (x 0.5) and the answers to all four questions of each document together.
AdamW, 16 documents a step, warm-up of 200 steps, then a cosine with a straight end.

CPU time on one core shared with other work (Xeon with AMX, bf16 autocast): demo_m 2,400 s, demo_s 1,040 s.

`--work DIR` receives `training.pt` (resumable: the same command goes on from it), `log.jsonl` and `bf16/`, the stock
checkpoint so far. At the end `--out` (default assets/demo_models) receives `MODEL/bf16`, `MODEL/w8a8` and
`MODEL/w4a16`; `tools/measure_demo_models.py` then measures them all. Needs torch, transformers, matplotlib (its fonts).
"""

import argparse
import json
import logging
import math
import shutil
import time
from pathlib import Path

import torch

from demo_models.batches import BatchMaker
from demo_models.checkpoint import save_checkpoint
from demo_models.network import Size, TrainingNetwork, build_model
from demo_models.quantise import SCHEMES, quantise_checkpoint
from demo_models.tokenizer import build_tokenizer

SIZES = {
    "demo_m": Size(vision_width=96, vision_heads=3, vision_depth=3, text_width=96, text_depth=2, text_inner=288),
    "demo_s": Size(vision_width=64, vision_heads=2, vision_depth=1, text_width=64, text_depth=2, text_inner=192),
}
PEAK_RATE = {"demo_m": 2e-3, "demo_s": 3e-3}  # narrow networks take larger steps
# (from step, share): invented names force a model to read letters. With few of them it learns the real names by heart
# and reads an unknown one as the most similar known name.
INVENTED_NAMES = ((0, 0.3), (4_500, 0.7))
SEED = 1
STEPS, COSINE_STEPS, COOL_DOWN = 10_500, 12_000, 5_800
BATCH = 16
VISION_STEPS, WARM_UP = 400, 200
CHARACTER_WEIGHT = 0.5
LOG_EVERY, SAVE_EVERY = 100, 500

log = logging.getLogger("train_demo_models")


def learning_rate(step: int, peak: float) -> float:
    """Warm up linearly, follow a cosine, and go straight down to zero over about the last 500 steps."""
    cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / COSINE_STEPS))
    return peak * min(1.0, (step + 1) / WARM_UP) * min(cosine, (STEPS - step) / COOL_DOWN)


def make_optimizer(network: TrainingNetwork, peak: float) -> torch.optim.AdamW:
    """Decay matrices only, not biases and norms."""
    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": 0.05},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.98), fused=True)


class Trainer:
    """One training run with everything that a resumed run needs."""

    def __init__(self, name: str, work: Path) -> None:
        torch.manual_seed(SEED)
        self.name, self.work, self.step, self.cpu_seconds = name, work, 0, 0.0
        self.tokenizer = build_tokenizer()
        self.network = TrainingNetwork(build_model(SIZES[name], self.tokenizer))
        self.batches = BatchMaker(self.network, self.tokenizer, BATCH, SEED, INVENTED_NAMES)
        self.optimizer = make_optimizer(self.network, PEAK_RATE[name])
        state = work / "training.pt"
        if state.exists():
            self._restore(torch.load(state, weights_only=True))

    def _restore(self, saved: dict) -> None:
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.cpu_seconds = saved["step"], saved["cpu_seconds"]
        log.info("%s goes on from step %d", self.name, self.step)

    def save(self, cpu_seconds: float) -> None:
        """Write the resumable state and the stock checkpoint as it is now."""
        saved = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "cpu_seconds": cpu_seconds,
        }
        torch.save(saved, self.work / "training.tmp")
        (self.work / "training.tmp").rename(self.work / "training.pt")
        save_checkpoint(self.network.model, self.tokenizer, self.work / "bf16")

    def train_step(self) -> dict[str, float]:
        """Make one step and return its losses and accuracies."""
        batch = self.batches.make(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, PEAK_RATE[self.name])
        with torch.autocast("cpu", torch.bfloat16):
            features = self.network.image_features(batch.patches)
            loss, accuracy = self.network.character_loss(features, batch.characters)
            numbers = {"character_loss": loss, "character_accuracy": accuracy}
            if self.step >= VISION_STEPS:
                answers, right = self.network.answer_loss(features, batch.questions, batch.labels, batch.geometry)
                loss = answers + CHARACTER_WEIGHT * loss
                numbers |= {"answer_loss": answers, "token_accuracy": right}
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return {name: round(value.item(), 4) for name, value in numbers.items()}

    def run(self, last: int) -> None:
        """Train up to a step, logging and saving on the way."""
        self.work.mkdir(parents=True, exist_ok=True)
        self.network.train()
        begun = time.process_time() - self.cpu_seconds
        with (self.work / "log.jsonl").open("a", encoding="utf-8") as lines:
            while self.step < last:
                numbers = self.train_step()
                spent = time.process_time() - begun
                if self.step % LOG_EVERY == 0 or self.step == last:
                    row = {"step": self.step, "images": self.step * BATCH, "cpu_s": round(spent), **numbers}
                    lines.write(json.dumps(row) + "\n")
                    lines.flush()
                    log.info("%s %s", self.name, row)
                if self.step % SAVE_EVERY == 0 or self.step == last:
                    self.save(spent)

    def export(self, folder: Path) -> None:
        """Write the trained checkpoint and its quantised variants."""
        shutil.copytree(self.work / "bf16", folder / "bf16", dirs_exist_ok=True, copy_function=shutil.copyfile)
        for name in SCHEMES:
            quantise_checkpoint(folder / "bf16", folder / name, name)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=tuple(SIZES), required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder of this run")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "assets" / "demo_models")
    parser.add_argument("--stop-at", type=int, default=STEPS, metavar="STEP", help="pause here, for a trial")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    trainer = Trainer(arguments.model, arguments.work)
    trainer.run(min(arguments.stop_at, STEPS))
    if trainer.step == STEPS:
        trainer.export(arguments.out / arguments.model)


if __name__ == "__main__":
    main()
