"""The instance kept in step with the manifest."""
