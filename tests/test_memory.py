"""The memory that a training is predicted to take, against what is measured; the share of a GPU that follows."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, get_args

import pytest
import torch
from test_imports import loaded_by
from test_nodes import IMAGE, cases, network

import nas.memory
import nas.training
from einmix import Activation, Architecture, Concat, Linear, Mix, Mixer, Norm, Residual, Reweight, Stage, Sum, build
from einmix.nodes import Leaf, Tree
from nas.data import load
from nas.errors import NasError
from nas.measured_memory import kept_by_autograd, peak
from nas.memory import CONTEXT, examples_memory, gpu_fraction, kept_memory, largest, training_memory
from search_spaces import SPACES, Budget, SearchSpace, Space, SpaceError
from search_spaces.zoo import ZOO, Inputs

BF16 = pytest.param(True, marks=pytest.mark.skipif(not torch.backends.cuda.is_built(), reason="no CUDA in torch"))
BOTH = pytest.mark.parametrize("bf16", [False, BF16])
SHAPES: dict[str, dict[str, int]] = {"line": {"t": 24}, "image": {"h": 8, "w": 8}, "volume": {"d": 4, "h": 4, "w": 8}}
GIB = 2**30


def small(name: str, shape: str) -> SearchSpace:
    return SPACES[name].on(SHAPES[shape], channels=3, classes=10, width=(16,), depth=(2,))


def members() -> Iterator[tuple[str, Architecture]]:
    """The zoo, each member on data of one, two or three axes."""
    for number, (name, member) in enumerate(ZOO.items()):
        shape = list(SHAPES.values())[number % len(SHAPES)]
        yield name, member.at(Inputs(shape, 3, 10), patch=2, width=max(16, member.step), depth=1)


def ratio(architecture: Architecture, bf16: bool, batch: int = 16) -> float:
    return kept_memory(architecture, batch, bf16=bf16) / kept_by_autograd(architecture, batch, bf16=bf16)


def measurable(name: str, bf16: bool) -> bool:
    """Fake tensors cannot tie weights, and dropout on a CPU keeps numbers where a GPU keeps bits."""
    return not any(word in name for word in (("circulant", "toeplitz") if bf16 else ("drop",)))


# ------------------------------------------------------------------------------------------ against autograd


@BOTH
def test_every_kind_of_node_keeps_what_is_predicted(bf16: bool) -> None:
    """At sizes so small that what depends on neither batch nor positions counts for up to a quarter."""
    found = {name: ratio(network(nodes), bf16, 256) for name, nodes in cases(IMAGE).items() if measurable(name, bf16)}
    assert {name: each for name, each in found.items() if not 0.9 < each < 1.3} == {}


def test_what_two_layers_keep_is_counted_once() -> None:
    """A linear layer keeps its input, ReLU the same tensor, GELU another: its own input, 6 channels at 12 positions."""
    relu, gelu = (network((Linear(6), Activation(form), Linear(4))) for form in ("relu", "gelu"))
    for architecture in (relu, gelu):
        assert kept_memory(architecture, 64, bf16=False) == kept_by_autograd(architecture, 64, bf16=False)
    assert kept_memory(gelu, 64) - kept_memory(relu, 64) == 64 * 12 * 6 * 2


def test_every_kind_of_node_has_a_rule() -> None:
    assert set(nas.memory.RULES) == {*get_args(Leaf), *get_args(Tree)}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SPACES)
def test_candidates_keep_what_is_predicted(name: str, shape: str) -> None:
    assert 0.97 < ratio(small(name, shape).sample(Random(1)), bf16=False) < 1.03


@pytest.mark.skipif(not torch.backends.cuda.is_built(), reason="no CUDA in torch")
@pytest.mark.parametrize("name", SPACES)
def test_candidates_keep_less_in_bfloat16(name: str) -> None:
    architecture = small(name, "image").sample(Random(2))
    assert 0.97 < ratio(architecture, bf16=True) < 1.03
    assert kept_memory(architecture, 16, bf16=True) < 0.8 * kept_memory(architecture, 16, bf16=False)


@BOTH
def test_the_zoo_keeps_what_is_predicted(bf16: bool) -> None:
    found = {name: ratio(architecture, bf16) for name, architecture in members()}
    assert {name: each for name, each in found.items() if not 0.9 < each < 1.1} == {}


@BOTH
def test_repeated_blocks_keep_their_own(bf16: bool) -> None:
    def kept(depth: int) -> int:
        return kept_memory(
            ZOO["mixer"].at(Inputs(SHAPES["image"], 3, 10), patch=2, width=16, depth=depth), 8, bf16=bf16
        )

    assert kept(4) - kept(2) == kept(6) - kept(4) > 0


# ------------------------------------------------------------------------------------------ a whole training


def test_batches_data_and_precision_add_up() -> None:
    """More examples take more, as many bytes each; data as many as it has."""
    architecture = small("subgrid", "image").sample(Random(0))
    needed = [training_memory(architecture, batch) for batch in (1, 2, 3, 64)]
    assert needed == sorted(set(needed)) and needed[2] - needed[1] == needed[1] - needed[0]
    assert needed[0] > CONTEXT + 16 * architecture.params
    assert training_memory(architecture, 64, examples_bytes=1000) == needed[3] + 1000
    assert training_memory(architecture, 64, bf16=False) > needed[3]


def test_a_shallow_network_is_widest_where_it_is_evaluated() -> None:
    """One block keeps less for 10 examples than passes through it for 40; many blocks keep more."""

    def needed(depth: int, evaluated: int) -> int:
        architecture = ZOO["mixer"].at(Inputs(SHAPES["image"], 3, 10), patch=1, width=64, depth=depth)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(nas.memory, "EVALUATED", evaluated)
            return training_memory(architecture, 10)

    assert needed(1, 4) > needed(1, 1)
    assert needed(8, 4) == needed(8, 1)


def test_evaluation_takes_as_many_as_training_says() -> None:
    assert nas.training.EVALUATION == nas.memory.EVALUATED
    assert nas.training.evaluation_batch(torch.device("cuda"), 10) == 10 * nas.memory.EVALUATED


def test_the_data_is_that_of_all_parts() -> None:
    digits = load("digits", data_dir=Path(), seed=0)
    values = 64 * digits.train.x.itemsize + 8
    assert examples_memory(digits) == (1150 + 288 + 359) * values


def bare(*blocks: Residual, classes: int = 10, side: int = 8, patch: int = 1) -> Architecture:
    """Patches of an image of three channels as eight, then these blocks."""
    embed = Mix(Mixer.parse(f"h=s{side // patch}.m{patch}:1 w=s{side // patch}.m{patch}:1 c=m3:8"))
    return Architecture((("h", side), ("w", side), ("c", 3)), (Stage((embed,), tuple((b,) for b in blocks)),), classes)


def per_example(architecture: Architecture) -> int:
    """Bytes that one example more takes in training, in float32 and where training is the larger part."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nas.memory, "EVALUATED", 0)
        few, more = (training_memory(architecture, batch, bf16=False) for batch in (8, 9))
    return more - few


