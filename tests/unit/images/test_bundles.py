"""How many images go to workers at once: all are kept busy; bytes and bundles have their bounds."""

import random

import pytest

from batchsearch.images.cluster.bundles import BUNDLES_A_THREAD, MOST_BYTES, MOST_IMAGES, Flow


def test_what_waits_is_spread_over_workers_that_are_free():
    """Nobody waits for a bundle to fill while a worker has nothing to do."""
    flow = Flow(4)
    waiting, bundles = 10, []
    while count := flow.next_bundle(waiting):
        flow.sent(count)
        bundles.append(count)
        waiting -= count
    assert bundles == [2, 2, 1, 1, 1, 1, 1, 1]
    assert waiting == 0


def test_bundles_grow_when_all_are_busy_and_never_past_their_bound():
    """A thousand images for two threads: four bundles of sixteen, and then none until one is back."""
    flow = Flow(2)
    for _ in range(2 * BUNDLES_A_THREAD):
        assert flow.next_bundle(1000) == MOST_IMAGES
        flow.sent(MOST_IMAGES)
    assert flow.next_bundle(1000) == 0
    flow.back(MOST_IMAGES, 1000, MOST_IMAGES)
    assert flow.next_bundle(1000) == MOST_IMAGES


def learned(flow, weight):
    """The flow after images of this weight came back."""
    for _ in range(400):
        flow.sent(1)
        flow.back(1, weight, 1)
    return flow


@pytest.mark.parametrize("weight", [1_000, 150_000, 500_000, 4_000_000])
def test_heavy_images_stay_within_the_bytes_and_every_worker_has_some(weight):
    """Of heavy images fewer go at a time, shared out over all threads as far as they go."""
    flow = learned(Flow(100), weight)
    while count := flow.next_bundle(100_000):
        flow.sent(count)
    assert flow.images * weight <= MOST_BYTES * 1.01
    assert flow.images <= flow.size
    assert flow.bundles >= min(100, MOST_BYTES // weight)


def test_one_image_may_always_go():
    """An image that weighs more than may be under way is made alone, and nothing stands still."""
    flow = learned(Flow(3), MOST_BYTES * 2)
    assert flow.next_bundle(5) == 1
    flow.sent(1)
    assert flow.next_bundle(4) == 0
    flow.back(1, 10, 1)
    assert flow.next_bundle(4) == 1


def test_workers_that_come_and_go_change_how_much_goes():
    """More threads take more bundles; with none left one bundle is tried."""
    flow = Flow(1)
    small = flow.size
    flow.threads = 8
    assert flow.size == 8 * small
    flow.threads = 0
    assert flow.next_bundle(10) == 10


def test_what_is_out_is_counted_whatever_order_bundles_come_back_in():
    """After everything is back nothing is counted as out."""
    rng = random.Random(5)
    flow, out = Flow(5), []
    for _ in range(2_000):
        count = flow.next_bundle(rng.randrange(200))
        if count and rng.random() < 0.6:
            flow.sent(count)
            out.append(count)
        elif out:
            flow.back(out.pop(rng.randrange(len(out))), rng.randrange(10**7), rng.randrange(3))
        assert (flow.bundles, flow.images) == (len(out), sum(out))
        assert flow.bundles <= 5 * BUNDLES_A_THREAD
    for count in out:
        flow.back(count, 0, 0)
    assert (flow.bundles, flow.images) == (0, 0)
