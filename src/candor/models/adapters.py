"""Low-rank adapters on the body of a Hugging Face model, by ``peft``; the model stays the class that it was.

An adapter adds alpha / r * B A to the weight of a linear layer (Hu 2021, arXiv 2106.09685, section 4.1). A is drawn as
``peft`` draws it, from U(-1/sqrt(in), 1/sqrt(in)), B is 0, so that a fresh adapter changes nothing. Everything else is
frozen. Checkpoints are written with the adapter merged in, and the adapter beside them in ``peft``'s own layout.
"""

from __future__ import annotations

import copy
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from peft import LoraConfig as PeftLora
from peft import inject_adapter_in_model
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from candor.errors import InputError
from candor.models.twins import freeze, twin
from candor.ops.randomness import generator
from candor.recipe import LoraConfig

ADAPTER = "adapter"
"""The directory of a stage's adapter, beside its ``checkpoint``."""

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
CAUSAL, CLASSIFIER = "CAUSAL_LM", "SEQ_CLS"
"""What ``peft`` calls the tasks of a policy and of a reward model."""

_ADAPTER_KEY = re.compile(r"\.(lora_[AB])\.[^.]+\.weight$")

Module = TypeVar("Module", bound=nn.Module)


def add_adapter(body: nn.Module, lora: LoraConfig, *, name: str, seed: int) -> None:
    """Freezes ``body`` and adds a float32 adapter called ``name`` to it, in place; only the adapter trains.

    Adapters that are there already stay active and are frozen too. A's draws are a function of (seed, name, layer).
    Raises InputError where ``targets`` name no linear layer.
    """
    before: dict[int, list[str]] = {id(layer): list(layer.active_adapters) for layer in _layers(body)}
    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    transposed = any(isinstance(module, Conv1D) for module in body.modules())
    config = PeftLora(r=lora.r, lora_alpha=lora.alpha, target_modules=targets, fan_in_fan_out=transposed)  # type: ignore[arg-type]
    _inject(body, config, name)
    layers = [(path, module) for path, module in body.named_modules() if isinstance(module, LoraLayer)]
    for path, layer in layers:
        if not isinstance(layer, LoraLinear):
            raise InputError(f"{path!r} is no linear layer", where="lora.targets", fix='use "all-linear"')
        # ``peft`` leaves only the newest adapter on, and casts it to the weight's precision.
        layer._active_adapter = [*before.get(id(layer), []), name]
        if name in layer.lora_A:
            _initialise(layer, path, name, seed)
    freeze(body)
    for parameter in adapter_parameters(body, name).values():
        parameter.requires_grad_(True)


def _initialise(layer: Any, path: str, name: str, seed: int) -> None:
    a, b = layer.lora_A[name], layer.lora_B[name]
    a.to(torch.float32)
    b.to(torch.float32)
    bound = a.in_features**-0.5  # kaiming_uniform_(a=sqrt(5)), as peft and torch's own linear layers have it
    drawn = torch.rand(a.weight.shape, generator=generator(seed, "lora", name, path))
    with torch.no_grad():
        a.weight.copy_((2 * drawn - 1) * bound)
        b.weight.zero_()


def _inject(body: nn.Module, config: PeftLora, name: str) -> None:
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):  # peft's own draws are thrown away
        warnings.simplefilter("ignore")  # that fan_in_fan_out differs between layers, which peft settles itself
        try:
            inject_adapter_in_model(config, body, adapter_name=name)
        except ValueError as error:
            reason = str(error).splitlines()[0].split(". ")[0]
            raise InputError(reason[:1].lower() + reason[1:], where="lora.targets", fix='use "all-linear"') from error


def adapter_parameters(body: nn.Module, name: str) -> dict[str, nn.Parameter]:
    """Returns the parameters of one adapter, by their names in ``body``."""
    marked = (f".lora_A.{name}.", f".lora_B.{name}.")
    return {key: p for key, p in body.named_parameters() if any(mark in key for mark in marked)}


