"""The layer that training uses is einops' EinMix in all but speed."""

from __future__ import annotations

from math import prod
from random import Random

import pytest
import torch
from einops import EinopsError
from einops.layers.torch import EinMix

from einmix import Architecture, Mixer, build, sample_mixer
from einmix.algebra.writing import write_einmix
from einmix.layers import FastMix
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
    # axes of length 1, without a name or as an empty group
    ("b 1 t c -> b t 1 d", "c d", "d", {"c": 4, "d": 3}, (2, 1, 5, 4)),
    ("b (t 1) () c -> b (1 t) u", "t u c", "u", {"t": 3, "u": 4, "c": 2}, (2, 3, 1, 2)),
    ("b t c -> b () t u c", "t u", None, {"t": 3, "u": 4}, (2, 3, 5)),
    # `...`: of any number of axes, none as well; in parentheses on the right
    ("... c -> ... d", "c d", "d", {"c": 4, "d": 3}, (4,)),
    ("... c -> ... d", "c d", "d", {"c": 4, "d": 3}, (2, 5, 3, 4)),
    ("b ... (g c) -> b ... g d", "g c d", "g d", {"g": 2, "c": 3, "d": 4}, (2, 5, 3, 6)),
    ("b t ... -> b u ...", "t u", None, {"t": 3, "u": 4}, (2, 3, 5, 2)),
    ("b ... c -> (b ...) d", "c d", "d", {"c": 4, "d": 3}, (2, 3, 5, 4)),
    ("h ... c -> ... (h d)", "c d", "d", {"c": 4, "d": 3}, (2, 3, 5, 4)),
    ("b ... c -> b ... c", "c", "c", {"c": 4}, (2, 3, 4)),
    # axes that the weight alone brings, or that are gone
    ("b t -> b t d", "d", "d", {"d": 3}, (2, 5)),
    ("b t c -> b (t d) e", "c d e", "e", {"c": 4, "d": 3, "e": 2}, (2, 5, 4)),
    ("b t c -> b c", "c", None, {"c": 4}, (2, 5, 4)),
    ("b t c -> b d", "c d", "d", {"c": 4, "d": 3}, (2, 5, 4)),
    ("b t c -> b", "t c", "", {"t": 5, "c": 4}, (2, 5, 4)),
    ("t c -> ", "t c", None, {"t": 5, "c": 4}, (5, 4)),
    (" -> d", "d", "d", {"d": 3}, ()),
    ("c -> d", "c d", "d", {"c": 4, "d": 3}, (4,)),
    # biases of fewer and of more axes than the weight, and with parentheses, which einops lets pass
    ("b h w c -> b h d w", "c d", "h w", {"c": 4, "d": 3, "h": 2, "w": 5}, (2, 2, 5, 4)),
    ("b t (g c) -> b t (g d)", "g c d", "(d t)", {"g": 2, "c": 3, "d": 4, "t": 5}, (2, 5, 6)),
    ("b t c -> b t d", "c d", "1 d", {"c": 4, "d": 3}, (2, 5, 4)),
    # a single number; no example in the batch; a size that einops does not look at; a word of Python
    ("b t c -> b t c", "", "", {}, (2, 5, 4)),
    ("b t c -> b t d", "c d", "d", {"c": 4, "d": 3}, (0, 5, 4)),
    ("b t c -> b t d", "c d", None, {"c": 4, "d": 0}, (2, 5, 4)),
    ("b (g t) c -> b (g t) d", "g c d", None, {"g": 0, "t": 3, "c": 4, "d": 2}, (2, 0, 4)),
    ("b t c -> b t d", "c d", None, {"c": 4, "d": 3, "t": 7}, (2, 5, 4)),
    ("b is c -> b is d", "c d", "d", {"c": 4, "d": 3}, (2, 5, 4)),
]  # fmt: skip


def pair(pattern: str, weight: str, bias: str | None, sizes: dict[str, int]) -> tuple[EinMix, FastMix]:
    """Both layers, which start with the same weights from the same seed."""
    layers = []
    for kind in (EinMix, FastMix):
        torch.manual_seed(7)
        layers.append(kind(pattern, weight, bias, **sizes))
    theirs, ours = layers
    assert list(theirs.state_dict()) == list(ours.state_dict())
    for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
        assert torch.equal(a, b)
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


