"""Scalar heads: the reward head's initialisation, reading a score at the last token, and the value model."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from candor.models.encoders import encoder_scores, is_encoder
from candor.ops.batches import Batch
from candor.ops.batches import position_ids as positions_from
from candor.ops.logprobs import accepted_inputs, forward_inputs, hidden_states, places
from candor.ops.packing import PackedBatch
from candor.ops.randomness import generator


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


def sequence_scores(model: nn.Module, batch: PackedBatch | Batch) -> Tensor:
    """Returns one score (N,) per reply: the ``score`` head on the hidden state of the reply's last token.

    Calls the base model and the head, not the classification wrapper, which looks for the last token that is not the
    pad token and so reads the wrong place where pad and end of sequence are one token. ``model`` is a Hugging Face
    sequence classifier with one label; an encoder's own head pools (:mod:`candor.models.encoders`).
    """
    if is_encoder(model):
        return encoder_scores(model, places(batch) if isinstance(batch, Batch) else batch)
    return model.score(sequence_states(model, batch)).squeeze(-1)  # type: ignore[operator]


def sequence_states(model: nn.Module, batch: PackedBatch | Batch) -> Tensor:
    """Returns the body's last hidden state (N, d) at each reply's last token; not for an encoder, whose head pools."""
    laid_out = places(batch) if isinstance(batch, Batch) else batch
    states = hidden_states(model.base_model, laid_out)  # type: ignore[arg-type]
    return states.flatten(0, 1)[laid_out.last]


def reply_values(model: nn.Module, batch: PackedBatch) -> Tensor:
    """Returns the value (M,) of the state before each reply token.

    ``model`` gives a value at every place, (B, T). The one at place t has seen token t, so the state before a token is
    valued at the place that predicts it.
    """
    values: Tensor = model(**forward_inputs(model, batch))
    return values.flatten()[batch.predictors].float()


class ValueModel(nn.Module):
    """A backbone with a linear head that gives one value per token."""

    def __init__(self, backbone: nn.Module, hidden_size: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(hidden_size, 1)

    @classmethod
    def from_reward(cls, reward: nn.Module, *, offset: float = 0.0, body: nn.Module | None = None) -> ValueModel:
        """Returns a copy of the reward model's body and head; scores are centred, so the bias is ``-offset``.

        ``body`` stands in for the copy.
        """
        score: nn.Linear = reward.score  # type: ignore[assignment]
        backbone = copy.deepcopy(reward.base_model) if body is None else body
        model = cls(backbone, score.in_features)  # type: ignore[arg-type]
        with torch.no_grad():
            model.head.weight.copy_(score.weight)
            model.head.bias.fill_(-offset if score.bias is None else float(score.bias) - offset)
        return model.to(score.weight.device).eval()

    @classmethod
    def from_policy(cls, policy: nn.Module) -> ValueModel:
        """Returns a copy of a policy's body under a head of zeros, for a reward model that reads other tokens."""
        embedding: nn.Embedding = policy.get_input_embeddings()  # type: ignore[operator]
        body: nn.Module = copy.deepcopy(policy.base_model)  # type: ignore[assignment]
        model = cls(body, int(body.config.get_text_config().hidden_size))  # type: ignore[operator, union-attr]
        nn.init.zeros_(model.head.weight)
        nn.init.zeros_(model.head.bias)
        return model.to(embedding.weight.device).eval()

    def forward(self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor | None = None) -> Tensor:
        """Returns values (B, T); the one at place t has seen the tokens up to and including t.

        ``attention_mask`` (B, T), or (B, 1, T, T) for packed rows, whose ``position_ids`` (B, T) have to be given.
        """
        positions = positions_from(attention_mask) if position_ids is None else position_ids
        inputs = accepted_inputs(
            self.backbone, input_ids=input_ids, attention_mask=attention_mask, position_ids=positions
        )
        return self.head(self.backbone(**inputs).last_hidden_state).squeeze(-1)
