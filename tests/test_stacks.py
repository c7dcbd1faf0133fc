"""Stacks of plain layers: what is read from their text is what Keras builds."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.models import stacks
from graft.models.stacks import IMAGES, VECTORS, Layer

FRACTIONS = st.integers(0, 999).map(lambda n: n / 1000)
LAYERS = {
    "conv": st.tuples(st.integers(1, 4096), st.integers(1, 31)),
    "pool": st.tuples(st.integers(1, 64)),
    "dense": st.tuples(st.integers(1, 65536)),
    "norm": st.just(()),
    "dropout": st.tuples(FRACTIONS),
}


@st.composite
def listed(draw: st.DrawFn, kinds: tuple[str, ...], most: int = 8) -> list[tuple[str, tuple]]:
    """Some layers, each its kind and all of its numbers."""
    chosen = draw(st.lists(st.sampled_from(kinds), max_size=most))
    return [(kind, draw(LAYERS[kind])) for kind in chosen]


def written(layers: list[tuple[str, tuple]]) -> list[str]:
    return [" ".join([kind, *map(str, numbers)]) for kind, numbers in layers]


@given(st.one_of(listed(IMAGES), listed(VECTORS)))
def test_what_is_written_is_read(layers: list[tuple[str, tuple]]) -> None:
    kinds = VECTORS if any(kind == "dense" for kind, _ in layers) else (*IMAGES, "dense")
    found = stacks.read(written(layers), kinds)
    assert [(layer.kind, layer.numbers) for layer in found] == layers
    names = [layer.name for layer in found]
    assert len(set(names)) == len(names)
    for kind in LAYERS:
        own = [layer.name for layer in found if layer.kind == kind]
        assert own == [f"{kind}_{number}" for number in range(1, len(own) + 1)]


def test_numbers_that_are_left_out_are_the_usual_ones() -> None:
    assert stacks.read(["conv 32", "pool", " conv  8 5 ", "pool 3"], IMAGES) == (
        Layer("conv", (32, 3), "conv_1"),
        Layer("pool", (2,), "pool_1"),
        Layer("conv", (8, 5), "conv_2"),
        Layer("pool", (3,), "pool_2"),
    )


LIKE = st.from_regex(r"(conv|pool|dense|norm|dropout)( [0-9.+e-]{1,4}){0,3}")


@given(st.text(max_size=12) | LIKE)
def test_any_text_is_a_layer_or_refused(text: str) -> None:
    try:
        (layer,) = stacks.read([text], IMAGES)
    except ValueError:
        return
    assert stacks.read([" ".join([layer.kind, *map(str, layer.numbers)])], IMAGES) == (layer,)
    assert text.split()[0] in IMAGES and len(text.split()) <= 1 + len(layer.numbers)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "conv", "conv 0", "conv 4097", "conv 8 0", "conv 8 32", "conv 8 3 1"),
        *("conv 8.5", "conv -8", "conv ٣", "conv 1e3", "pool 0", "pool 65", "pool 2 2", "norm 1"),
        *("dropout", "dropout 1", "dropout 1.0", "dropout -0.1", "dropout nan", "dropout .5"),
        *("dropout 0.5 1", "Conv 8", "convolution 8", "conv8", "dense 8"),
    ],
)
def test_what_is_no_layer_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        stacks.read([text], IMAGES)


@pytest.mark.parametrize("kinds", [IMAGES, VECTORS])
def test_what_may_be_listed_is_described(kinds: tuple[str, ...]) -> None:
    told = stacks.describe(kinds)
    assert all(stacks.FORMS[kind] in told for kind in kinds)
    assert sum(form in told for form in stacks.FORMS.values()) == len(kinds)


class TestKeras:
    """What follows from the text alone is what the built network has."""

    @staticmethod
    def build(texts: list[str], side: int) -> Any:
        from graft.network import architectures

        return architectures.network("stack", side, stacks.read(texts, IMAGES), "he_normal")

    @settings(max_examples=25)
    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("conv"), st.tuples(st.integers(1, 9), st.integers(1, 4))),
                st.tuples(st.just("pool"), st.tuples(st.integers(1, 3))),
                st.tuples(st.just("norm"), st.just(())),
                st.tuples(st.just("dropout"), st.tuples(FRACTIONS)),
            ),
            min_size=1,
            max_size=6,
        )
    )
    def test_layers_parameters_and_sides(self, layers: list[tuple[str, tuple]]) -> None:
        texts = written(layers)
        stack = stacks.read(texts, IMAGES)
        least = stacks.side(stack)
        body = self.build(texts, least)
        assert tuple(layer.name for layer in body.layers) == stacks.names(stack)
        assert body.count_params() == stacks.parameters(stack)
        assert all(length >= 1 for length in body.output.shape[1:])
        for layer, (kind, numbers) in zip(body.layers[1:], layers, strict=True):
            config = layer.get_config()
            match kind:
                case "conv":
                    assert (config["filters"], config["kernel_size"][0]) == numbers
                    assert (config["padding"], config["activation"]) == ("same", "relu")
                    assert config["kernel_initializer"]["class_name"] == "HeNormal"
                case "pool":
                    assert config["pool_size"] == (numbers[0], numbers[0])
                case "dropout":
                    assert config["rate"] == numbers[0]
                case _:
                    assert config["momentum"] == 0.9

    def test_a_smaller_side_leaves_nothing(self) -> None:
        texts = ["conv 4", "pool 3", "norm", "pool"]
        least = stacks.side(stacks.read(texts, IMAGES))
        assert least == 6
        assert self.build(texts, least).output.shape == (None, 1, 1, 4)
        with pytest.raises(ValueError):
            self.build(texts, least - 1)

    def test_a_stack_of_vectors(self) -> None:
        from graft.models import layers
        from graft.models.framework import keras

        stack = stacks.read(["dense 64", "norm", "dropout 0.5", "dense 3"], VECTORS)
        inputs = keras.Input((10,))
        model = keras.Model(inputs, layers.apply(stack, inputs))
        assert model.output.shape == (None, 3)
        assert model.count_params() == stacks.parameters(stack, 10) == 64 * 11 + 4 * 64 + 3 * 65
        assert [layer.name for layer in model.layers[1:]] == [layer.name for layer in stack]
