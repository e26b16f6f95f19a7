"""Loading an instance by batch tasks: images into a bucket, their list beside them, task after task."""
