"""Scalar heads: the reward head's initialisation, reading a score at the last token, and the value model."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from candor.ops.batches import Batch, position_ids
from candor.ops.logprobs import hidden_states
from candor.ops.randomness import generator
from candor.ops.trees import TreeBatch


def init_reward_head(head: nn.Linear, seed: int) -> None:
    """Draws the head's weights from N(0, 1/(d+1)), a variance: the standard deviation is 1/sqrt(d+1); bias 0.

    Source: Stiennon 2020 (appendix), lm-human-preferences; "The N+ Implementation Details of RLHF with PPO".
    """
    std = (head.in_features + 1) ** -0.5
    with torch.no_grad():
        drawn = torch.randn(head.weight.shape, generator=generator(seed, "reward head"))
        head.weight.copy_(drawn * std)
        if head.bias is not None:
            head.bias.zero_()


def last_token_index(attention_mask: Tensor) -> Tensor:
    """Returns the index (B,) of each row's last real token, from the mask (B, T) alone, whatever the padding side."""
    places = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    return (attention_mask.long() * places).argmax(-1)


def sequence_scores(model: nn.Module, batch: Batch) -> Tensor:
    """Returns one score (B,) per row: the ``score`` head on the last real token's hidden state.

    Calls the base model and the head, not the classification wrapper, which looks for the last token that is not the
    pad token and so reads the wrong place where pad and end of sequence are one token. ``model`` is a Hugging Face
    sequence classifier with one label.
    """
    states = hidden_states(model.base_model, batch)  # type: ignore[arg-type]
    rows = torch.arange(states.shape[0], device=states.device)
    last = states[rows, last_token_index(batch.attention_mask)]
    return model.score(last).squeeze(-1)  # type: ignore[operator]


def tree_scores(model: nn.Module, batch: TreeBatch) -> Tensor:
    """Like :func:`sequence_scores` for replies that share a row: one score (N,) per reply."""
    states = hidden_states(model.base_model, batch)  # type: ignore[arg-type]
    return model.score(states.flatten(0, 1)[batch.last]).squeeze(-1)  # type: ignore[operator]


class ValueModel(nn.Module):
    """A backbone with a linear head that gives one value per token."""

    def __init__(self, backbone: nn.Module, hidden_size: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(hidden_size, 1)

    @classmethod
    def from_reward(cls, reward: nn.Module, *, offset: float = 0.0) -> ValueModel:
        """Returns a copy of the reward model's body and head; scores are centred, so the bias is ``-offset``."""
        score: nn.Linear = reward.score  # type: ignore[assignment]
        model = cls(copy.deepcopy(reward.base_model), score.in_features)  # type: ignore[arg-type]
        with torch.no_grad():
            model.head.weight.copy_(score.weight)
            model.head.bias.fill_(-offset if score.bias is None else float(score.bias) - offset)
        return model.to(score.weight.device).eval()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Returns values (B, T); the one at place t has seen the tokens up to and including t."""
        batch = Batch(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids(attention_mask),
            reply_mask=attention_mask.bool(),
        )
        return self.head(hidden_states(self.backbone, batch)).squeeze(-1)