def test_images_and_scores_count_beside_what_is_kept() -> None:
    """Scores, their logarithmic softmax and its gradient; the image itself, and as it is augmented."""
    assert per_example(bare(classes=1010)) - per_example(bare(classes=10)) == 3 * 4 * 1000
    large = bare(side=64, patch=64)
    values = 64 * 64 * 3
    one, kept = (kept_memory(large, batch, bf16=False) for batch in (1, 2))
    assert per_example(large) - (kept - one) - 3 * 4 * 10 >= (2 + 1) * 4 * values  # once more beside the first layer
    assert 0.95 < peak_ratio(large, 64, "cpu") < 1.2


def test_the_largest_layer_counts_wherever_it_stands() -> None:
    wide, narrow = (Residual((Norm(), Linear(width), Activation(), Linear(8))) for width in (512, 16))
    first, last = bare(wide, narrow, narrow), bare(narrow, narrow, wide)
    assert per_example(first) == per_example(last) > per_example(bare(narrow, narrow, narrow))


@BOTH
@pytest.mark.parametrize("kind", [Sum, Reweight, Concat])
def test_what_joins_branches_hands_on_numbers_of_its_own_width(kind: type, bf16: bool) -> None:
    """A sum is float32 under autocast, what is put together stays as it came: an activation after it keeps that."""
    joined = kind(((Linear(4),), (Linear(4),)))
    assert ratio(network((joined, Activation(), joined, Activation("silu")), IMAGE), bf16) == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("weights", ["circulant", "toeplitz"])