def has_adapter(model: nn.Module) -> bool:
    """Tells whether any adapter was added to ``model``."""
    return next(_layers(model), None) is not None


def merged(model: Module) -> Module:
    """Returns a plain copy of ``model`` with its active adapters added to the weights, in the weights' own precision.

    The sum is taken in float32 and rounded once. Weights without an adapter are shared with ``model``, which stays as
    it is.
    """
    plain = twin(model)
    for path, layer in list(plain.named_modules()):
        if not isinstance(layer, LoraLinear):
            continue
        base: Any = layer.get_base_layer()
        with torch.no_grad():
            weight = base.weight.float()
            for name in layer.active_adapters:
                weight = weight + layer.get_delta_weight(name) if name in layer.lora_A else weight
            weight = weight.to(base.weight.dtype)
        base.weight = nn.Parameter(weight, requires_grad=False)  # of the twin's module alone
        parent, _, child = path.rpartition(".")
        setattr(plain.get_submodule(parent), child, base)
    for module in plain.modules():
        module.__dict__.pop("peft_config", None)
    return plain


def save_adapter(directory: Path, model: nn.Module, *, name: str, task: str, base: str) -> None:
    """Writes one adapter of a causal LM or sequence classifier in ``peft``'s layout, with its score head if it has one.

    ``base`` is the checkpoint that the adapter belongs on, as ``adapter_config.json`` is to name it. The files are
    float32 whatever the model's precision.
    """
    directory.mkdir(parents=True, exist_ok=True)
    prefix = f"base_model.model.{model.base_model_prefix}."
    body: Any = model.base_model
    found = adapter_parameters(body, name)
    tensors = {prefix + _ADAPTER_KEY.sub(r".\1.weight", key): _plain(p) for key, p in found.items()}
    head = getattr(model, "score", None)
    if isinstance(head, nn.Linear):
        tensors |= {f"base_model.model.score.{key}": _plain(p) for key, p in head.named_parameters()}
    config = copy.deepcopy(body.peft_config[name])
    config.task_type, config.base_model_name_or_path, config.inference_mode = task, base, True
    config.modules_to_save = ["score"] if isinstance(head, nn.Linear) else None
    config.target_modules = sorted(config.target_modules)  # a set's order differs from run to run
    config.save_pretrained(str(directory))
    save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})


def load_adapter(model: nn.Module, directory: Path, *, name: str) -> None:
    """Adds the adapter in ``directory`` to a causal LM or sequence classifier, and loads its score head; all is frozen.

    Raises InputError where the files are missing or belong to another model.
    """
    try:
        tensors = load_file(directory / WEIGHTS)
        told = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
        targets = told["target_modules"]
        lora = LoraConfig(r=told["r"], alpha=told["lora_alpha"], targets=tuple(targets))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"no usable adapter: {error}", where=str(directory)) from error
    body: Any = model.base_model
    add_adapter(body, lora, name=name, seed=0)
    wanted = adapter_parameters(body, name)
    prefix = f"base_model.model.{model.base_model_prefix}."
    own: dict[str, Tensor] = {prefix + _ADAPTER_KEY.sub(r".\1.weight", key): p for key, p in wanted.items()}
    head = getattr(model, "score", None)
    if isinstance(head, nn.Linear):
        own |= {f"base_model.model.score.{key}": p for key, p in head.named_parameters()}
    if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in tensors.items()}:
        raise InputError("the adapter belongs to another model", where=str(directory))
    with torch.no_grad():
        for key, tensor in own.items():
            tensor.copy_(tensors[key])
    freeze(model)


def _layers(model: nn.Module) -> Iterator[LoraLayer]:
    return (module for module in model.modules() if isinstance(module, LoraLayer))


def _plain(parameter: nn.Parameter) -> Tensor:
    return parameter.detach().float().cpu().contiguous()
