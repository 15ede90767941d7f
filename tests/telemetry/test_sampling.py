"""Which traces are kept."""

from app.telemetry.sampling import WISHES_PER_SECOND, Sampler, is_kept, traceparent_of

IDS = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"
WISHED, UNWISHED = f"00-{IDS}-01", f"00-{IDS}-00"


def test_share_when_traces_begin_here_then_that_many_are_kept_and_the_rest_have_numbers_of_their_own() -> (
    None
):
    sampler = Sampler(0.1)
    begun = [sampler.begin() for _ in range(4000)]
    dropped = [each for each in begun if each]

    assert 280 < begun.count("") < 520
    assert len(set(dropped)) == len(dropped)
    assert all(len(each) == 55 and not is_kept(each) for each in dropped)
    assert not any(Sampler(1.0).begin() for _ in range(100))
    assert all(Sampler(0.0).begin() for _ in range(100))


def test_flag_when_a_client_has_dropped_or_kept_its_trace_then_so_do_we() -> None:
    assert Sampler(1.0).begin(UNWISHED) == UNWISHED
    assert not Sampler(0.0).begin(WISHED)
    assert is_kept(WISHED)


def test_flag_when_clients_want_everything_kept_then_few_are_and_their_numbers_decide_nothing() -> None:
    now = 0.0
    sampler = Sampler(0.0, clock=lambda: now)

    assert [sampler.begin(WISHED) for _ in range(1000)].count("") == WISHES_PER_SECOND
    assert sampler.begin(WISHED) == UNWISHED
    now = 60.0
    assert [sampler.begin(WISHED) for _ in range(1000)].count("") == WISHES_PER_SECOND


def test_traceparent_when_it_is_none_then_the_share_decides() -> None:
    wrong = ["", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", f"00-{IDS}", f"ff-{IDS}-01", "x" * 10_000]

    assert all(Sampler(0.0).begin(each) for each in wrong)
    assert not any(Sampler(1.0).begin(each) for each in wrong)
    twice = [(b"traceparent", WISHED.encode())] * 2
    assert (traceparent_of(twice), traceparent_of(twice[:1])) == ("", WISHED)
