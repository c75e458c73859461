"""The in-process engine against transformers' own generation, fresh forward passes and known distributions."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from scipy.stats import chi2
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from candor.errors import InputError
from candor.generation import Generation, InProcessSampler, engine, generate
from candor.generation.pick import pick
from candor.generation.sampler import end_ids
from candor.records import Message, Prompt

VOCAB, EOS, PAD = 64, 1, 2
SIZES = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": EOS,
    "pad_token_id": PAD,
}
LLAMA = LlamaConfig(**SIZES, intermediate_size=64, num_key_value_heads=2)
GPT2 = GPT2Config(**SIZES)
QWEN = Qwen2Config(**SIZES, intermediate_size=64, num_key_value_heads=2)
NEOX = GPTNeoXConfig(**SIZES, intermediate_size=64)
MISTRAL = MistralConfig(**SIZES, intermediate_size=64, num_key_value_heads=2, sliding_window=6)
GEMMA = Gemma3TextConfig(**SIZES, intermediate_size=64, num_key_value_heads=2, head_dim=8, sliding_window=6)
PROMPTS = [[5, 9, 33], [7], [40, 41, 42, 43, 44, 45, 46, 47, 48], [5, 9, 33], [11, 12], [60, 3, 50, 20, 30]]


def build(config: PreTrainedConfig, attention: str = "sdpa", spread: float = 0.3) -> PreTrainedModel:
    """A random model whose weights are spread widely enough that no two logits come close."""
    generator = torch.Generator().manual_seed(3)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
    return model


@pytest.fixture(scope="module")
def llama() -> PreTrainedModel:
    return build(LLAMA)


def write(model: PreTrainedModel, prompts: list[list[int]] = PROMPTS, **options: object) -> list[Generation]:
    defaults = {"eos_ids": [EOS], "pad_id": PAD, "max_new_tokens": 12}
    return generate(model, prompts, **{**defaults, **options})


def logits_after(model: PreTrainedModel, ids: list[int]) -> Tensor:
    """Logits (len(ids), V) of one unpadded row, without cache."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]


def greedy_by_transformers(model: PreTrainedModel, prompt: list[int], eos: list[int], new: int) -> tuple[int, ...]:
    ids = torch.tensor([prompt])
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=new,
        eos_token_id=eos,
        pad_token_id=PAD,
    )
    return tuple(out[0, len(prompt) :].tolist())


