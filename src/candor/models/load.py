"""Policies and reward models in and out of Hugging Face checkpoints, in float32 unless told otherwise.

What is saved loads with plain ``AutoModelForCausalLM`` and ``AutoModelForSequenceClassification``.
"""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from candor.errors import InputError
from candor.models.chat import eos_id
from candor.models.encoders import is_encoder, last_layer, pair_marks
from candor.models.heads import init_reward_head
from candor.models.hub import check_hub_name, first_line
from candor.models.twins import twin
from candor.recipe import ATLAS
from candor.storage import replacing

logger = logging.getLogger(__name__)

OFFSET_KEY = "candor_reward_offset"
"""Where a reward checkpoint's config keeps the offset that Candor subtracts; plain transformers gives raw scores."""

_NO_HEAD = "use a decoder such as Llama, or an encoder such as BERT"
_RESERVED = re.compile(r"<?[|\[<]?.*(pad|reserved|unused|unk).*[|\]>]", re.IGNORECASE)
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+|[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A causal language model in evaluation mode (dropout off) and its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


@dataclass(frozen=True, kw_only=True)
class Reward:
    """A one-label sequence classifier, its tokenizer, and the offset to subtract from its scores."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    offset: float = 0.0


def check_checkpoint(path: str | Path) -> None:
    """Raises InputError where there is no configuration or no tokenizer to load; the weights are not read."""
    source = _resolve(path)
    _config(source)
    _tokenizer(source)


def check_reward_start(path: str | Path) -> None:
    """Raises InputError where :func:`start_reward` could not start; the weights are not read."""
    source = _resolve(path)
    config = _config(source)
    if _is_classifier(config):
        _check_one_score(config, source)
    encoder = _makes_encoder(config, source)
    tokenizer = _tokenizer(source, ends=not encoder)
    if encoder:
        pair_marks(tokenizer)


def load_policy(path: str | Path, *, dtype: torch.dtype = torch.float32) -> Policy:
    """Returns a causal LM with its tokenizer: ``atlas``, a checkpoint directory or a hub name; weights in ``dtype``.

    Raises InputError where it is missing, has no tokenizer, no end-of-sequence token or too few weights, or is no
    causal LM.
    """
    source = _resolve(path)
    config = _config(source)
    if _is_classifier(config):
        raise InputError("this is a reward model, not a policy", where=source)
    if any(name.endswith("ForMaskedLM") for name in config.architectures or []):
        raise InputError(
            "this is an encoder, not a policy: its tokens look ahead", where=source, fix="reward.model may name it"
        )
    model = _load(AutoModelForCausalLM, source, "a causal language model", config, dtype)
    tokenizer = _tokenizer(source)
    _set_pad(tokenizer, allow_eos=True)
    _check_vocabulary(model, tokenizer, source)
    model.config.pad_token_id = tokenizer.pad_token_id
    return Policy(model=model, tokenizer=tokenizer)


def load_reward(path: str | Path, *, dtype: torch.dtype = torch.float32) -> Reward:
    """Returns a one-label sequence classifier from a checkpoint directory or a hub name, and its score offset.

    Raises InputError where it is missing, has no tokenizer, gives more than one score, or has no trained score head: a
    head is never initialised anew here.
    """
    source = _resolve(path)
    config = _config(source)
    if not _is_classifier(config):
        raise InputError(
            "this is not a reward model: it has no score head", where=source, fix="train one with a reward stage"
        )
    _check_one_score(config, source)
    model = _load(AutoModelForSequenceClassification, source, "a sequence classifier", config, dtype)
    _check_head(model, source)
    tokenizer = _tokenizer(source, ends=not is_encoder(model))
    if not is_encoder(model):
        _set_pad(tokenizer, allow_eos=True)
        model.config.pad_token_id = tokenizer.pad_token_id
    _check_vocabulary(model, tokenizer, source)
    return Reward(model=model, tokenizer=tokenizer, offset=float(getattr(config, OFFSET_KEY, 0.0)))


def start_reward(path: str | Path, *, seed: int, dtype: torch.dtype = torch.float32) -> Reward:
    """Returns a reward model to be trained from a checkpoint: ``atlas``, a directory or a hub name; in ``dtype``.

    A causal language model, or an encoder, lends its body to a fresh head drawn from N(0, 1/(d+1)); what else an
    encoder's head has and the checkpoint lacks is drawn as transformers does. A classifier with one score goes on from
    its own head, without its offset. Raises InputError for what is none of these, or lacks a tokenizer or weights.
    """
    source = _resolve(path)
    config = _config(source)
    if _is_classifier(config):
        return replace(load_reward(path, dtype=dtype), offset=0.0)
    if not _makes_encoder(config, source):
        return reward_from_policy(load_policy(path, dtype=dtype), seed=seed, share=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _load(
            AutoModelForSequenceClassification, source, "an encoder", config, dtype, fresh=_is_of_the_head, num_labels=1
        )
    init_reward_head(last_layer(model), seed)
    tokenizer = _tokenizer(source, ends=False)
    _check_vocabulary(model, tokenizer, source)
    return Reward(model=model, tokenizer=tokenizer)


def _is_of_the_head(name: str) -> bool:
    """Whether a weight belongs to an encoder's classification head; its pooler counts as part of it."""
    return name.startswith(("classifier.", "pre_classifier.", "pooler.", "head.")) or ".pooler." in name


def _is_classifier(config: Any) -> bool:
    return any(name.endswith("ForSequenceClassification") for name in config.architectures or [])


def _check_one_score(config: Any, source: str) -> None:
    if config.num_labels != 1:
        raise InputError(
            f"a reward model gives one score, this one gives {config.num_labels}: its head is of the wrong size",
            where=source,
            fix="start from the checkpoint without its head, or train one with a reward stage",
        )


def _makes_encoder(config: Any, source: str) -> bool:
    """Whether the architecture's classifier is an encoder's, found on a model without weights.

    Raises InputError where it has none, or none that Candor can use.
    """
    try:
        with torch.device("meta"), quiet_transformers():
            model = AutoModelForSequenceClassification.from_config(copy.deepcopy(config))
    except ValueError as error:
        raise InputError("this architecture cannot be a reward model", where=source, fix=_NO_HEAD) from error
    _check_head(model, source)
    return is_encoder(model)


def _check_head(model: torch.nn.Module, source: str) -> None:
    if not isinstance(getattr(model, "score", None), torch.nn.Linear) and not is_encoder(model):
        raise InputError(f"{type(model).__name__} has no head that gives a score", where=source, fix=_NO_HEAD)


def read_config(path: str | Path) -> Any:
    """Returns the configuration of ``atlas``, a checkpoint directory or a hub name; nothing else is read.

    Raises InputError where there is none.
    """
    return _config(_resolve(path))


def load_offset(path: str | Path) -> float:
    """Returns the offset that belongs to a reward checkpoint's scores; its weights are not read.

    Raises InputError where there is no checkpoint.
    """
    return float(getattr(read_config(path), OFFSET_KEY, 0.0))


def reward_from_policy(policy: Policy, *, seed: int, share: bool = False) -> Reward:
    """Returns a reward model made from a policy: its body, copied, under a fresh head drawn from N(0, 1/(d+1)).

    ``share``: the body is the policy's own tensors instead of a copy in float32. Plain ``transformers`` scores the last
    token that is not the pad token, so the reward model's pad token is kept apart from its end of sequence wherever the
    vocabulary has a token to spare. Raises InputError where the architecture's classifier has no linear head named
    ``score``.
    """
    body = policy.model.base_model
    body = twin(body) if share else twin(body, lambda tensor: tensor.to(torch.float32, copy=True))
    config = copy.deepcopy(policy.model.config)
    config.num_labels = 1
    config.architectures = None
    config.dtype = next(body.parameters()).dtype
    tokenizer = copy.deepcopy(policy.tokenizer)
    _set_pad(tokenizer, allow_eos=False)
    config.pad_token_id = tokenizer.pad_token_id
    attention = policy.model.config._attn_implementation
    with torch.device("meta"):  # the body takes the place of this one, which is never there
        model = AutoModelForSequenceClassification.from_config(config, attn_implementation=attention)
    head = getattr(model, "score", None)
    if not isinstance(head, torch.nn.Linear) or type(model.base_model) is not type(body):
        raise InputError(f"{type(model).__name__} has no linear head named 'score'", fix=_NO_HEAD)
    setattr(model, model.base_model_prefix, body)
    body.config = model.config
    model.score = head.to_empty(device=policy.model.device).to(torch.float32)
    init_reward_head(model.score, seed)
    return Reward(model=model.eval(), tokenizer=tokenizer)


def save_policy(directory: Path, policy: Policy) -> None:
    """Writes model and tokenizer to ``directory``, replacing it whole, and only once everything is on the disk."""
    with replacing(directory) as unfinished, quiet_transformers():
        policy.model.save_pretrained(unfinished)
        policy.tokenizer.save_pretrained(unfinished)


def save_reward(directory: Path, reward: Reward) -> None:
    """Like :func:`save_policy`; the offset goes into the config as ``candor_reward_offset``."""
    setattr(reward.model.config, OFFSET_KEY, float(reward.offset))
    with replacing(directory) as unfinished, quiet_transformers():
        reward.model.save_pretrained(unfinished)
        reward.tokenizer.save_pretrained(unfinished)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silences transformers' warnings and progress bars; what matters in them is checked here and raised."""
    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def _resolve(path: str | Path) -> str:
    if str(path) == ATLAS:
        from candor.testbeds.atlas.base import base_path

        return str(base_path())
    if Path(path).is_dir():
        if not (Path(path) / "config.json").is_file():
            raise InputError("no config.json here", where=str(path), fix="give a Hugging Face checkpoint directory")
        return str(path)
    if Path(path).exists() or isinstance(path, Path) or not _HUB_NAME.fullmatch(path):
        raise InputError("no such checkpoint directory", where=str(path))
    check_hub_name(path)
    return path


def _config(source: str) -> Any:
    try:
        with quiet_transformers():
            return AutoConfig.from_pretrained(source)
    except StrictDataclassError as error:
        raise InputError(f"its config.json cannot be read: {first_line(error)}", where=source) from error
    except (OSError, ValueError) as error:
        tried = "" if Path(source).is_dir() else "no such directory here, and as a hub name: "
        raise InputError(f"no such checkpoint: {tried}{first_line(error)}", where=source) from error


def _attention(config: Any) -> str | None:
    """Returns "eager" where attention is soft-capped, which fused kernels cannot do; else None, the model's default."""
    return "eager" if getattr(config.get_text_config(), "attn_logit_softcapping", None) is not None else None


def _load(
    auto: Any,
    source: str,
    kind: str,
    config: Any,
    dtype: torch.dtype,
    fresh: Callable[[str], bool] = lambda name: False,
    **options: Any,
) -> PreTrainedModel:
    """Loads weights in ``dtype``; those whose names are ``fresh`` may be missing and are then drawn anew."""
    try:
        with quiet_transformers():
            model, info = auto.from_pretrained(
                source,
                dtype=dtype,
                attn_implementation=_attention(config),
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are refused below, in one line
                **options,
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"cannot be loaded as {kind}: {first_line(error)}", where=source) from error
    for key, found, wanted in sorted(info["mismatched_keys"]):
        raise InputError(
            f"a weight of {kind} is of the wrong size: {key} is {tuple(found)}, not {tuple(wanted)}", where=source
        )
    lacking = sorted(key for key in info["missing_keys"] if not fresh(key))
    if lacking:
        raise InputError(
            f"the checkpoint lacks {len(lacking)} of the weights of {kind}, such as {lacking[0]}: they would be random",
            where=source,
        )
    return model.eval()


def _tokenizer(source: str, *, ends: bool = True) -> PreTrainedTokenizerBase:
    """Loads the tokenizer; ``ends``: it needs an end-of-sequence token."""
    fix = "save one beside the model with tokenizer.save_pretrained"
    local = Path(source)
    if local.is_dir() and not any(local.glob("*tokenizer*")) and not any(local.glob("vocab.*")):
        raise InputError("the checkpoint has no tokenizer", where=source, fix=fix)
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"no usable tokenizer: {first_line(error)}", where=source, fix=fix) from error
    try:
        if ends:
            eos_id(tokenizer)
    except InputError as error:
        raise InputError(error.what, where=source, fix=error.fix) from None
    return tokenizer


