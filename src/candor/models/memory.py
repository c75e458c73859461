"""What training takes in memory: closed forms from an architecture's numbers, in bytes. Derivation: docs/memory.md.

Weights, gradients and optimiser state are exact. Activations are what autograd keeps for the backward pass of one
micro-batch, counted for decoders of the Llama kind (gated MLP, RMS norms) and of the GPT kind (plain MLP, layer norms).
Nothing here loads a weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from candor.ops.logprobs import LOGITS_AT_ONCE
from candor.recipe import LoraConfig

FLOAT32, BFLOAT16 = 4, 2
CUDA_OVERHEAD = 3 * 2**28
"""What a CUDA context and its libraries take before the first tensor: about .75 GiB. Assumed, not measured here."""

FRAGMENTATION = 0.05
"""Share of all tensors that the caching allocator holds beside them. Assumed, not measured here."""


@dataclass(frozen=True, kw_only=True)
class Linear:
    """A linear layer of the body: its name and its two sizes."""

    name: str
    inputs: int
    outputs: int


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A decoder's numbers. ``parameters`` are all of a causal LM, ``body`` those without an untied vocabulary head.

    ``gated``: the MLP has a gate. ``head_norms``: queries and keys are normed. ``parallel``: attention and MLP read one
    residual. ``rotary``: positions turn queries and keys. ``fused_activation``: the MLP's activation keeps its input
    alone.
    """

    name: str
    parameters: int
    body: int
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    inner: int
    vocabulary: int
    gated: bool
    head_norms: bool
    parallel: bool
    rotary: bool
    fused_activation: bool
    linears: tuple[Linear, ...]

    @property
    def queries(self) -> int:
        return self.heads * self.head_width

    @property
    def keys(self) -> int:
        return self.kv_heads * self.head_width

    def adapter(self, lora: LoraConfig) -> int:
        """Returns the parameters of one adapter: r (in + out) of every target layer."""
        return sum(lora.r * (layer.inputs + layer.outputs) for layer in self.targets(lora))

    def targets(self, lora: LoraConfig) -> Sequence[Linear]:
        """Returns the layers that an adapter is added to: those whose name ends in one of the targets."""
        if isinstance(lora.targets, str):
            return self.linears
        return [layer for layer in self.linears if any(f".{layer.name}".endswith(f".{t}") for t in lora.targets)]

    @property
    def matrices(self) -> int:
        """Returns the parameters of the body's linear layers."""
        return sum(layer.inputs * layer.outputs for layer in self.linears)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a stage computes: ``tokens`` per micro-batch in rows of ``row`` places."""

    dtype: Literal["float32", "bfloat16"]
    lora: LoraConfig | None
    checkpointing: bool
    tokens: int
    row: int

    @property
    def size(self) -> int:
        """Returns the bytes of a number that matrix products read, and of a frozen weight."""
        return BFLOAT16 if self.dtype == "bfloat16" else FLOAT32


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes by part. Weights and optimiser are there throughout; the others belong to one phase each.

    ``working``: bfloat16 copies of float32 weights. ``cache``: keys and values while sampling, ``sampling``: working
    copies and logits then.
    """

    weights: int
    optimizer: int
    gradients: int
    activations: int
    logits: int
    working: int
    cache: int = 0
    sampling: int = 0

    @property
    def update(self) -> int:
        """Returns what the backward pass of a micro-batch adds."""
        return self.gradients + self.activations + self.logits + self.working

    @property
    def tensors(self) -> int:
        """Returns the peak of all tensors."""
        return self.weights + self.optimizer + max(self.update, self.cache + self.sampling)

    @property
    def device(self) -> int:
        """Returns the peak of a CUDA device: tensors, what the allocator holds beside them, and the context."""
        return round(self.tensors * (1 + FRAGMENTATION)) + CUDA_OVERHEAD


def training(architecture: Architecture, setting: Setting, *, head: Literal["vocabulary", "score"]) -> Memory:
    """Returns what SFT (a causal LM) or reward training (a body under a scalar head) takes."""
    a = architecture
    scalar = a.width if head == "score" else 0
    whole = a.parameters if head == "vocabulary" else a.body
    trained = (whole if setting.lora is None else a.adapter(setting.lora)) + scalar
    return Memory(
        weights=_held(whole, setting) + (_adapter_bytes(a, setting) + FLOAT32 * scalar),
        optimizer=2 * FLOAT32 * trained,
        gradients=FLOAT32 * trained,
        activations=activations(a, setting),
        logits=logits(a, setting) if head == "vocabulary" else 0,
        working=_working(a, setting, vocabulary=head == "vocabulary"),
    )


def sampling(architecture: Architecture, dtype: Literal["float32", "bfloat16"], *, rows: int, places: int) -> Memory:
    """Returns what a model takes to write ``rows`` replies at once; ``places``: tokens of prompt and reply."""
    a, size = architecture, BFLOAT16 if dtype == "bfloat16" else FLOAT32
    return Memory(
        weights=size * a.parameters,
        optimizer=0,
        gradients=0,
        activations=0,
        logits=0,
        working=0,
        cache=_cache(a, size, rows, places),
        sampling=_sampled_logits(a, rows),
    )


