"""What cannot be wrapped is refused in one line that names it and says what to do."""

import functools
import types
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import saccade
from saccade import CapabilityError
from tests.backbones.published.dream import LlavaDreamForMaskedDiffusion
from tests.backbones.published.held import FIELDS, VISION, dream, fill, llada, words
from tests.backbones.published.layers import Config, VisionTower
from tests.backbones.published.llada import LlavaLLaDAModelLM
from tests.backbones.published.test_takeover import HALF, ask
from tests.tiny import tiny_model


def refusal(model: Any, error: type[Exception] = CapabilityError, **kwargs: Any) -> str:
    """The message with which an object is refused; always one line."""
    with pytest.raises(error) as raised:
        saccade.wrap(model, **kwargs)
    message = str(raised.value)
    assert "\n" not in message and len(message) < 700
    return message


def posing(module: str, name: str = "Posing", base: type = nn.Linear) -> type:
    """A class that says it comes from another package."""
    return type(name, (base,), {"__module__": module})


@pytest.mark.parametrize("given", [nn.Linear(2, 2), "GSAI-ML/LLaDA-V", None, 3])
def test_objects_of_no_published_class(given: Any) -> None:
    message = refusal(given, TypeError)
    assert "LlavaLLaDAModelLM" in message and "saccade.load" in message


def test_classes_and_models_of_saccade() -> None:
    assert "is a class" in refusal(LlavaLLaDAModelLM, TypeError)
    assert "Saccade model" in refusal(tiny_model(), TypeError)
    assert "Saccade model" in refusal(saccade.wrap(llada()), TypeError)


@pytest.mark.parametrize("name", ["DataParallel", "FullyShardedDataParallel", "OptimizedModule"])
def test_what_holds_a_model(name: str) -> None:
    around = type(name, (nn.Module,), {})()
    around.module = llada()
    assert "model._orig_mod" in refusal(around) or "model.module" in refusal(around)


