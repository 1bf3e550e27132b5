"""Work done ahead, in a thread beside the one that trains."""

import threading

import pytest
import torch

from cifar_report.trainer.ahead import DEPTH, made_ahead


@pytest.fixture(autouse=True)
def three_threads():
    """A number of torch's threads that nothing else sets."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_and_all():
    assert list(made_ahead(lambda number: number**2, range(7))) == [0, 1, 4, 9, 16, 25, 36]
    assert list(made_ahead(str, [])) == []


def test_what_is_made_ahead_uses_one_of_torchs_threads_and_the_others_keep_theirs():
    used = []

    def make(number):
        # What divides work among threads looks at their number anew.
        torch.rand(200_000).exp_()
        used.append((torch.get_num_threads(), threading.current_thread() is threading.main_thread()))

    kept = [torch.get_num_threads() for _ in made_ahead(make, range(4))]
    assert used == [(1, False)] * 4
    assert kept == [3] * 4
    started = []
    later = threading.Thread(target=lambda: started.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert started == [3]


def test_while_one_is_used_the_next_are_made_and_no_more():
    begun, ready = [], threading.Semaphore(0)

    def make(number):
        begun.append(number)
        ready.release()
        return number

    results = made_ahead(make, range(10))
    assert next(results) == 0
    for _ in range(1 + DEPTH):
        assert ready.acquire(timeout=30)
    assert begun == list(range(1 + DEPTH))
    results.close()
    assert begun == list(range(1 + DEPTH))


def test_an_error_reaches_the_one_who_waits_and_the_thread_ends():
    def make(number):
        return 1 // (2 - number)

    results = made_ahead(make, range(5))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]
