"""Replies that share their prompt's row score as each would alone."""

from __future__ import annotations

import pytest
import torch

from candor.models.heads import sequence_scores, tree_scores
from candor.models.load import Policy, reward_from_policy
from candor.ops.batches import Row, make_batch
from candor.ops.trees import Tree, make_trees
from tiny_models import tiny_llama, tiny_tokenizer

TREES = [
    Tree(prompt=(5, 9, 31), replies=((2, 1), (7, 8, 9, 1), (40, 1))),
    Tree(prompt=(6,), replies=((11, 12, 13, 14, 15, 16, 1), (17, 1))),
]
TOKENIZER = tiny_tokenizer()
MODEL = reward_from_policy(Policy(model=tiny_llama(TOKENIZER), tokenizer=TOKENIZER), seed=0).model


def alone(tree: Tree) -> list[float]:
    rows = [Row(tokens=(*tree.prompt, *reply), prompt_length=len(tree.prompt)) for reply in tree.replies]
    return [sequence_scores(MODEL, make_batch([row], 0)).item() for row in rows]


def test_layout_by_hand() -> None:
    batch = make_trees([Tree(prompt=(5, 9), replies=((2, 1), (7,)))], pad_id=0)
    assert batch.input_ids.tolist() == [[5, 9, 2, 1, 7]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 2]]
    assert batch.last.tolist() == [3, 4]
    assert batch.attention_mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 0, 1],
    ]


@torch.no_grad()
def test_shared_prompts_give_the_scores_of_separate_rows() -> None:
    shared = tree_scores(MODEL, make_trees(TREES, 0)).tolist()
    assert shared == pytest.approx([score for tree in TREES for score in alone(tree)], abs=1e-5)


@torch.no_grad()
def test_a_plain_causal_mask_would_mix_the_replies() -> None:
    batch = make_trees(TREES, 0)
    causal = torch.ones_like(batch.attention_mask).tril()
    mixed = type(batch)(
        input_ids=batch.input_ids, attention_mask=causal, position_ids=batch.position_ids, last=batch.last
    )
    gaps = tree_scores(MODEL, mixed) - torch.tensor([score for tree in TREES for score in alone(tree)])
    assert gaps.abs()[[1, 2, 4]].min().item() > 1e-3  # every reply but the first of its tree
    assert gaps.abs()[[0, 3]].max().item() < 1e-5
