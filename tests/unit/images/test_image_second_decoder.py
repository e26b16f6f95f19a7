"""What is sent, seen by a decoder that this package does not use: OpenCV, which turns images by itself."""

import numpy as np
import pytest
from make_trap_images import traps

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.prepare import Prepared, prepare
from batchsearch.images.rules import rules_for

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

cv2 = pytest.importorskip("cv2")


LATER_CV2 = int(cv2.__version__.partition(".")[0]) >= 5
TRAPS = [trap for trap in traps() if trap.pixels is not None]
TURNED = [
    trap
    for trap in TRAPS
    if trap.word.startswith("orientation:")
    and trap.name.split()[0] in {"jpeg", "png", "tiff", *(("webp",) if LATER_CV2 else ())}
]


def seen(data):
    """The upright image in OpenCV's eyes, height x width x 3, red first."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image[:, :, ::-1].astype(int)


def sent_for(trap):
    result = prepare(trap.data, rules_for("generic", ImageSettings(**trap.settings)))
    assert isinstance(result, Prepared), result
    return result.data


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_what_is_sent_looks_right_to_another_decoder(trap):
    """Orientation, colours, frame and transparency are as they must be, whoever decodes what is sent."""
    image = seen(sent_for(trap))
    assert image.shape == trap.pixels.shape
    assert np.abs(image - trap.pixels).mean() <= trap.tolerance


@pytest.mark.parametrize("trap", TURNED, ids=lambda trap: trap.name)
def test_another_decoder_turns_the_original_as_we_did(trap):
    """The file as it came, turned by OpenCV's own reading of its metadata, is the image that is sent."""
    before, after = seen(trap.data), seen(sent_for(trap))
    assert before.shape == after.shape
    assert np.abs(before - after).mean() <= trap.tolerance
