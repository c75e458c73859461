"""The benchmark's own arithmetic, against hand-computed values; TRL is not needed here."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from bench import flops, table
from bench.cases import ALL
from bench.models import Size, widen
from bench.ratios import Ratio, paired_ratio, verdict
from bench.rloo import leave_one_out
from bench.run import wanted
from bench.sides import take_turns
from transformers import LlamaConfig, LlamaForCausalLM


def test_a_ratio_is_the_median_of_paired_ratios_and_not_the_ratio_of_medians():
    found = paired_ratio([1.0, 10.0, 100.0], [5.0, 1.0, 20.0])  # 0.2, 10, 5
    assert found.estimate == pytest.approx(5.0)
    assert found.estimate != pytest.approx(10.0 / 5.0)
    assert found.n == 3


def test_its_interval_is_that_of_all_resamples():
    ratios = [2.0, 1.0, 3.0, 5.0, 4.0]
    medians = [float(np.median(drawn)) for drawn in product(ratios, repeat=5)]
    low, high = np.percentile(medians, [2.5, 97.5])
    # At least 3 of 5 draws are the smallest with probability .058: more than 2.5%, so the interval is the whole range.
    assert (low, high) == (1.0, 5.0)
    found = paired_ratio(ratios, [1.0] * 5)
    assert (found.low, found.high) == (low, high)
    many = paired_ratio([*ratios] * 8, [1.0] * 40)
    assert [many.low, many.high] != [low, high]


def test_two_pairs_have_no_interval_and_none_have_no_ratio():
    assert paired_ratio([2.0, 4.0], [1.0, 1.0]) == Ratio(estimate=3.0, low=None, high=None, n=2)
    with pytest.raises(ValueError, match="0 numbers cannot be paired with 0"):
        paired_ratio([], [])
    with pytest.raises(ValueError, match="2 numbers cannot be paired with 1"):
        paired_ratio([1.0, 2.0], [1.0])


def test_a_target_is_met_by_the_estimate():
    ratio = Ratio(estimate=1.6, low=1.5, high=1.7, n=9)
    assert [verdict(ratio, target) for target in (1.6, 1.61, None)] == ["met", "missed", "-"]


def test_sides_take_turns_and_the_first_rounds_are_not_measured():
    order: list[str] = []

    def side(name):
        def run(pause):
            for number in range(100):
                order.append(name)
                pause(number=number)

        return run

    steps = take_turns({"a": side("a"), "b": side("b")}, discard=2, repeats=3, at_least=3, seconds=60)
    assert order == ["a", "b"] * 5
    assert [step.numbers["number"] for step in steps["b"]] == [2, 3, 4]


def test_time_is_up_only_after_enough_rounds_and_a_side_can_tell_its_own_time():
    def run(pause):
        while True:
            pause(seconds=7.0, tokens=3)

    steps = take_turns({"a": run}, discard=1, repeats=50, at_least=4, seconds=0.0)
    assert [step.seconds for step in steps["a"]] == [7.0] * 4
    assert steps["a"][0].numbers == {"tokens": 3}


def test_an_error_in_a_side_is_raised_where_the_steps_are_counted():
    def broken(pause):
        pause()
        raise ZeroDivisionError("second step")

    def short(pause):
        pause()

    with pytest.raises(ZeroDivisionError, match="second step"):
        take_turns({"a": broken}, discard=0, repeats=2, at_least=2, seconds=60)
    with pytest.raises(RuntimeError, match="ran out of steps"):
        take_turns({"a": short}, discard=0, repeats=2, at_least=2, seconds=60)


ROWS, PLACES, WIDTH, INNER, HEADS, LAYERS, WORDS = 3, 5, 8, 12, 2, 2, 11


def small_llama(**changes) -> LlamaForCausalLM:
    config = {
        "vocab_size": WORDS,
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "max_position_embeddings": 32,
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "initializer_range": 0.5,
    }
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**config | changes)).eval()


def test_operations_are_those_of_a_hand_count():
    model = small_llama()
    ids = torch.randint(1, WORDS, (ROWS, PLACES))
    tokens = ROWS * PLACES
    weights = LAYERS * (4 * WIDTH**2 + 3 * WIDTH * INNER) + WIDTH * WORDS
    scores = LAYERS * ROWS * PLACES**2 * WIDTH  # multiply-adds of one product of attention, over all heads

    def forward():
        with torch.no_grad():
            model(input_ids=ids)

    def backward():
        model(input_ids=ids).logits.sum().backward()

    assert flops.counted(forward) == 2 * tokens * weights + 2 * 2 * scores
    # Backwards: twice the products of the weights; of attention five products, one of them made again.
    assert flops.counted(backward) == 3 * 2 * tokens * weights + (2 + 5) * 2 * scores
    assert flops.counted(lambda: None) == 0


def test_the_matmul_peak_is_the_fastest_size(monkeypatch):
    rates = {512: 3.0, 1024: 5.0, 2048: 4.0}
    monkeypatch.setattr(flops, "_matmul_rate", lambda size, device, dtype: rates[size])
    assert flops.matmul_peak(torch.device("cpu"), torch.float32) == 5.0


@pytest.mark.parametrize("heads", [4, 2])
def test_a_larger_model_computes_the_base_s_logits(heads):
    base = small_llama()
    size = Size(name="large", hidden=4 * WIDTH, intermediate=3 * INNER, layers=LAYERS + 2, heads=heads)
    large = widen(base, size)
    ids = torch.randint(1, WORDS, (ROWS, PLACES))
    with torch.no_grad():
        expected = base(input_ids=ids).logits
        torch.testing.assert_close(large(input_ids=ids).logits, expected, rtol=1e-4, atol=1e-4)
        large.model.layers[0].self_attn.q_proj.weight.mul_(1.5)  # the base's part of it does reach the output
        assert (large(input_ids=ids).logits - expected).abs().max() > 1e-2
    assert sum(p.numel() for p in large.parameters()) > 8 * sum(p.numel() for p in base.parameters())


def test_leave_one_out_takes_the_mean_of_the_others_in_the_group():
    rewards = torch.tensor([1.0, 2.0, 6.0, 0.0, 0.0, 3.0])
    expected = torch.tensor([1 - 4.0, 2 - 3.5, 6 - 1.5, -1.5, -1.5, 3.0])
    torch.testing.assert_close(leave_one_out(rewards, 3), expected)
    assert not torch.allclose(leave_one_out(rewards, 6), expected)


def result(**changes):
    one = {
        "work": "reward step, 32 pairs",
        "size": "1m",
        "side": "candor",
        "seconds": {"trl": 0.1034, "candor": 1.5},
        "ratio": {"estimate": 1.724, "low": 1.61, "high": 1.8, "n": 20},
        "target": 1.6,
        "peak_mib": {"trl": 427.4, "candor": 160.0},
        "share_of_peak": {"trl": 0.461, "candor": None},
    }
    return one | changes


def report(*results):
    return {
        "date": "2026-01-02",
        "command": "python -m bench.run --quick",
        "machine": {
            "cpu": "Some CPU, 2 processors",
            "gpu": None,
            "threads": 2,
            "memory_gib": 7.5,
            "system": "Linux",
            "packages": {"torch": "2.13"},
        },
        "matmul_peaks": {"1m": 235.4e9},
        "results": list(results),
        "skipped": [{"size": "0.5b", "reason": "it needs a CUDA device and there is none here"}],
    }


def test_the_table_says_what_was_measured_with_interval_target_and_verdict():
    text = table.render(report(result(), result(target=2.0), result(target=None)))
    rows = [line for line in text.splitlines() if line.startswith("| reward")]
    assert rows[0] == (
        "| reward step, 32 pairs | 1m | candor | 103 ms | 1.5 s | **1.72** (1.61 to 1.80), n = 20 | ≥ 1.6 | met "
        "| 427 / 160 | 46% / - |"
    )
    assert "| ≥ 2 | missed |" in rows[1]
    assert "|  |  |" in rows[2]
    header = text.splitlines()[2]
    assert {line.count("|") for line in (header, *rows)} == {11}
    assert "2026-01-02" in text
    assert "`python -m bench.run --quick`" in text
    assert "1m 235" in text
    assert "- 0.5b: not measured, it needs a CUDA device and there is none here." in text


def test_several_calls_make_one_table_if_they_are_of_one_machine():
    large = report(result(size="30m")) | {"matmul_peaks": {"30m": 200e9}, "command": "python -m bench.run --sizes 30m"}
    both = table.joined([large, report(result()), report(result(target=2.0)) | {"matmul_peaks": {"1m": 240e9}}])
    assert [one["size"] for one in both["results"]] == ["1m", "1m", "30m"]
    assert both["matmul_peaks"] == {"1m": 240e9, "30m": 200e9}
    text = table.render(both)
    assert "`python -m bench.run --sizes 30m`, `python -m bench.run --quick`" in text
    assert text.count("not measured") == 1
    other = report() | {"machine": report()["machine"] | {"threads": 4}}
    with pytest.raises(ValueError, match="different machines"):
        table.joined([report(), other])


def test_the_table_goes_between_its_markers_and_nowhere_else():
    page = f"before\n{table.START}\nold\n{table.END}\nafter\n"
    once = table.replace_table(page, "new\n")
    assert once == f"before\n{table.START}\nnew\n{table.END}\nafter\n"
    assert table.replace_table(once, "new\n") == once
    for broken in ("no markers", f"{table.END}\n{table.START}\n"):
        with pytest.raises(ValueError, match="needs the lines"):
            table.replace_table(broken, "new")


def test_cases_run_by_the_start_of_their_names_and_the_pipeline_only_when_asked():
    def chosen(names):
        return [case.name for case in ALL if wanted(case, names)]

    assert chosen(["reward", "rl_x4"]) == ["reward_pairs", "rl_x4"]
    assert "pipeline" not in chosen(None)
    assert len(chosen(None)) == len(ALL) - 1
    assert chosen(["pipeline"]) == ["pipeline"]
    assert all("trl" in case.sides and len(case.sides) >= 2 for case in ALL)
    assert all(set(case.targets) <= set(case.sides) - {"trl"} for case in ALL)
