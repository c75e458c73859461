"""The textbook loop of RLHF on a finished run's SFT policy and reward model: generate, score, KL, combine, update."""

from pathlib import Path

import torch

import candor

run = candor.Run(Path("runs/default-seed0"))
policy, reference = (candor.load_policy(run.checkpoint("sft")) for _ in range(2))
reward = candor.load_reward(run.checkpoint("reward"))
sampler = candor.InProcessSampler(policy.model, policy.tokenizer, temperature=1.0, max_new_tokens=48)
scorer = candor.RewardScorer(reward.model, reward.tokenizer, offset=reward.offset)
optimizer = torch.optim.Adam(policy.model.parameters(), lr=3e-4)

questions = ["Is Sydney the capital of Australia?", "Gold is Ag, right?", "I think Emma is by Charlotte Bronte. Is it?"]
prompts = [candor.Prompt(id=text, messages=(candor.Message(role="user", content=text),)) for text in questions] * 32

for step in range(20):
    replies = sampler.sample(prompts, n=1, seed=step)  # generate
    scores = torch.tensor(scorer.score(prompts, replies))  # score
    batch = candor.reply_batch(policy.tokenizer, prompts, replies)
    logp = candor.sequence_logprobs(policy.model, batch)
    with torch.no_grad():
        kl = logp - candor.sequence_logprobs(reference.model, batch)  # KL
    rewards = scores - 0.1 * kl  # combine
    loss = -((rewards - rewards.mean()) * logp).mean()  # update (REINFORCE with a baseline)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"update {step + 1}: score {scores.mean():.3f}, KL {kl.mean():.3f}")