def test_what_ties_weights_lies_beside_the_parameters(weights: str) -> None:
    """An index (int64) into the few numbers, and the matrix that is made of them: much, of a long axis."""
    tied = Mix(Mixer.parse("t=m256 c=s3"), weights=weights)
    architecture = Architecture((("t", 256), ("c", 3)), (Stage((), ((tied,),)),), 2)
    buffers = sum(each.numel() * each.element_size() for each in build(architecture).buffers())
    assert buffers == 8 * 256 * 256
    needed = training_memory(architecture, 1, bf16=False) - CONTEXT - 16 * architecture.params
    assert buffers + 4 * 256 * 256 < needed < 1.2 * (buffers + 4 * 256 * 256)


def test_references_are_among_the_hungriest() -> None:
    """Where the budget keeps all candidates smaller than they are."""
    space = SPACES["local"].on({"h": 8, "w": 8}, channels=3, classes=10, width=(8, 64), depth=(1, 4))
    small_ones = Budget(max_params=space.bounds()[0] + 100)
    references = [training_memory(each, 32) for each in space.references(space.middle).values()]
    found = largest(space, small_ones, batch=32)
    assert found == max(references) > training_memory(space.sample(Random(0), small_ones), 32)


def test_the_hungriest_of_a_search() -> None:
    space = small("roles", "image")
    budget = Budget(max_params=20_000)
    found = largest(space, budget, batch=32, seed=3)
    assert found == largest(space, budget, batch=32, seed=3)
    rng = Random(3)
    assert found >= max(training_memory(space.sample(rng, budget), 32) for _ in range(8))
    assert found >= max(training_memory(each, 32) for each in space.references(space.middle).values())
    assert largest(space, budget, batch=64, seed=3) > found
    with pytest.raises(SpaceError, match="no architecture"):
        largest(space, Budget(max_params=10), batch=32)


def test_the_hungriest_is_found_whatever_is_drawn_most() -> None:
    """Weights that all but hide the forms with most branches leave room for them all the same."""
    space = Space(
        "lean", "", (), forms=("conv", "reweight"), weights={"conv": 2**16}, patch=(1,), depth=(4,), width=(16,)
    )
    lean, plain = (each.on(SHAPES["image"], channels=3, classes=10) for each in (space, space.drawn("networks")))
    rng = Random(0)
    hidden = max(training_memory(lean.sample(rng), 32) for _ in range(20)) - CONTEXT
    found, expected = (largest(each, None, batch=32) - CONTEXT for each in (lean, plain))
    assert found >= 0.95 * expected > 1.1 * hidden


def peak_ratio(architecture: Architecture, batch: int, device: str) -> float:
    bf16 = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return (training_memory(architecture, batch, bf16=bf16) - CONTEXT) / peak(architecture, batch, device)


@pytest.mark.parametrize("name", ["subgrid", "per_channel", "macro"])
def test_peaks_on_a_cpu(name: str) -> None:
    """The whole of training and evaluation, every tensor of them, in float32: never less than it takes."""
    assert 1 < peak_ratio(small(name, "image").sample(Random(0)), 16, "cpu") < 1.25


