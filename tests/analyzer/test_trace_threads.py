"""Forward passes that use threads, and threads that have nothing to do with them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from cifar_report.analyzer import analyze
from cifar_report.analyzer.errors import ModelError


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, (3, 5), padding=(1, 2))

    def forward(self, x: Tensor) -> Tensor:
        with ThreadPoolExecutor(2) as pool:
            left, right = pool.submit(self.left, x), pool.submit(self.right, x)
            return left.result() + right.result()


class Forked(Pooled):
    def forward(self, x: Tensor) -> Tensor:
        left = torch.jit.fork(self.left, x)
        return self.right(x) + torch.jit.wait(left)


@pytest.mark.parametrize("frozen", [False, True])
def test_layers_on_other_threads_are_an_error_and_never_lost(frozen: bool) -> None:
    with pytest.raises(ModelError, match=r"runs (left|right) on a thread of its own") as caught:
        analyze(Pooled().requires_grad_(not frozen), (3, 8, 9))
    assert "one after the other" in str(caught.value)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_forks_are_followed() -> None:
    totals = analyze(Forked(), (3, 8, 9)).totals
    assert totals.receptive_field.output.size == (3, 5)
    assert totals.macs == 8 * 9 * 4 * 3 * (9 + 15)


def test_other_threads_may_run_networks_of_their_own_meanwhile() -> None:
    other, stop = nn.Conv2d(3, 4, 3), threading.Event()

    def work() -> None:
        while not stop.is_set():
            other(torch.ones(1, 3, 8, 9))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(20):
            assert analyze(nn.Sequential(nn.Conv2d(3, 4, 3)), (3, 8, 9)).totals.macs == 6 * 7 * 4 * 27
    finally:
        stop.set()
        thread.join()
