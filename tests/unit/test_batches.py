"""Padding, masks and micro-batches: masks come from lengths, never from token ids."""

from __future__ import annotations

import pytest
import torch

from candor.ops.batches import Row, fit_prompt, make_batch, micro_batches, pad, position_ids

ROWS = [Row(tokens=(5, 0, 7), prompt_length=1), Row(tokens=(0, 6, 0, 8, 0), prompt_length=3)]


def test_right_padding_by_hand() -> None:
    batch = make_batch(ROWS, pad_id=0)
    assert batch.input_ids.tolist() == [[5, 0, 7, 0, 0], [0, 6, 0, 8, 0]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 0, 0], [0, 1, 2, 3, 4]]
    assert batch.reply_mask.int().tolist() == [[0, 1, 1, 0, 0], [0, 0, 0, 1, 1]]


def test_left_padding_by_hand() -> None:
    batch = make_batch(ROWS, pad_id=0, side="left")
    assert batch.input_ids.tolist() == [[0, 0, 5, 0, 7], [0, 6, 0, 8, 0]]
    assert batch.attention_mask.tolist() == [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]
    assert batch.position_ids.tolist() == [[0, 0, 0, 1, 2], [0, 1, 2, 3, 4]]
    assert batch.reply_mask.int().tolist() == [[0, 0, 0, 1, 1], [0, 0, 0, 1, 1]]


def test_a_mask_read_off_the_ids_would_lose_the_end_of_sequence() -> None:
    # Control for the tests above: with pad == eos == 0, ids != pad is another mask than the lengths' one.
    batch = make_batch(ROWS, pad_id=0)
    from_ids = (batch.input_ids != 0).long()
    assert batch.attention_mask[1, -1] == 1
    assert from_ids[1, -1] == 0


@pytest.mark.parametrize("side", ["left", "right"])
def test_unpadded_tokens_come_back(side: str) -> None:
    ids, mask = pad([(1, 2, 3), (4,), (5, 6)], 9, side)  # type: ignore[arg-type]
    assert [row[keep.bool()].tolist() for row, keep in zip(ids, mask, strict=True)] == [[1, 2, 3], [4], [5, 6]]


def test_positions_do_not_move_with_padding() -> None:
    mask = torch.tensor([[0, 0, 1, 1, 1, 0]])
    assert position_ids(mask).tolist() == [[0, 0, 0, 1, 2, 0]]


def test_micro_batches_hold_every_row_once_sorted_by_length() -> None:
    lengths = [5, 1, 9, 3, 3, 7]
    parts = micro_batches(lengths, 2)
    assert parts == [[1, 3], [4, 0], [5, 2]]
    assert [len(part) for part in micro_batches(lengths, 4)] == [4, 2]


def test_without_a_size_padded_tokens_stay_within_the_budget() -> None:
    lengths = [5, 1, 9, 3, 3, 7, 40]
    parts = micro_batches(lengths, token_budget=16)
    assert sorted(i for part in parts for i in part) == list(range(7))
    for part in parts:
        padded = len(part) * max(lengths[i] for i in part)
        assert padded <= 16 or len(part) == 1
    assert parts[-1] == [6]  # longer than the budget: alone


def test_a_micro_batch_of_no_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 row"):
        micro_batches([1, 2], 0)


def test_prompts_are_cut_from_the_left_and_replies_never() -> None:
    assert fit_prompt((1, 2, 3, 4), 2, 10) == (1, 2, 3, 4)
    assert fit_prompt((1, 2, 3, 4), 2, 5) == (2, 3, 4)
    assert fit_prompt((1, 2, 3, 4), 4, 5) == (4,)
    assert fit_prompt((1, 2, 3, 4), 5, 5) is None
    assert fit_prompt((), 2, 5) is None