@pytest.mark.parametrize(
    ("config", "attention"),
    [
        (LLAMA, "sdpa"),
        (LLAMA, "eager"),
        (GPT2, "sdpa"),
        (QWEN, "sdpa"),
        (NEOX, "sdpa"),
        (MISTRAL, "sdpa"),
        (GEMMA, "sdpa"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.model_type,
)
def test_greedy_equals_transformers_on_unequal_prompts(config: PreTrainedConfig, attention: str) -> None:
    model = build(config, attention)
    # Ends that greedy replies do run into, so that rows leave the batch on the way.
    eos = [greedy_by_transformers(model, PROMPTS[0], [], 6)[-1], greedy_by_transformers(model, PROMPTS[1], [], 3)[-1]]
    expected = [greedy_by_transformers(model, prompt, eos, 12) for prompt in PROMPTS]
    written = write(model, eos_ids=eos, greedy=True)
    assert [w.token_ids for w in written] == expected
    assert [w.stop_reason for w in written] == ["eos" if ids[-1] in eos else "length" for ids in expected]
    assert {w.stop_reason for w in written} == {"eos", "length"} or len({len(ids) for ids in expected}) > 1
    # The margins are wide enough that equality says something about the code and not about rounding.
    for prompt, ids in zip(PROMPTS, expected, strict=True):
        top = logits_after(model, [*prompt, *ids])[len(prompt) - 1 : -1].topk(2).values
        assert (top[:, 0] - top[:, 1]).min() > 1e-4


@pytest.mark.parametrize("temperature", [1.0, 0.7, 1.6])
def test_logprobs_equal_a_fresh_unpadded_forward(llama: PreTrainedModel, temperature: float) -> None:
    written = write(llama, PROMPTS * 3, temperature=temperature, seed=4)
    worst = {"same": 0.0, "other temperature": 0.0}
    for prompt, reply in zip(PROMPTS * 3, written, strict=True):
        logits = logits_after(llama, [*prompt, *reply.token_ids])[len(prompt) - 1 : -1]
        for name, scale in (("same", temperature), ("other temperature", temperature * 1.1)):
            fresh = (logits / scale).log_softmax(-1)[torch.arange(len(reply.token_ids)), list(reply.token_ids)]
            worst[name] = max(worst[name], float((fresh - torch.tensor(reply.logprobs)).abs().max()))
    assert worst["same"] < 1e-5
    assert worst["other temperature"] > 1e-2  # control: the comparison would show the wrong distribution


def test_first_and_second_tokens_follow_the_models_distribution(llama: PreTrainedModel) -> None:
    draws = 4000
    written = write(llama, [PROMPTS[2]] * draws, max_new_tokens=2, temperature=1.5, seed=9, batch_size=1000)
    first = (logits_after(llama, PROMPTS[2])[-1] / 1.5).softmax(-1)
    firsts = Counter(w.token_ids[0] for w in written)
    assert misfit(firsts, first) > 1e-3
    likeliest = max((t for t in firsts if t != EOS), key=firsts.__getitem__)
    second = (logits_after(llama, [*PROMPTS[2], likeliest])[-1] / 1.5).softmax(-1)
    seconds = Counter(w.token_ids[1] for w in written if w.token_ids[0] == likeliest)
    assert seconds.total() > 300
    assert misfit(seconds, second) > 1e-3
    # control: the same draws do not pass for those of a slightly different temperature
    assert misfit(firsts, (logits_after(llama, PROMPTS[2])[-1] / 1.3).softmax(-1)) < 1e-6


def misfit(counts: Counter[int], probabilities: Tensor) -> float:
    """The p value of Pearson's chi-square, tokens expected fewer than 5 times pooled into one cell."""
    expected = probabilities.double() * counts.total()
    observed = torch.tensor([counts[i] for i in range(len(expected))], dtype=torch.double)
    rare = expected < 5
    expected = torch.cat([expected[~rare], expected[rare].sum().view(1)])
    observed = torch.cat([observed[~rare], observed[rare].sum().view(1)])
    kept = expected > 0
    statistic = float(((observed - expected)[kept] ** 2 / expected[kept]).sum())
    return float(chi2.sf(statistic, int(kept.sum()) - 1))


@pytest.mark.parametrize("uniform", [0.0, 0.25, 0.5, 0.75, 1 - 2**-24])
def test_a_token_of_probability_zero_is_never_drawn(uniform: float) -> None:
    logits = torch.full((1, 8), -torch.inf)
    logits[0, 1:7:2] = torch.tensor([0.0, 1.0, 0.5])  # tokens 1, 3, 5; both ends and the gaps are impossible
    picked = pick(logits.clone(), torch.tensor([uniform]))
    assert picked.tokens.item() in (1, 3, 5)
    assert picked.logprobs.item() == pytest.approx(logits.log_softmax(-1)[0, picked.tokens].item(), abs=1e-6)
    # control: searching from the left takes the impossible token 0 where the uniform number is exactly 0
    assert torch.searchsorted(logits.softmax(-1).cumsum(-1), torch.tensor([[0.0]]), right=False).item() == 0


def test_a_uniform_number_just_under_one_stays_inside_the_vocabulary() -> None:
    logits = torch.randn(4000, 50, generator=torch.Generator().manual_seed(0))
    logits[:, -3:] = -torch.inf
    top = torch.full((4000,), 1 - 2**-24)
    assert pick(logits.clone(), top).tokens.max() <= 46
    naive = torch.searchsorted(logits.softmax(-1).cumsum(-1), top.unsqueeze(1), right=True)
    assert naive.max() == 50  # control: probabilities that sum to a little less than 1 leave such a number outside


def test_logits_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(FloatingPointError, match="not finite"):
        pick(torch.tensor([[0.0, torch.nan]]), torch.tensor([0.3]))


def test_a_seed_reproduces_and_another_differs(llama: PreTrainedModel) -> None:
    assert write(llama, seed=1) == write(llama, seed=1)
    assert write(llama, seed=1) != write(llama, seed=2)
    twins = write(llama, [PROMPTS[0]] * 8, seed=1)
    assert len({w.token_ids for w in twins}) == 8  # samples of one prompt are drawn apart from each other


def test_finished_rows_leave_the_batch_and_a_shared_prompt_is_read_once(llama: PreTrainedModel) -> None:
    shapes: list[tuple[int, int]] = []
    hook = llama.register_forward_pre_hook(
        lambda _module, _args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    eos = list(range(16))  # a quarter of the vocabulary ends a reply
    written = write(
        llama, [PROMPTS[0]] * 20 + [PROMPTS[2]] * 20, eos_ids=eos, max_new_tokens=20, temperature=2.0, seed=5
    )
    hook.remove()
    assert shapes[0] == (2, 9)  # two distinct prompts
    rows = [row for row, _ in shapes[1:]]
    lengths = [len(w.token_ids) for w in written]
    for step, held in enumerate(rows, start=1):  # the pass that reads every unfinished reply's token number `step`
        alive = sum(length > step for length in lengths)
        assert alive == held or held > alive > engine.COMPACT_BELOW * held
    assert sum(rows) < 0.5 * 40 * len(rows)  # control: rows that stayed would make it all of it
    assert all(set(w.token_ids[:-1]).isdisjoint(eos) for w in written)


def test_dropout_is_off_and_every_module_gets_its_mode_back() -> None:
    model = build(GPT2)
    before = write(model, greedy=True)
    model.train()
    model.transformer.h[0].attn.eval()
    modes = [module.training for module in model.modules()]
    assert write(model, greedy=True) == before
    assert [module.training for module in model.modules()] == modes
    noisy = {model(input_ids=torch.tensor([[5, 6]])).logits.sum().item() for _ in range(3)}
    assert len(noisy) == 3  # control: this model does drop out in training


def test_an_empty_prompt_is_refused(llama: PreTrainedModel) -> None:
    with pytest.raises(ValueError, match="prompt 1 has no tokens"):
        write(llama, [[5], []])


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    words = ["<s>", "</s>", "<pad>", "User:", "Assistant:", "<turn>", *(f"w{i}" for i in range(VOCAB - 6))]
    core = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="w0"))
    core.pre_tokenizer = WhitespaceSplit()
    made = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="w0"
    )
    made.add_special_tokens({"additional_special_tokens": ["<turn>"]})
    return made


