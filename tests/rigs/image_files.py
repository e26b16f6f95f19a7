"""Images as the files, and the texts, that tests send."""

import base64
import io


def saved(image, kind="PNG", **options):
    """An image as a file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def in_base64(image, kind="PNG", **options):
    """The same as a request carries it."""
    return base64.b64encode(saved(image, kind, **options)).decode()
