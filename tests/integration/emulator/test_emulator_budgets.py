"""An instance's separate budgets and ways of counting, as its callers meet them."""

import math

import pytest
from image_files import in_base64
from PIL import Image

from batchsearch.emulator.flow import BUDGETS, COUNTINGS
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.server import Emulator

CONTENT = in_base64(Image.new("RGB", (128, 128), "plum"))

NAME = {"ProductId": "p", "PicName": "n"}
DRAWS_ON = {
    "SearchImageByPic": ("query", {"PicContent": CONTENT}),
    "SearchImageByName": ("query", NAME),
    "CompareSimilarByImage": ("query", {"PrimaryPicContent": CONTENT, "SecondaryPicContent": CONTENT}),
    "CheckImageExists": ("query", NAME),
    "SearchImageByText": ("query", {"Text": "red"}),
    "SearchImageByFilter": ("query", {"Filter": "int_attr=1"}),
    "AddImage": ("add", {**NAME, "PicContent": CONTENT}),
    "UpdateImage": ("update", NAME),
    "Detail": ("other", {}),
    "IncreaseInstance": ("other", {"BucketName": "b", "Path": "/a"}),
    "IncreaseList": ("other", {}),
    "DumpMeta": ("other", {}),
    "DumpMetaList": ("other", {}),
    "DeleteImage": ("delete", NAME),
}
LIFTED = dict.fromkeys(BUDGETS, math.inf)


@pytest.fixture(scope="module")
def emulator():
    """One instance for each budget that is all but closed, and one for each way of counting."""
    closed = (
        InstanceOptions(f"no-{budget}", rates={**LIFTED, budget: 1e-6}, counting="fixed_window")
        for budget in BUDGETS
    )
    counted = (
        InstanceOptions(way.replace("_", "-"), qps=3, counting=way, rates={"add": math.inf})
        for way in COUNTINGS
    )
    with Emulator(EmulatorOptions(instances=(*closed, *counted))) as running:
        yield running


@pytest.mark.parametrize("budget", BUDGETS)
def test_an_exhausted_budget_denies_its_operations_and_no_others(emulator, budget):
    """Queries, adding, deleting, updating and the rest are counted apart, each operation on its own."""
    caller = emulator.caller()

    def call(operation):
        _, parameters = DRAWS_ON[operation]
        answer = caller.call(operation, {"InstanceName": f"no-{budget}", **parameters}).json()
        return answer.get("Code", 0)

    spender = next(name for name, (drawn, _) in DRAWS_ON.items() if drawn == budget)
    assert call(spender) != "DeniedRequest"
    denied = {operation for operation in DRAWS_ON if call(operation) == "DeniedRequest"}
    assert denied == {operation for operation, (drawn, _) in DRAWS_ON.items() if drawn == budget}


@pytest.mark.parametrize("way", COUNTINGS)
def test_a_burst_meets_the_instances_own_way_of_counting(emulator, way):
    """Of a burst of ten as many are granted as that way of counting three a second allows."""
    caller = emulator.caller()
    instance = way.replace("_", "-")
    for _ in range(10):
        caller.call("SearchImageByName", {"InstanceName": instance, **NAME})
    entries = [entry for entry in emulator.log.entries() if entry.instance == instance]
    moments = [entry.judged for entry in entries]
    granted = sum(entry.verdict == "granted" for entry in entries)
    seconds = moments[-1] - moments[0]
    at_once = 1 if way == "token_bucket_one" else 3
    # Each further one needs its part of a second, and a fixed window may end within the burst.
    assert at_once <= granted <= at_once + math.ceil(3 * seconds) + (3 if way == "fixed_window" else 0)
    assert granted < 10