def ask(name: str, text: str) -> Prompt:
    return Prompt(id=name, messages=(Message(role="user", content=text),))


def test_the_sampler_gives_completions_in_order(llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    prompts = [ask("long", "w1 w2 w3 w4 w5"), ask("short", "w6"), ask("again", "w1 w2 w3 w4 w5")]
    sampler = InProcessSampler(llama, tokenizer, temperature=0.9, max_new_tokens=7, name="sft")
    completions = sampler.sample(prompts, n=3, seed=2)
    assert [c.id for c in completions] == [f"{p.id}#{k}" for p in prompts for k in range(3)]
    assert [c.prompt_id for c in completions] == [p.id for p in prompts for _ in range(3)]
    for completion in completions:
        reply = [i for i in completion.token_ids if i > 2]
        assert completion.text.split() == [tokenizer.convert_ids_to_tokens(i) for i in reply if i != 5]
        assert len(completion.logprobs) == len(completion.token_ids) <= 7
        assert (completion.stop_reason == "eos") == (completion.token_ids[-1] == EOS)
        assert (completion.policy, completion.sampling) == ("sft", "temperature 0.9, up to 7 tokens")
    encoded = tokenizer("User: w6 Assistant:", add_special_tokens=False)["input_ids"]
    raw = write(llama, [encoded], max_new_tokens=7, greedy=True)
    greedy = InProcessSampler(llama, tokenizer, temperature=1.0, max_new_tokens=7, greedy=True)
    assert greedy.sample(prompts[1:2], n=1, seed=0)[0].token_ids == raw[0].token_ids


def test_ends_named_by_the_generation_config_count_only_where_they_are_control_tokens(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    model = build(LLAMA)
    model.generation_config.eos_token_id = [5, 40]  # <turn>, and an ordinary word
    assert end_ids(model, tokenizer) == (EOS, 5)
    model.generation_config.eos_token_id = None
    assert end_ids(model, tokenizer) == (EOS,)


def test_settings_and_prompts_that_cannot_work_are_refused_in_one_line(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(InputError, match="temperature must be positive"):
        InProcessSampler(llama, tokenizer, temperature=0.0, max_new_tokens=4)
    with pytest.raises(InputError, match="at least 1"):
        InProcessSampler(llama, tokenizer, temperature=1.0, max_new_tokens=0)
    sampler = InProcessSampler(llama, tokenizer, temperature=1.0, max_new_tokens=32)
    with pytest.raises(InputError, match=r"prompt big: 4[0-9] tokens .* do not fit the 64 places"):
        sampler.sample([ask("big", "w1 " * 40)], n=1, seed=0)
