"""What to do about an arena that is too large, in one line."""

from __future__ import annotations

from ghost_edge.host.tflite.graph import Model, Operation
from ghost_edge.host.tflite_micro.arena import ArenaPlan, Lifetime, shrink_advice


def test_the_advice_names_the_operation_its_tensors_and_a_way_out() -> None:
    lifetimes = (
        Lifetime(0, "image", 3072, 0, 0, 1),
        Lifetime(3, "stem/Relu;stem/Conv2D", 16_384, 3072, 1, 2),
        Lifetime(5, "expand", 32_768, 19_456, 2, 3),
    )
    operations = tuple(Operation(name, (), ()) for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D"))
    graph = Model((), operations, (0,), (5,))
    plan = ArenaPlan(head=52_224, tail=5000, minimum=57_232, lifetimes=lifetimes, peak_step=1)
    assert shrink_advice(plan, graph) == (
        "operation 1, DEPTHWISE_CONV_2D, sets the peak of 49,152 bytes: expand 32,768, stem/Relu 16,384; "
        "take a smaller input, a narrower stage there or an earlier stride"
    )


def test_the_advice_is_other_where_the_tail_is_the_most() -> None:
    plan = ArenaPlan(head=512, tail=17_000, minimum=17_600, lifetimes=(Lifetime(0, "a", 512, 0, 0, 1),), peak_step=0)
    advice = shrink_advice(plan, Model((), (Operation("CONV_2D", (), ()),), (0,), (0,)))
    assert advice.endswith("; the arena tail is 17,000 bytes: take fewer operations")
