"""An S3 server, a web server of images, and a shop for nights of dedup are at hand."""

from object_stores_rig import bucket, line, s3_account, s3_server
from shop_rig.fixtures import image_server, shop

__all__ = ["bucket", "image_server", "line", "s3_account", "s3_server", "shop"]