def test_weights_are_in_it_trained_or_not() -> None:
    """One example, so that little else is: a wide MLP-Mixer, and FNet, whose Fourier transforms are no parameters."""
    mixer = ZOO["mixer"].at(Inputs(SHAPES["image"], 3, 10), patch=4, width=256, depth=2)
    assert 0.9 < peak_ratio(mixer, 1, "cpu") < 1.1
    fnet = ZOO["fnet"].at(Inputs({"t": 512}, 3, 10), patch=1, width=8, depth=1)
    assert fnet.params < 2000 and 0.9 < peak_ratio(fnet, 1, "cpu") < 1.1


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["subgrid", "per_channel", "macro"])
def test_peaks_on_a_gpu(name: str) -> None:
    """Bounds as wide as nothing that was measured on one allows."""
    architecture = SPACES[name].on({"h": 32, "w": 32}, channels=3, classes=10).sample(Random(0))
    peak(architecture, 256)  # loads what stays: libraries and their workspaces
    assert 0.8 < peak_ratio(architecture, 256, "cuda") < 2


# ------------------------------------------------------------------------------------------ the share of a GPU


@pytest.mark.parametrize(
    ("needed", "gpu", "options", "share"),
    [
        (1 * GIB, 80 * GIB, {}, 1 / 8),
        (1 * GIB, 80 * GIB, {"most": 32}, 1 / 32),
        (1 * GIB, 80 * GIB, {"most": 100}, 1 / 64),
        (1 * GIB, 80 * GIB, {"most": 1}, 1.0),
        (3 * GIB, 16 * GIB, {}, 1 / 4),
        (4 * GIB, 16 * GIB, {}, 1 / 3),
        (4 * GIB, 16 * GIB, {"margin": 1}, 1 / 4),
        (4 * GIB, 16 * GIB, {"margin": 2.1}, 1.0),
        (8 * GIB, 20 * GIB, {}, 1 / 2),
        (8 * GIB + 1, 20 * GIB, {}, 1.0),
        (15 * GIB, 16 * GIB, {}, 1.0),
        (160 * GIB, 16 * GIB, {}, 1.0),
    ],
)
def test_the_share_of_a_gpu(needed: int, gpu: int, options: dict[str, Any], share: float) -> None:
    assert gpu_fraction(needed, gpu, **options) == pytest.approx(share)


def test_as_many_as_share_a_gpu_fit() -> None:
    rng = Random(0)
    for _ in range(200):
        needed, gpu = rng.randrange(1, 40 * GIB), rng.randrange(4 * GIB, 80 * GIB)
        share = gpu_fraction(needed, gpu, most=16)
        assert share == 1 or (
            needed * 1.25 <= gpu * share * (1 + 1e-9) and 1 / share == pytest.approx(round(1 / share))
        )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gpu_fraction(0, GIB), "the memory needed is 0; expected at least 1"),
        (lambda: gpu_fraction(GIB, 0), "the memory of a GPU is 0; expected at least 1"),
        (lambda: gpu_fraction(GIB, GIB, margin=0.9), "the margin is 0.9; expected at least 1"),
        (lambda: gpu_fraction(GIB, GIB, margin=float("nan")), "the margin is nan; expected at least 1"),
        (lambda: gpu_fraction(GIB, GIB, most=0), "the most trainings on a GPU is 0; expected at least 1"),
        (lambda: training_memory(network(()), 0), "the batch is 0; expected at least 1"),
        (lambda: kept_memory(network(()), -1), "the batch is -1; expected at least 1"),
        (lambda: largest(small("local", "line"), None, batch=0), "the batch is 0; expected at least 1"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises(NasError) as error:
        call()
    assert str(error.value) == message


def test_a_driver_predicts_without_torch() -> None:
    assert loaded_by("import nas.memory") == set()


def test_examples() -> None:
    found = doctest.testmod(nas.memory)
    assert found.attempted and not found.failed
