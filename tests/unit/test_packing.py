"""Replies that share a row are read as each would be alone, and the rows are full."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import candor.ops.logprobs as logprobs_module
from candor.models.heads import ValueModel, reply_values, sequence_scores
from candor.models.load import Policy, reward_from_policy
from candor.ops.batches import Row, make_batch
from candor.ops.logprobs import places, reply_logprobs
from candor.ops.packing import Layout, PackedBatch, Tree, allows_sharing, balanced, fill_rows, pack, split
from tiny_models import tiny_llama, tiny_tokenizer

TREES = [
    Tree(prompt=(5, 9, 31), replies=((2, 1), (7, 8, 9, 1), (40, 1))),
    Tree(prompt=(6,), replies=((11, 12, 13, 14, 15, 16, 1), (17, 1))),
    Tree(prompt=(6, 7), replies=((1,),)),
]
TOKENIZER = tiny_tokenizer()
POLICY = tiny_llama(TOKENIZER)
REWARD = reward_from_policy(Policy(model=POLICY, tokenizer=TOKENIZER), seed=0).model
VALUE = ValueModel.from_reward(REWARD)
CPU = torch.device("cpu")


def rows_of(trees: list[Tree]) -> list[Row]:
    return [Row(tokens=(*t.prompt, *reply), prompt_length=len(t.prompt)) for t in trees for reply in t.replies]


def alone(trees: list[Tree]) -> list[PackedBatch]:
    return [places(make_batch([row], 0)) for row in rows_of(trees)]


def test_layout_by_hand() -> None:
    batch = pack([Tree(prompt=(5, 9), replies=((2, 1), (7,)))], pad_id=0, share=True)
    assert batch.input_ids.tolist() == [[5, 9, 2, 1, 7]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 2]]
    assert batch.predictors.tolist() == [1, 2, 1]
    assert batch.targets.tolist() == [2, 1, 7]
    assert batch.last.tolist() == [3, 4]
    assert batch.attention_mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 0, 1],
    ]


def test_two_trees_in_a_row_by_hand() -> None:
    batch = pack([Tree(prompt=(5,), replies=((2,),)), Tree(prompt=(6,), replies=((3, 4),))], 0, share=True, rows=1)
    assert batch.input_ids.tolist() == [[6, 3, 4, 5, 2]]  # the longer first; the answers stay in the order asked
    assert batch.targets.tolist() == [2, 3, 4]
    assert batch.predictors.tolist() == [3, 0, 1]
    assert batch.attention_mask[0, 0, 3].tolist() == [False, False, False, True, False]


def test_separate_rows_hold_one_reply_each() -> None:
    batch = pack(TREES, pad_id=0, share=False)
    assert batch.input_ids.shape == (6, 8)
    assert batch.attention_mask.sum(1).tolist() == [len(row.tokens) for row in rows_of(TREES)]
    padded = places(make_batch(rows_of(TREES), 0))
    for name in ("input_ids", "attention_mask", "position_ids", "predictors", "targets", "last"):
        assert torch.equal(getattr(batch, name), getattr(padded, name)), name


@torch.no_grad()
@pytest.mark.parametrize("rows", [None, 1, 2])
@pytest.mark.parametrize("share", [True, False])
def test_scores_values_and_logprobs_are_those_of_separate_rows(share: bool, rows: int | None) -> None:
    batch = pack(TREES, 0, share=share, rows=rows)
    scores = torch.cat([sequence_scores(REWARD, one) for one in alone(TREES)])
    values = torch.cat([reply_values(VALUE, one) for one in alone(TREES)])
    logprobs = torch.cat([reply_logprobs(POLICY, one).logprobs for one in alone(TREES)])
    torch.testing.assert_close(sequence_scores(REWARD, batch), scores, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(reply_values(VALUE, batch), values, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(reply_logprobs(POLICY, batch).logprobs, logprobs, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_plain_causal_mask_would_mix_the_replies() -> None:
    batch = pack(TREES[:2], 0, share=True, rows=2)
    causal = torch.ones_like(batch.attention_mask).tril()
    mixed = PackedBatch(**{name: getattr(batch, name) for name in batch.__slots__} | {"attention_mask": causal})
    gaps = sequence_scores(REWARD, mixed) - torch.cat([sequence_scores(REWARD, one) for one in alone(TREES[:2])])
    assert gaps.abs()[[1, 2, 4]].min().item() > 1e-3  # every reply but the first of its tree
    assert gaps.abs()[[0, 3]].max().item() < 1e-5


trees_strategy = st.lists(
    st.tuples(st.integers(1, 9), st.lists(st.integers(1, 9), min_size=1, max_size=4)), min_size=1, max_size=6
).map(
    lambda shapes: [
        Tree(
            prompt=tuple(3 + (7 * i + k) % 50 for k in range(length)),
            replies=tuple(tuple(3 + (11 * i + 5 * j + k) % 50 for k in range(n)) for j, n in enumerate(replies)),
        )
        for i, (length, replies) in enumerate(shapes)
    ]
)


@given(trees=trees_strategy, budget=st.integers(1, 60), pad_id=st.integers(0, 60), share=st.booleans())
@torch.no_grad()
def test_packing_changes_no_logprob(trees: list[Tree], budget: int, pad_id: int, share: bool) -> None:
    """Rows, micro-batches, padding and a prompt that is repeated for want of room: none of it shows."""
    layout = Layout(share=share, pad_id=pad_id, token_budget=budget)
    rows = rows_of(trees)
    expected = [reply_logprobs(POLICY, one).logprobs for one in alone(trees)]
    found: dict[int, torch.Tensor] = {}
    for part in layout.row_parts(rows):
        flat = reply_logprobs(POLICY, part.batch).logprobs
        found |= dict(zip(part.items, flat.split([rows[i].reply_length for i in part.items]), strict=True))
    assert sorted(found) == list(range(len(rows)))
    torch.testing.assert_close(torch.cat([found[i] for i in range(len(rows))]), torch.cat(expected), atol=2e-5, rtol=0)


def test_rows_are_filled_evenly() -> None:
    lengths = [31, 30, 28, 25, 24, 22, 20, 19, 17, 15, 12, 10] * 4
    rows = fill_rows(lengths)
    assert Counter(i for row in rows for i in row) == Counter(range(len(lengths)))
    width = max(sum(lengths[i] for i in row) for row in rows)
    assert sum(lengths) / (len(rows) * width) > 0.95
    # Control: a row each would be padded by a third.
    assert sum(lengths) / (len(lengths) * max(lengths)) < 0.7
    assert balanced([5, 3, 2], 2) == [[0], [1, 2]]


def test_a_tree_longer_than_the_budget_repeats_its_prompt() -> None:
    tree = Tree(prompt=(5, 6, 7), replies=((1,) * 4, (2,) * 4, (3,) * 4))
    batch = pack([tree], 0, share=True, rows=2, token_budget=11)
    assert batch.input_ids.tolist() == [[5, 6, 7, *[1] * 4, *[2] * 4], [5, 6, 7, *[3] * 4, *[0] * 4]]
    assert batch.last.tolist() == [6, 10, 17]


@pytest.mark.parametrize("share", [True, False])
def test_split_holds_every_tree_once_within_its_bounds(share: bool) -> None:
    trees = [Tree(prompt=(1,) * (i % 7 + 1), replies=((2,) * (i % 5 + 1),) * (i % 3 + 1)) for i in range(40)]
    for size in (None, 1, 6):
        parts = split(trees, share=share, size=size, token_budget=64)
        assert sorted(i for part in parts for i in part) == list(range(40))
        if size is not None:
            assert all(len(part) == 1 or sum(len(trees[i].replies) for i in part) <= size for part in parts)
        elif share:
            assert all(sum(trees[i].length for i in part) <= 64 + max(t.length for t in trees) for part in parts)


def test_rows_with_one_prompt_are_joined_up_to_the_size() -> None:
    rows = [Row(tokens=(4, 4, 5 + i), prompt_length=2) for i in range(5)] + [Row(tokens=(9, 9), prompt_length=1)]
    parts = Layout(share=True, pad_id=0).row_parts(rows)
    assert [part.batch.input_ids.numel() for part in parts] == [2 + 5 + 2]  # the prompt once
    assert sorted(i for part in parts for i in part.items) == list(range(6))
    two = Layout(share=True, pad_id=0, size=2).row_parts(rows)
    assert all(len(part.items) <= 2 for part in two)
    assert sorted(i for part in two for i in part.items) == list(range(6))


def test_sharing_is_tried() -> None:
    tree = TREES[0]
    assert allows_sharing(lambda batch: sequence_scores(REWARD, batch), tree, 0, CPU)

    def counts(batch: PackedBatch) -> torch.Tensor:
        """Depends on what else stands in the row, as with a recurrent model."""
        return batch.input_ids.cumsum(-1).flatten()[batch.last].float()

    assert not allows_sharing(counts, tree, 0, CPU)

    def refuses(batch: PackedBatch) -> torch.Tensor:
        if batch.attention_mask.ndim == 4:
            raise TypeError("no such mask")
        return batch.last.float()

    assert not allows_sharing(refuses, tree, 0, CPU)


def test_logits_in_chunks_are_the_same_and_so_are_their_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = pack(TREES, 0, share=True)

    def measured() -> SimpleNamespace:
        POLICY.zero_grad()
        found = reply_logprobs(POLICY, batch, 0.7, entropy=True)
        found.logprobs.sum().backward()
        gradients = [p.grad.clone() for p in POLICY.parameters() if p.grad is not None]
        return SimpleNamespace(logprobs=found.logprobs.detach(), entropy=found.entropy, gradients=gradients)

    whole = measured()
    monkeypatch.setattr("candor.ops.logprobs.LOGITS_AT_ONCE", 3 * len(TOKENIZER))
    sizes: list[int] = []
    chosen = logprobs_module._chosen

    def counted(logits: torch.Tensor, *rest: object) -> object:
        sizes.append(len(logits))
        return chosen(logits, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(logprobs_module, "_chosen", counted)
    chunked = measured()
    assert max(sizes) == 3  # it did go in chunks
    torch.testing.assert_close(chunked.logprobs, whole.logprobs)
    torch.testing.assert_close(chunked.entropy, whole.entropy)
    for one, other in zip(chunked.gradients, whole.gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "tree", [Tree(prompt=(), replies=((1,),)), Tree(prompt=(1,), replies=()), Tree(prompt=(1,), replies=((),))]
)
def test_a_tree_that_is_incomplete_is_refused(tree: Tree) -> None:
    with pytest.raises(ValueError, match="a tree needs"):
        pack([tree], 0, share=True)
