"""The layer that training uses is einops' EinMix in all but speed."""

from __future__ import annotations

from random import Random

import pytest
import torch
from einops.layers.torch import EinMix

from einmix import Architecture, Mixer, build, sample_mixer
from einmix.layers import FastMix
from einmix.pattern import write_einmix
from search_spaces import SPACES

CALLS = [
    ("b t c -> b t0 c", "t t0", "t0", {"t": 8, "t0": 5}, (3, 8, 4)),
    ("b c (h hp) (w wp) -> b (h w) d", "c hp wp d", "d", {"c": 3, "hp": 2, "wp": 2, "d": 5}, (2, 3, 4, 8)),
    ("b (hi h) (wi w) (g c) -> b (ho h) (wo w) (g c)", "g hi wi ho wo", "g ho wo",
     {"g": 2, "hi": 2, "wi": 4, "ho": 3, "wo": 2}, (2, 4, 8, 6)),
    ("b (h w) (r o) -> b o w hid", "h r hid", "hid", {"h": 4, "w": 2, "r": 2, "o": 3, "hid": 5}, (2, 8, 6)),
    ("b o w hid -> b (h w) (r o)", "hid h r", "h r", {"h": 4, "r": 2, "hid": 5}, (2, 3, 2, 5)),
    ("b (k p) -> b (q k)", "k q p", None, {"k": 3, "p": 2, "q": 4}, (2, 6)),
    ("b t c -> b t c", "c", "c", {"c": 4}, (2, 3, 4)),
    ("t b c -> t b d", "c d", "d", {"c": 4, "d": 2}, (5, 2, 4)),
    ("b t (g c) -> b t (g d)", "g c d", "d", {"g": 2, "c": 3, "d": 4}, (2, 5, 6)),
]  # fmt: skip


def pair(pattern: str, weight: str, bias: str | None, sizes: dict[str, int]) -> tuple[EinMix, FastMix]:
    ours, theirs = FastMix(pattern, weight, bias, **sizes), EinMix(pattern, weight, bias, **sizes)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return theirs, ours


def same_function_and_gradients(theirs: EinMix, ours: FastMix, x: torch.Tensor) -> None:
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    outputs = [layer(each) for layer, each in zip((theirs, ours), inputs, strict=True)]
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-4, atol=1e-5)
    slope = torch.randn_like(outputs[0])
    for output in outputs:
        output.backward(slope)
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, rtol=1e-4, atol=1e-5)
    for (name, a), (_, b) in zip(theirs.named_parameters(), ours.named_parameters(), strict=True):
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize(("pattern", "weight", "bias", "sizes", "shape"), CALLS)
def test_calls_in_any_layout(
    pattern: str, weight: str, bias: str | None, sizes: dict[str, int], shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    same_function_and_gradients(*pair(pattern, weight, bias, sizes), torch.randn(shape))


@pytest.mark.parametrize("seed", range(40))
def test_any_mixer(seed: int) -> None:
    torch.manual_seed(seed)
    mixer = sample_mixer(Random(seed), h=4, w=6, c=8, bias=seed % 2 == 0)
    call = write_einmix(mixer, all_sizes=False)
    pattern, weight, bias = call.pop("pattern"), call.pop("weight_shape"), call.pop("bias_shape", None)
    same_function_and_gradients(*pair(pattern, weight, bias, call), torch.randn(3, 4, 6, 8))


def test_the_products_are_used_wherever_something_is_mixed() -> None:
    for text, plain in (("h=m4 w=m6 c=s8", False), ("h=s4 w=g2.m3 c=g8", False), ("h=s4 w=s6 c=g8", True)):
        assert FastMix(**Mixer.parse(text).einmix())._plain is plain, text


def test_an_input_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cannot take an input of shape \(2, 7, 4\): axis \(hi h\)"):
        FastMix("b (hi h) c -> b (ho h) c", "hi ho", hi=2, ho=2)(torch.randn(2, 7, 4))


@pytest.mark.parametrize("space", sorted(SPACES))
def test_a_network_of_fast_layers_is_the_same_network(space: str) -> None:
    bound = SPACES[space].on({"h": 8, "w": 8}, channels=1, classes=10)
    arch: Architecture = bound.sample(Random(3))
    torch.manual_seed(0)
    plain = build(arch)
    torch.manual_seed(0)
    fast = build(arch, mix=FastMix)
    assert any(isinstance(layer, FastMix) for layer in fast.modules())
    x = torch.randn(5, 1, 8, 8)
    for (name, a), (other, b) in zip(plain.state_dict().items(), fast.state_dict().items(), strict=True):
        assert name == other
        torch.testing.assert_close(a, b, rtol=0, atol=0)  # the same seed starts the same network
    torch.testing.assert_close(fast(x), plain(x), rtol=1e-4, atol=1e-5)
