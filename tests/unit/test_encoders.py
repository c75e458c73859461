"""Encoders as reward models: what they read, what plain transformers makes of it, and what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from architectures import ENCODERS, gpt2_tokenizer, louder, save, save_encoder
from candor.errors import InputError
from candor.models.encoders import is_encoder, last_layer
from candor.models.heads import sequence_scores
from candor.models.load import (
    Reward,
    check_reward_start,
    load_policy,
    load_reward,
    reward_from_policy,
    save_reward,
    start_reward,
)
from candor.models.reading import reading_of
from candor.models.scorer import RewardScorer
from candor.models.window import window
from candor.ops.batches import Row, make_batch
from candor.recipe import RewardStage
from candor.records import Choice, Comparison, Completion, Message, Prompt, Ranking
from candor.training.ranked import RankedData, rank_examples
from candor.training.reward import evaluate, reward
from candor.training.state import TrainState, adamw

PROMPTS = [
    Prompt(id="a", messages=(Message(role="user", content="Capital of Peru?"),)),
    Prompt(
        id="b",
        messages=(
            Message(role="user", content="Hi [SEP] there"),
            Message(role="assistant", content="Hello"),
            Message(role="user", content="It is Cusco, the capital of Peru, is it?"),
        ),
    ),
]
TEXTS = [
    "User: Capital of Peru?",
    "User: Hi [SEP] there\nAssistant: Hello\nUser: It is Cusco, the capital of Peru, is it?",
]
REPLIES = [
    Completion(id="a0", prompt_id="a", text="It is Lima, not Cusco; the capital is Lima."),
    Completion(id="b0", prompt_id="b", text="No."),
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("encoders")
    return lru_cache(lambda name: save_encoder(name, folder / name))


@pytest.fixture(params=ENCODERS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def comparison(chosen: str, rejected: str, name: str = "c", prompt: Prompt = PROMPTS[0]) -> Comparison:
    replies = tuple(Completion(id=f"{name}{i}", prompt_id=prompt.id, text=t) for i, t in enumerate((chosen, rejected)))
    return Comparison(id=name, prompt=prompt, responses=replies, judgement=Choice(best=0), shown_order=())


def read(reward: Reward, comparisons: list[Comparison], max_length: int = 128) -> RankedData:
    reading = reading_of(reward.model, reward.tokenizer)
    return rank_examples(
        comparisons,
        encode_prompt=reading.encode_prompt,
        encode_response=reading.encode_response,
        max_length=max_length,
        fit=reading.fit,
    )


def test_plain_transformers_reads_the_same_scores_off_a_text_pair(
    name: str, checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    made = start_reward(checkpoint(name), seed=1)
    louder(made.model)
    save_reward(tmp_path / "rm", Reward(model=made.model, tokenizer=made.tokenizer, offset=0.5))
    loaded = load_reward(tmp_path / "rm")
    ours = RewardScorer(loaded.model, loaded.tokenizer, 128, loaded.offset).score(PROMPTS, REPLIES)
    alone = [
        RewardScorer(loaded.model, loaded.tokenizer, 128).score([p], [r])[0]
        for p, r in zip(PROMPTS, REPLIES, strict=True)
    ]
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "rm")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "rm")
    with torch.no_grad():
        for i in (0, 1):
            pair = tokenizer(TEXTS[i], REPLIES[i].text, return_tensors="pt", split_special_tokens=True)
            raw = plain(**pair).logits.item()
            assert ours[i] == pytest.approx(raw - 0.5, abs=1e-4)
            assert alone[i] == pytest.approx(raw, abs=1e-4)
    assert abs(ours[0] - ours[1]) > 1e-2
    swapped = RewardScorer(loaded.model, loaded.tokenizer, 128, loaded.offset).score(PROMPTS, REPLIES[::-1])
    assert abs(swapped[0] - ours[0]) > 1e-2, "control: another reply, another score"


def test_segments_are_told_apart_where_the_encoder_knows_them(checkpoint: Callable[[str], Path]) -> None:
    made = start_reward(checkpoint("bert"), seed=1)
    louder(made.model)
    scorer = RewardScorer(made.model, made.tokenizer, 128)
    row = scorer._row(PROMPTS[0], REPLIES[0])
    batch = make_batch([row], 0)
    with torch.no_grad():
        one_segment = made.model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits.item()
        assert abs(sequence_scores(made.model, batch).item() - one_segment) > 1e-3


def test_a_long_conversation_loses_its_left_and_keeps_its_first_mark(checkpoint: Callable[[str], Path]) -> None:
    made = start_reward(checkpoint("bert"), seed=0)
    tokenizer = made.tokenizer
    scorer = RewardScorer(made.model, tokenizer, 24)
    whole, cut = (RewardScorer(made.model, tokenizer, n)._row(PROMPTS[1], REPLIES[1]) for n in (128, 24))
    assert len(cut.tokens) == 24
    assert cut.tokens[0] == whole.tokens[0] == tokenizer.cls_token_id
    assert cut.tokens[1:] == whole.tokens[-23:], "the end of the conversation and the whole reply"
    scorer.score([PROMPTS[1]], [REPLIES[1]])
    assert (scorer.truncation.total, scorer.truncation.cut) == (1, 1)
    assert tokenizer.decode(whole.tokens).count("[SEP]") == 2, "one that a message spells out is text"
    with pytest.raises(InputError, match="does not fit max_length = 6"):
        RewardScorer(made.model, tokenizer, 6).score([PROMPTS[0]], [REPLIES[0]])


def test_max_length_never_passes_the_places_of_the_model(name: str, checkpoint: Callable[[str], Path]) -> None:
    made = start_reward(checkpoint(name), seed=0)
    assert window(made.model) == ENCODERS[name].places
    long = Prompt(id="l", messages=(Message(role="user", content="capital of peru " * 200),))
    scorer = RewardScorer(made.model, made.tokenizer, 4096)
    (score,) = scorer.score([long], [REPLIES[1]])
    assert scorer.truncation.cut == 1
    assert math.isfinite(score)
    assert len(scorer._row(long, REPLIES[1]).tokens) == ENCODERS[name].places


def test_replies_never_share_a_prompt(name: str, checkpoint: Callable[[str], Path]) -> None:
    """The gaps of evaluation are those of rows of their own. Control: with a shared row they would be others."""
    made = start_reward(checkpoint(name), seed=1)
    louder(made.model)
    ranked = Comparison(
        id="r",
        prompt=PROMPTS[0],
        responses=tuple(Completion(id=str(i), prompt_id="a", text=t) for i, t in enumerate(("Lima.", "Cusco!", "no"))),
        judgement=Ranking(order=((0,), (1,), (2,))),
        shown_order=(),
    )
    data = read(made, [ranked])
    scorer = RewardScorer(made.model, made.tokenizer, 128)
    a, b, c = scorer.score([PROMPTS[0]] * 3, list(ranked.responses))
    gaps = [o.gap for o in evaluate(made.model, data.examples, RewardStage(), pad_id=0)]
    assert sorted(gaps) == pytest.approx(sorted([a - b, a - c, b - c]), abs=1e-4)
    tree = data.examples[0].tree
    side_by_side = Row(
        tokens=(*tree.prompt, *(t for reply in tree.replies for t in reply)), prompt_length=len(tree.prompt)
    )
    with torch.no_grad():
        together = sequence_scores(made.model, make_batch([side_by_side], 0)).item()
    assert min(abs(together - score) for score in (a, b, c)) > 1e-3


def trained(path: Path, micro_batch_size: int, loss: str) -> tuple[torch.nn.Module, list[float]]:
    made = start_reward(path, seed=0)
    comparisons = [comparison(f"It is Lima, {i}.", f"Cusco {i}", f"c{i}") for i in range(8)]
    data = read(made, comparisons)
    state = TrainState({"reward": made.model}, {"reward": adamw([made.model], lr=4e-3)})
    config = RewardStage(lr=4e-3, batch_size=4, epochs=4, micro_batch_size=micro_batch_size, loss=loss)
    return made.model, [out.metrics["loss"] for out in reward(state, data.examples, config, seed=0, pad_id=0)]


@pytest.mark.parametrize("loss", ["bradley_terry", "plackett_luce"])
def test_it_learns_and_dropout_is_off(name: str, checkpoint: Callable[[str], Path], loss: str) -> None:
    """With dropout, other micro-batches would draw other masks and lose otherwise: these go the same way."""
    path = checkpoint(name)
    drops = start_reward(path, seed=0).model.train()
    batch = make_batch([Row(tokens=(2, 5, 3, 6, 3), prompt_length=3)], 0)
    with torch.no_grad():
        assert sequence_scores(drops, batch).item() != sequence_scores(drops, batch).item(), "control: it has dropout"
    model, losses = trained(path, 2, loss)
    _, other = trained(path, 8, loss)
    assert losses == pytest.approx(other, abs=1e-3)
    assert losses[-1] < 0.8 * losses[0]
    assert not model.training


def test_the_body_is_the_checkpoints_and_the_head_is_drawn(name: str, checkpoint: Callable[[str], Path]) -> None:
    state = torch.get_rng_state()
    first, again, other = (start_reward(checkpoint(name), seed=seed) for seed in (3, 3, 4))
    assert torch.equal(state, torch.get_rng_state())
    assert is_encoder(first.model)
    body = AutoModel.from_pretrained(checkpoint(name)).state_dict()
    mine = first.model.base_model.state_dict()
    assert all(torch.equal(mine[key], body[key]) for key in mine if "pooler" not in key)
    for key, value in first.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[key])
    drawn = last_layer(first.model)
    assert not torch.equal(drawn.weight, last_layer(other.model).weight)
    assert drawn.weight.shape == (1, drawn.in_features)
    assert 0.5 < drawn.weight.var().item() * (drawn.in_features + 1) < 2.0
    assert drawn.bias.item() == 0.0


def test_texts_that_are_the_same_tokens_give_no_pair(checkpoint: Callable[[str], Path]) -> None:
    uncased, cased = (start_reward(checkpoint(name), seed=0) for name in ("bert", "roberta"))
    comparisons = [comparison("YES  it is", "yes it is", "alike"), comparison("Lima", "Cusco", "apart")]
    data = read(uncased, comparisons)
    assert [example.id for example in data.examples] == ["apart"]
    assert (data.pairs_alike, data.pairs_dropped, data.without_pairs) == (1, 0, ("alike",))
    assert read(cased, comparisons).pairs_alike == 0


def test_what_does_not_fit_is_counted(checkpoint: Callable[[str], Path]) -> None:
    made = start_reward(checkpoint("bert"), seed=0)
    n = len(made.tokenizer("lima " * 10, add_special_tokens=False)["input_ids"])
    data = read(made, [comparison("lima " * 10, "no")], max_length=n + 3)
    assert (data.pairs_dropped, data.truncation.dropped) == (1, 1), "[CLS] and two [SEP] leave no room for the prompt"
    data = read(made, [comparison("lima " * 10, "no")], max_length=n + 4)
    assert (data.pairs_dropped, data.truncation.cut) == (0, 2)


def test_heads_of_the_wrong_size_and_missing_weights_are_one_line(
    name: str, checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    path = checkpoint(name)
    two = AutoModelForSequenceClassification.from_pretrained(path, num_labels=2)
    two.save_pretrained(tmp_path / "two")
    AutoTokenizer.from_pretrained(path).save_pretrained(tmp_path / "two")
    for load in (load_reward, check_reward_start, lambda p: start_reward(p, seed=0)):
        with pytest.raises(InputError, match="this one gives 2: its head is of the wrong size"):
            load(tmp_path / "two")

    save_reward(tmp_path / "rm", start_reward(path, seed=0))
    weights = load_file(tmp_path / "rm" / "model.safetensors")
    lost = next(key for key in weights if key.startswith("classifier"))
    save_file(
        {k: v for k, v in weights.items() if k != lost},
        tmp_path / "rm" / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(InputError, match=r"lacks 1 of the weights of a sequence classifier.*classifier"):
        load_reward(tmp_path / "rm")

    save_reward(tmp_path / "rm", start_reward(path, seed=0))
    weights = load_file(tmp_path / "rm" / "model.safetensors")
    head = next(key for key in weights if key.startswith("classifier") and weights[key].shape == (1, 32))
    wide = {**weights, head: weights[head].repeat(3, 1)}
    save_file(wide, tmp_path / "rm" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=rf"is of the wrong size: {head} is \(3, 32\), not \(1, 32\)$"):
        load_reward(tmp_path / "rm")

    save_encoder(name, tmp_path / "torn")
    weights = load_file(tmp_path / "torn" / "model.safetensors")
    lost = next(key for key in weights if "layer.1" in key)
    save_file(
        {k: v for k, v in weights.items() if k != lost},
        tmp_path / "torn" / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(InputError, match=r"lacks 1 of the weights of an encoder") as caught:
        start_reward(tmp_path / "torn", seed=0)
    assert "\n" not in str(caught.value)


def test_an_encoder_is_no_policy(name: str, checkpoint: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match=r"an encoder, not a policy|weights of a causal|cannot be loaded as a causal"):
        load_policy(checkpoint(name))


def test_a_trained_reward_model_goes_on_from_its_own_head(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    made = start_reward(checkpoint("bert"), seed=0)
    save_reward(tmp_path / "rm", Reward(model=made.model, tokenizer=made.tokenizer, offset=2.0))
    again = start_reward(tmp_path / "rm", seed=9)
    assert again.offset == 0.0
    assert torch.equal(last_layer(again.model).weight, last_layer(made.model).weight)


def test_a_causal_model_may_be_named_too(tmp_path: Path) -> None:
    path = save("gpt2", tmp_path / "gpt2")
    check_reward_start(path)
    named, own = start_reward(path, seed=2), reward_from_policy(load_policy(path), seed=2)
    rows = [Row(tokens=(5, 6, 7, 300), prompt_length=2)]
    with torch.no_grad():
        scores = [sequence_scores(r.model, make_batch(rows, 0)).item() for r in (named, own)]
    assert scores[0] == scores[1]


def test_what_cannot_be_a_reward_model_is_one_line(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    folder = save_encoder("bert", tmp_path / "b")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({"model_type": "t5", "architectures": ["T5Model"]}))
    with pytest.raises(InputError, match="has no head that gives a score"):
        check_reward_start(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "vit", "architectures": ["ViTModel"]}))
    with pytest.raises(InputError, match="this architecture cannot be a reward model"):
        check_reward_start(folder)
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": "wide"}))
    with pytest.raises(InputError, match="Validation error for field 'hidden_size'"):
        check_reward_start(folder)
    (folder / "config.json").write_text(json.dumps(config))
    gpt2_tokenizer().save_pretrained(folder)
    with pytest.raises(InputError, match="the tokenizer does not mark two segments"):
        check_reward_start(folder)
