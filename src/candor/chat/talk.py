"""One or two policies of a run in a conversation with a user: each answers in its own history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from candor.chat.history import fit
from candor.errors import InputError
from candor.generation import InProcessSampler
from candor.models.chat import encode_prompt
from candor.models.compute import DTYPES, compute_in
from candor.models.load import Policy, load_policy
from candor.models.window import window
from candor.ops.randomness import step_seed
from candor.pipeline.context import device
from candor.records import Message, Prompt
from candor.results.run import Run


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How replies are drawn. A temperature of 0 takes the likeliest token.

    Raises InputError for a temperature below 0 and for replies without room for a token.
    """

    temperature: float = 1.0
    seed: int = 0
    max_new_tokens: int = 48

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise InputError(f"a temperature is 0 (greedy) or more, not {self.temperature:g}")
        if self.max_new_tokens < 1:
            raise InputError(f"at least one token is needed for a reply, not {self.max_new_tokens}")

    @property
    def greedy(self) -> bool:
        return self.temperature == 0

    def describe(self) -> str:
        """Says it in words."""
        return "greedy" if self.greedy else f"sampled at temperature {self.temperature:g}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """One reply. ``dropped`` counts the oldest messages that the model no longer saw; ``logprob`` is in nats."""

    stage: str
    text: str
    tokens: int
    stop_reason: str
    logprob: float
    dropped: int


@dataclass
class Speaker:
    """A stage's policy and its side of the conversation."""

    stage: str
    policy: Policy
    history: list[Message] = field(default_factory=list)

    def reply(self, settings: Settings) -> Spoken:
        """Returns the answer to its history, in the chat format and with the sampler of every stage.

        Raises InputError where the last message does not fit the model's context together with a reply.
        """
        model, tokenizer = self.policy.model, self.policy.tokenizer
        places = window(model)
        room = None if places is None else places - settings.max_new_tokens

        def count(messages: Sequence[Message]) -> int:
            return len(encode_prompt(tokenizer, _prompt(messages)))

        fitted = fit(self.history, count, room)
        if fitted is None:
            raise InputError(
                f"the message does not fit: of {places} tokens, {settings.max_new_tokens} are for the reply",
                where=self.stage,
                fix="shorten it",
            )
        sampler = InProcessSampler(
            model,
            tokenizer,
            temperature=1.0 if settings.greedy else settings.temperature,
            max_new_tokens=settings.max_new_tokens,
            greedy=settings.greedy,
            name=self.stage,
        )
        turn = sum(message.role == "user" for message in self.history)
        seed = step_seed(settings.seed, "chat", turn)
        (written,) = sampler.sample([_prompt(fitted.messages)], n=1, seed=seed)
        return Spoken(
            stage=self.stage,
            text=written.text,
            tokens=len(written.token_ids),
            stop_reason=written.stop_reason,
            logprob=float(sum(written.logprobs)),
            dropped=fitted.dropped,
        )


class Talk:
    """A conversation with several speakers; what the user says, all of them hear."""

    def __init__(self, speakers: Sequence[Speaker], settings: Settings) -> None:
        self.speakers, self.settings = list(speakers), settings

    def change(self, **settings: float) -> None:
        """Changes temperature or seed from here on. Raises InputError for a value that cannot be."""
        self.settings = replace(self.settings, **settings)  # type: ignore[arg-type]

    def reset(self) -> None:
        """Forgets the conversation."""
        for speaker in self.speakers:
            speaker.history.clear()

    def open_with(self, prompt: Prompt) -> list[Spoken]:
        """Starts anew with a whole prompt, earlier turns included, and returns the replies to it."""
        self.reset()
        return self._said(prompt.messages)

    def say(self, text: str) -> list[Spoken]:
        """Says something and returns what each speaker answers.

        Raises InputError where it does not fit; it is then unsaid again, as it is after Ctrl-C.
        """
        return self._said((Message(role="user", content=text),))

    def _said(self, messages: Sequence[Message]) -> list[Spoken]:
        before = [len(speaker.history) for speaker in self.speakers]
        try:
            replies = []
            for speaker in self.speakers:
                speaker.history.extend(messages)
                replies.append(speaker.reply(self.settings))
        except BaseException:
            for speaker, length in zip(self.speakers, before, strict=True):
                del speaker.history[length:]
            raise
        for speaker, reply in zip(self.speakers, replies, strict=True):
            speaker.history.append(Message(role="assistant", content=reply.text))
        return replies


def load_speakers(run: Run, stages: Sequence[str]) -> list[Speaker]:
    """Returns speakers with the policies of these stages, in the precision in which the run sampled from them.

    They lie on an accelerator where there is one, wherever the run was made. Raises InputError for a stage without one.
    """
    dtype = DTYPES[run.recipe["model"].get("dtype", "float32")]
    sources = [run.policy_source(stage) for stage in stages]  # before anything is loaded
    speakers = []
    for stage, source in zip(stages, sources, strict=True):
        policy = load_policy(source, dtype=dtype)
        policy.model.to(device())
        compute_in(dtype, policy.model)
        speakers.append(Speaker(stage, policy))
    return speakers


def _prompt(messages: Sequence[Message]) -> Prompt:
    return Prompt(id="chat", messages=tuple(messages))
