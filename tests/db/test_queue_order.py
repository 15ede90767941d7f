from app.db.queue import CANDIDATES, _in_order


def test_candidates_when_they_are_few_then_tried_in_the_order_of_the_queue() -> None:
    few = list(range(CANDIDATES - 1))
    assert list(_in_order(few)) == few
    assert not _in_order([])


def test_candidates_when_there_is_a_backlog_then_workers_do_not_all_begin_with_the_same() -> None:
    backlog = list(range(CANDIDATES))
    orders = [_in_order(backlog) for _ in range(20)]
    assert all(sorted(order) == backlog for order in orders)
    assert len({order[0] for order in orders}) > 1