def _check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, source: str) -> None:
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise InputError(f"the tokenizer has {len(tokenizer)} tokens, the model only {rows}", where=source)


def _set_pad(tokenizer: PreTrainedTokenizerBase, *, allow_eos: bool) -> None:
    """Gives the tokenizer a pad token if it has none (or, unless ``allow_eos``, if it is also the end of sequence).

    Takes a reserved, unused or unknown-word token; else the byte 0 of a byte-level vocabulary, which text does not
    hold; else the end of sequence, with a warning. Candor's own masks come from lengths and never depend on it.
    """
    pad, eos = tokenizer.pad_token_id, tokenizer.eos_token_id
    if pad is not None and (pad != eos or allow_eos):
        return
    spare = _spare_token(tokenizer)
    if spare is not None:
        tokenizer.pad_token = spare
        logger.warning("the tokenizer has no pad token of its own: %r is used", spare)
        return
    tokenizer.pad_token = tokenizer.eos_token
    logger.warning(
        "pad and end of sequence are one token (%r): Candor's numbers are right, but plain transformers reads a reward "
        "model's score one token early",
        tokenizer.eos_token,
    )


def _spare_token(tokenizer: PreTrainedTokenizerBase) -> str | None:
    taken = {tokenizer.eos_token, tokenizer.bos_token}
    special = [token for token in tokenizer.all_special_tokens if token not in taken]
    added = [str(token) for token in tokenizer.get_added_vocab() if token not in taken]
    for token in sorted({*special, *added}):
        if _RESERVED.fullmatch(token):
            return token
    vocabulary = tokenizer.get_vocab()
    return next((token for token in ("\u0100", "<0x00>") if token in vocabulary), None)