def ppo(
    architecture: Architecture,
    setting: Setting,
    *,
    shared: bool,
    reward_lora: LoraConfig | None,
    rows: int,
    places: int,
) -> Memory:
    """Returns what PPO's four models take.

    ``rows`` replies, of ``places`` tokens with their prompts, are sampled at once. ``reward_lora``: what the reward
    model on a ``shared`` backbone was trained with.
    """
    a, scalar = architecture, architecture.width
    adapter = 0 if setting.lora is None else a.adapter(setting.lora)
    frozen = setting.size
    if shared:
        rewards = 0 if reward_lora is None else a.adapter(reward_lora)
        weights = frozen * a.parameters + FLOAT32 * (2 * adapter + rewards)
    else:
        trains = _held(a.parameters, setting) + _held(a.body, setting) + FLOAT32 * 2 * adapter
        weights = trains + frozen * (a.parameters + a.body)
    heads = FLOAT32 * (2 * scalar + 1)  # of the reward model and the value model, which has a bias
    trained = (a.parameters + a.body if setting.lora is None else 2 * adapter) + scalar + 1
    cast = BFLOAT16 * (a.matrices + a.parameters - a.body) if _casts(setting) else 0
    return Memory(
        weights=weights + heads,
        optimizer=2 * FLOAT32 * trained,
        gradients=FLOAT32 * trained,
        activations=activations(a, setting),
        logits=logits(a, setting),
        working=_working(a, setting, vocabulary=True),
        cache=_cache(a, setting.size, rows, places),
        sampling=cast + _sampled_logits(a, rows),
    )


def activations(architecture: Architecture, setting: Setting) -> int:
    """Returns the bytes that one micro-batch's forward pass through the body keeps for its backward pass.

    With checkpointing: each layer's input, and everything of the one layer that is being computed again.
    """
    a, low = architecture, setting.size == BFLOAT16
    layer = _layer(a, setting)
    stream = BFLOAT16 if low and setting.lora is not None else FLOAT32  # the residual stream's precision
    final = setting.size * a.width + (2 * FLOAT32 * a.width if setting.lora is None else 0)  # the last norm, the head
    per_token = a.layers * stream * a.width + layer if setting.checkpointing else a.layers * layer
    return setting.tokens * (per_token + final)


def _layer(a: Architecture, setting: Setting) -> int:
    """Bytes per token and layer. A frozen norm keeps its input alone; autocast casts each linear layer's input."""
    size, full = setting.size, setting.lora is None
    casts = full and size == BFLOAT16
    if a.gated:
        norms = (4 if full else 2) * FLOAT32 * a.width
        inputs = (
            (5 if casts else 2) * size * a.width
        )  # of q, k, v together and of gate, up together, unless each is cast
        attention, inner = 4 * size * a.queries, 4 * size * a.inner
    else:
        norms = (1 if a.parallel else 2) * a.width * (FLOAT32 if full else size)
        inputs = (3 if a.parallel else 2) * size * a.width
        attention = (6 if a.rotary else 4) * size * a.queries  # q, k, v as one, the output, q and k rotated
        inner = (2 if a.fused_activation else 5) * size * a.inner
    if a.head_norms:
        attention += (a.queries + a.keys) * (FLOAT32 + (size if full else 0))
    statistics = FLOAT32 * (a.heads + 2)
    mask = size * setting.row  # of each layer anew, one row of places per token
    ranks = 0
    if setting.lora is not None:
        ranks = size * setting.lora.r * len(a.targets(setting.lora)) // max(1, a.layers)
    return norms + inputs + attention + inner + statistics + mask + ranks


def logits(architecture: Architecture, setting: Setting) -> int:
    """Returns the bytes of the logits held at once, all of whose tokens may be of replies.

    Four float32 copies (logits, their log-softmax, and the gradients of both), and under autocast two in bfloat16.
    """
    count = min(setting.tokens * architecture.vocabulary, LOGITS_AT_ONCE)
    return count * (4 * FLOAT32 + (2 * BFLOAT16 if setting.size == BFLOAT16 else 0))


def _casts(setting: Setting) -> bool:
    return setting.lora is None and setting.dtype == "bfloat16"


def _held(parameters: int, setting: Setting) -> int:
    """Weights that train in full are float32; under an adapter they are frozen."""
    return parameters * (FLOAT32 if setting.lora is None else setting.size)


def _adapter_bytes(a: Architecture, setting: Setting) -> int:
    return 0 if setting.lora is None else FLOAT32 * a.adapter(setting.lora)


def _working(a: Architecture, setting: Setting, *, vocabulary: bool) -> int:
    """Bfloat16 copies of float32 weights, kept from the forward to the backward pass."""
    return BFLOAT16 * (a.matrices + vocabulary * a.width * a.vocabulary) if _casts(setting) else 0


def _cache(a: Architecture, size: int, rows: int, places: int) -> int:
    """Keys and values of every layer, allocated for the longest row."""
    return size * 2 * a.layers * a.keys * rows * places


def _sampled_logits(a: Architecture, rows: int) -> int:
    """Logits, their cumulative weights and one copy between, in float32."""
    return 3 * FLOAT32 * rows * a.vocabulary