@pytest.mark.filterwarnings("ignore:EinMix. weight has no dimensions", "ignore:It is discouraged")
@pytest.mark.parametrize(("pattern", "weight", "bias", "sizes", "shape"), CALLS)
def test_calls_in_any_layout(
    pattern: str, weight: str, bias: str | None, sizes: dict[str, int], shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    same_function_and_gradients(*pair(pattern, weight, bias, sizes), torch.randn(shape))


def any_call(rng: Random) -> tuple[str, str, str | None, dict[str, int], tuple[int, ...]]:
    """What EinMix takes: names in any role, order and group, axes of length 1, `...`; and the shape of an input.

    Half of the calls are mixers, written in whatever order.
    """
    names = rng.sample(["b", "t", "h", "hi", "w", "c", "g", "d"], rng.randint(2, 6))
    mixer = rng.random() < 0.5
    roles = ["both", "weight left", "weight right", "weight both", *["left"] * (not mixer)]
    kinds = {name: rng.choice(roles) for name in names}
    sizes = {name: rng.randint(1, 3) for name in names}
    dots = rng.sample([2, 3], rng.randint(0, 2)) if rng.random() < 0.3 and not mixer else None
    sides, shapes = [], []
    for end in ("left", "right"):
        here = [name for name in names if kinds[name].endswith((end, "both"))]
        rng.shuffle(here)
        groups = [[] for _ in range(rng.choice([0, 0, 0, 1]) * (not mixer))]
        while here:
            length = rng.choice([1, 1, 1, 2, 3])
            groups.append(here[:length])
            here = here[length:]
        rng.shuffle(groups)
        shape = [prod(sizes[name] for name in group) for group in groups]
        texts = [group[0] if len(group) == 1 else "1" if not group else f"({' '.join(group)})" for group in groups]
        if dots is not None:
            place = rng.randint(0, len(groups))
            texts.insert(place, "...")
            shape[place:place] = dots
        sides.append(" ".join(texts))
        shapes.append(shape)
    weight = [name for name in names if kinds[name].startswith("weight")]
    rng.shuffle(weight)
    made = [name for name in names if not kinds[name].endswith("left") and not (mixer and kinds[name] == "both")]
    biased = rng.sample(made, len(made) if mixer else rng.randint(0, len(made)))
    bias = " ".join(biased) if rng.random() < 0.6 else None
    return " -> ".join(sides), " ".join(weight), bias, sizes, tuple(shapes[0])


@pytest.mark.filterwarnings("ignore:EinMix. weight has no dimensions")
@pytest.mark.parametrize("seed", range(4))
def test_whatever_einmix_accepts(seed: int) -> None:
    rng, accepted, planned = Random(seed), 0, 0
    torch.manual_seed(seed)
    for _ in range(60):
        pattern, weight, bias, sizes, shape = any_call(rng)
        try:
            EinMix(pattern, weight, bias, **sizes)
        except EinopsError as error:
            assert "all bias dimensions should go after ellipsis" in str(error), (pattern, weight, bias, sizes)
            continue
        theirs, ours = pair(pattern, weight, bias, sizes)
        same_function_and_gradients(theirs, ours, torch.randn(shape))
        accepted, planned = accepted + 1, planned + (not ours._plain)
    assert accepted > 30 and planned > 5


@pytest.mark.parametrize("seed", range(40))
def test_any_mixer(seed: int) -> None:
    torch.manual_seed(seed)
    mixer = sample_mixer(Random(seed), h=4, w=6, c=8, bias=seed % 2 == 0)
    call = write_einmix(mixer.axes, mixer.bias, all_sizes=False)
    pattern, weight, bias = call.pop("pattern"), call.pop("weight_shape"), call.pop("bias_shape", None)
    same_function_and_gradients(*pair(pattern, weight, bias, call), torch.randn(3, 4, 6, 8))


def test_the_products_are_used_wherever_something_is_mixed() -> None:
    for text, plain in (("h=m4 w=m6 c=s8", False), ("h=s4 w=g2.m3 c=g8", False), ("h=s4 w=s6 c=g8", True)):
        assert FastMix(**Mixer.parse(text).einmix())._plain is plain, text


def test_an_input_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cannot take an input of shape \(2, 4\): it has 3 axes"):
        FastMix("b t c -> b u c", "t u", t=4, u=2)(torch.randn(2, 4))
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
