"""Stacks of plain layers: Keras builds what their text says."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import read_cases
from graft.models import stacks
from graft.models.stacks import IMAGE_KINDS, VECTOR_KINDS, Layer, count_parameters, read_stack

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


@given(st.one_of(listed(IMAGE_KINDS), listed(VECTOR_KINDS)))
def test_a_stack_is_read_as_it_is_written(layers: list[tuple[str, tuple]]) -> None:
    kinds = VECTOR_KINDS if any(kind == "dense" for kind, _ in layers) else (*IMAGE_KINDS, "dense")
    found = read_stack(written(layers), kinds)
    assert [(layer.kind, layer.numbers) for layer in found] == layers
    for kind in LAYERS:
        own = [layer.name for layer in found if layer.kind == kind]
        assert own == [f"{kind}_{number}" for number in range(1, len(own) + 1)]


def test_numbers_that_are_left_out_are_the_usual_ones() -> None:
    assert read_stack(["conv 32", "pool", " conv  8 5 ", "pool 3"], IMAGE_KINDS) == (
        Layer("conv", (32, 3), "conv_1"),
        Layer("pool", (2,), "pool_1"),
        Layer("conv", (8, 5), "conv_2"),
        Layer("pool", (3,), "pool_2"),
    )


LIKE = st.from_regex(r"(conv|pool|dense|norm|dropout)( [0-9.+e-]{1,4}){0,3}")


@given(st.text(max_size=12) | LIKE)
def test_any_text_is_a_layer_or_refused(text: str) -> None:
    try:
        (layer,) = read_stack([text], IMAGE_KINDS)
    except ValueError:
        return
    assert read_stack([" ".join([layer.kind, *map(str, layer.numbers)])], IMAGE_KINDS) == (layer,)
    assert text.split()[0] in IMAGE_KINDS and len(text.split()) <= 1 + len(layer.numbers)


@pytest.mark.parametrize("text", read_cases(__file__)["refused"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_stack([text], IMAGE_KINDS)


@pytest.mark.parametrize("kinds", [IMAGE_KINDS, VECTOR_KINDS])
def test_the_forms_of_the_allowed_kinds_are_described(kinds: tuple[str, ...]) -> None:
    text = stacks.describe_forms(kinds).partition(": ")[2]
    listed = text.partition(", ACTIVATION one of")[0].split(", ")
    assert [form.split()[0] for form in listed] == list(kinds)


class TestKeras:
    """The network that is built has the names, parameters and side that its text says."""

    @staticmethod
    def build(texts: list[str], side: int) -> Any:
        from graft.backbone.architectures import build_network

        return build_network("stack", side, read_stack(texts, IMAGE_KINDS), "he_normal")

    SMALL = st.one_of(
        st.tuples(st.just("conv"), st.tuples(st.integers(1, 9), st.integers(1, 4))),
        st.tuples(st.just("pool"), st.tuples(st.integers(1, 3))),
        st.tuples(st.just("norm"), st.just(())),
        st.tuples(st.just("dropout"), st.tuples(FRACTIONS)),
    )

    @settings(max_examples=15)
    @given(st.lists(SMALL, min_size=1, max_size=6))
    def test_layers_parameters_and_sides(self, layers: list[tuple[str, tuple]]) -> None:
        stack = read_stack(written(layers), IMAGE_KINDS)
        body = self.build(written(layers), stacks.smallest_side(stack))
        assert tuple(layer.name for layer in body.layers) == stacks.layer_names(stack)
        assert body.count_params() == count_parameters(stack)
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
        assert stacks.smallest_side(read_stack(texts, IMAGE_KINDS)) == 6
        assert self.build(texts, 6).output.shape == (None, 1, 1, 4)
        with pytest.raises(ValueError):
            self.build(texts, 5)

    def test_a_stack_of_vectors(self) -> None:
        from graft.models.framework import keras
        from graft.models.layers import apply_stack

        stack = read_stack(["dense 64", "norm", "dropout 0.5", "dense 3"], VECTOR_KINDS)
        inputs = keras.Input((10,))
        model = keras.Model(inputs, apply_stack(stack, inputs))
        assert model.output.shape == (None, 3)
        assert model.count_params() == count_parameters(stack, 10) == 64 * 11 + 4 * 64 + 3 * 65
        assert [layer.name for layer in model.layers[1:]] == [layer.name for layer in stack]