class Tuned(LlavaLLaDAModelLM):
    """A subclass that trains in its own way, which does not matter."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2


class Deeper(Tuned):
    def generate(self, *args: Any, **kwargs: Any) -> Any:
        return super().generate(*args, **kwargs) + 1


def test_subclasses_count_unless_they_answer_otherwise() -> None:
    config = Config(**FIELDS, rms_norm_eps=1e-5, rope_theta=5e5, image_aspect_ratio="anyres")
    tuned = Tuned(config, Config(**VISION))
    fill(tuned)
    assert saccade.wrap(tuned).family.architecture == "LlavaLLaDAModelLM"
    assert "Deeper overrides generate" in refusal(Deeper(config, Config(**VISION)))


def test_the_kind_is_told_by_classes_not_by_names_of_folders() -> None:
    model = llada(_name_or_path="somebody/lavida-dream-v1", model_type="Dream")
    wrapped = saccade.wrap(model)
    assert wrapped.family.architecture == "LlavaLLaDAModelLM"
    assert wrapped.spec.name == "somebody/lavida-dream-v1"
    assert isinstance(dream(), LlavaDreamForMaskedDiffusion)


@pytest.mark.parametrize("package", ["bitsandbytes.nn.modules", "torchao.dtypes", "awq.modules"])
def test_quantised_layers(package: str) -> None:
    model = llada()
    layer = posing(package)(32, 48, bias=False)
    model.model.layers[0].mlp.up_proj = layer
    message = refusal(model)
    assert "quantised" in message and package.partition(".")[0] in message
    assert "model.layers.0.mlp.up_proj" in message and "float16" in message


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_quantised_weights(dtype: torch.dtype) -> None:
    model = llada()
    weight = torch.zeros(32, 32).to(dtype)
    model.model.layers[2].self_attn.o_proj.weight = nn.Parameter(weight, requires_grad=False)
    message = refusal(model)
    assert "quantised" in message and "layers.2.self_attn.o_proj.weight" in message


def test_quantised_configs() -> None:
    assert "quantization_config" in refusal(llada(quantization_config={"bits": 4}))


def test_weights_that_are_nowhere() -> None:
    model = llada()
    model.model.layers[1].to("meta")
    message = refusal(model)
    assert "offloaded" in message and "model.layers.1" in message and "device_map" in message


def test_weights_that_a_hook_keeps_elsewhere() -> None:
    model = dream()
    model.model.layers[3]._hf_hook = types.SimpleNamespace(offload=True)
    assert "offloaded" in refusal(model) and "model.layers.3" in refusal(model)
    model.model.layers[3]._hf_hook = types.SimpleNamespace(
        hooks=[types.SimpleNamespace(offload=False), types.SimpleNamespace(offload=True)]
    )
    assert "offloaded" in refusal(model)
    model.model.layers[3]._hf_hook = types.SimpleNamespace(offload=False)
    saccade.wrap(model)


def test_several_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    model = llada()
    tensors = [("a", torch.zeros(1)), ("b", types.SimpleNamespace(is_meta=False, device="cuda:1"))]
    monkeypatch.setattr("saccade.backbones.published.refuse.tensors_of", lambda _: iter(tensors))
    assert "several devices (cpu, cuda:1)" in refusal(model)


class BaseTunerLayer(nn.Module):
    """An adapter's layer, as PEFT names and keeps them."""

    def __init__(self, base: nn.Linear, merged: bool) -> None:
        super().__init__()
        self.base_layer, self.merged = base, merged
        self.lora_A = nn.ModuleDict({"default": nn.Linear(base.in_features, 2, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(2, base.out_features, bias=False)})

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.base_layer(x)
        more = self.lora_B["default"](self.lora_A["default"](x))
        return out if self.merged else out + more


class PeftModel(nn.Module):
    """What lies around an object that adapters were added to."""

    def __init__(self, model: nn.Module, merged: bool) -> None:
        super().__init__()
        self.base_model, self.peft_config = nn.Module(), {"default": types.SimpleNamespace()}
        self.base_model.model = model
        attention: Any = model.get_submodule("model.layers.0.self_attn")
        attention.q_proj = BaseTunerLayer(attention.q_proj, merged)

    def get_base_model(self) -> Any:
        return self.base_model.model

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        return self.get_base_model().generate(*args, **kwargs)


def test_adapters_that_are_not_merged() -> None:
    whole = PeftModel(llada(), merged=False)
    for given in (whole, whole.get_base_model()):
        message = refusal(given)
        assert "layers.0.self_attn.q_proj" in message and "merge_and_unload" in message


def test_adapters_that_are_merged_and_unmerged_later() -> None:
    model = PeftModel(llada(), merged=True)
    wrapped, published = saccade.wrap(model, words()), ask(model)
    assert ask(wrapped) == published
    with HALF(wrapped):
        ask(model)
    assert wrapped.last is not None and wrapped.last.trace.visual_tokens_ratio < 1
    assert ask(model) == published
    model.get_base_model().model.layers[0].self_attn.q_proj.merged = False
    with pytest.raises(CapabilityError, match="not merged"), HALF(wrapped):
        pass


def test_learned_prompts_and_modules_that_are_kept_beside() -> None:
    model = PeftModel(llada(), merged=True)
    model.peft_config["default"].is_prompt_learning = True
    assert "learned prompts" in refusal(model)
    kept = PeftModel(llada(), merged=True)
    kept.get_base_model().lm_head = type("ModulesToSaveWrapper", (nn.Linear,), {})(32, 96)
    assert "ModulesToSaveWrapper" in refusal(kept)


def by_prefix_cache(model: Any) -> None:
    """As Fast-dLLM's hook: generate and the attention of every layer."""
    model.generate = lambda *args, **kwargs: None
    for layer in model.model.layers:
        layer.self_attn.forward = lambda x, past: (x, None)


def by_feature_cache(model: Any) -> None:
    """As dLLM-Cache: methods of the layers."""
    for layer in model.model.layers:
        layer._old_forward = layer.forward
        layer.forward = types.MethodType(lambda self, x, past=None: (x, None), layer)


def by_generate_alone(model: Any) -> None:
    model.generate = functools.partial(model.generate)


@pytest.mark.parametrize("patch", [by_prefix_cache, by_feature_cache, by_generate_alone])
@pytest.mark.parametrize("held", [llada, dream])
def test_objects_that_were_patched(patch: Any, held: Any) -> None:
    model = held()
    patch(model)
    message = refusal(model)
    assert "was replaced" in message and "without it" in message
    late = held()
    wrapped = saccade.wrap(late)
    patch(late)
    with pytest.raises(CapabilityError, match="was replaced"), saccade.Controller()(wrapped):
        pass


def test_hooks_that_were_removed_leave_the_method_as_an_attribute() -> None:
    model = llada()
    model.generate = method = model.generate
    for layer in model.model.layers:
        layer.forward = layer.forward
    wrapped, published = saccade.wrap(model, words()), ask(model)
    with HALF(wrapped):
        ask(model)
    assert wrapped.last is not None and wrapped.last.trace.visual_tokens_ratio < 1
    assert vars(model)["generate"] is method and ask(model) == published


def test_compiled_layers() -> None:
    model = llada()
    model.model.layers[1] = torch.compile(model.model.layers[1])
    assert "model.layers.1 is compiled" in refusal(model)


def test_hooks_of_accelerate_that_move_nothing() -> None:
    model = llada()
    layer: Any = model.model.layers[0]
    layer._hf_hook = types.SimpleNamespace(offload=False)
    hooked = functools.partial(lambda module, *args: None, layer)
    layer.forward = functools.update_wrapper(hooked, layer.forward)
    saccade.wrap(model)
    layer.forward = functools.update_wrapper(hooked, lambda x: x)
    assert "was replaced" in refusal(model)


def test_classes_that_were_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(self: Any, *args: Any) -> Any:
        return args

    forward.__module__ = "somebody.caching"
    model = llada()
    with monkeypatch.context() as patch:
        patch.setattr(type(model.model.layers[0]), "forward", forward)
        assert "somebody.caching" in refusal(model)
    with monkeypatch.context() as patch:
        patch.setattr(LlavaLLaDAModelLM, "generate", forward)
        assert "generate of its class was replaced by somebody.caching" in refusal(model)
    saccade.wrap(model)


def test_forward_hooks() -> None:
    model = llada()
    handle = model.model.layers[0].register_forward_hook(lambda *_: None)
    assert "model.layers.0 has a forward hook" in refusal(model)
    handle.remove()

    def make_inputs_require_grads(module: Any, given: Any, out: Tensor) -> None:
        out.requires_grad_(True)

    model.model.embed_tokens.register_forward_hook(make_inputs_require_grads)
    saccade.wrap(model)


def test_towers_that_are_not_there() -> None:
    model = llada()
    model.model.vision_tower = VisionTower(Config(**VISION), loaded=False)
    assert "load_model() first" in refusal(model)
    blind = llada()
    blind.get_vision_tower = lambda: None
    assert "no vision tower" in refusal(blind)
    other = llada()
    other.model.vision_tower.vision_tower = nn.Linear(2, 2)
    assert "SigLIP" in refusal(other)
    wrong = llada()
    wrong.model.vision_tower.vision_tower.config = Config(**VISION | {"num_attention_heads": 3})
    assert "do not fit" in refusal(wrong)


def test_tensors_that_do_not_fit() -> None:
    model = llada()
    model.model.adapter = nn.Linear(3, 3)
    assert "unknown 2: model.adapter.bias" in refusal(model)
    short = llada()
    del short.model.layers[3]
    assert "missing 9: model.layers.3" in refusal(short)
    wide = llada()
    wide.config.intermediate_size = 50
    assert "wrong shapes" in refusal(wide) and "50" in refusal(wide)
    odd = llada()
    odd.lm_head = nn.Linear(32, 95, bias=False)
    assert "resize_token_embeddings" in refusal(odd)


def test_several_dtypes_in_the_language_model() -> None:
    model = llada().bfloat16()
    model.model.layers[1].input_layernorm.float()
    message = refusal(model)
    assert "float32 (model.layers.1.input_layernorm.weight)" in message and "cast" in message


def test_scaled_positions() -> None:
    model = llada()
    model.model.layers[2].self_attn.rotary_emb.inv_freq /= 4
    assert "rotary frequencies" in refusal(model)


def test_configs_that_are_not_supported() -> None:
    message = refusal(llada(mm_projector_type="linear"), saccade.CheckpointError)
    assert "mm_projector_type='linear'" in message


def test_a_norm_that_never_runs_may_be_missing() -> None:
    model = llada()
    model.model.vision_tower.vision_tower.vision_model.post_layernorm = nn.Identity()
    saccade.wrap(model)
