"""What TRL's trainers are given in every case, and how their loop is made to stop after each step.

Every setting that changes the amount of work is written out, so that nothing hangs on a default: gradient checkpointing
and bf16 are on by default in TRL and off here (they make it twice as slow on a CPU). On a GPU both sides are bf16.
"""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from bench.sides import Pause
from bench.world import World

LR = 1e-6
"""So small that the models, and with them the lengths of replies, stay what they are while steps are timed."""

FOREVER = 1_000_000


def shared(
    world: World, batch: int, micro: int, *, updates: int = FOREVER, lr: float = LR, schedule: str = "constant"
) -> dict[str, Any]:
    """Keyword arguments for SFTConfig, RewardConfig and RLOOConfig.

    On a CPU a batch is accumulated over micro-batches of ``micro`` rows: smaller ones fit the processor's cache, and of
    those that were tried each case has TRL's fastest (docs/benchmarks.md). A GPU gets the batch whole.
    """
    rows = micro if world.device.type == "cpu" else batch
    if batch % rows:
        raise ValueError(f"a batch of {batch} is no whole number of micro-batches of {rows}")
    return {
        "output_dir": str(world.directory / "trl"),
        "use_cpu": world.device.type == "cpu",
        "bf16": False,  # no autocast: on a GPU the weights themselves are bf16, as they are for Candor
        "fp16": False,
        "gradient_checkpointing": False,
        "per_device_train_batch_size": rows,
        "gradient_accumulation_steps": batch // rows,
        "max_steps": updates,
        "optim": "adamw_torch_fused",  # torch.optim.AdamW(fused=True), as Candor's
        "learning_rate": lr,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "lr_scheduler_type": schedule,
        "logging_strategy": "no",
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
        "seed": 0,
    }


class StopAfterEachStep(TrainerCallback):
    """Hands control back after every optimiser step."""

    def __init__(self, pause: Pause) -> None:
        self.pause = pause

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.pause()


def run(trainer: Any, pause: Pause) -> None:
    """Trains without end, one step at a time."""
    trainer.add_callback(StopAfterEachStep(pause))
    trainer.train()
