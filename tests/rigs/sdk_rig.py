"""The vendor's packages, as tests want them."""

import logging

import pytest


@pytest.fixture(scope="module", autouse=True)
def quiet_sdk():
    """The SDK attaches log handlers of its own when it is imported; they go when the module is done."""
    loggers = [logging.getLogger(name) for name in ("darabonba-core", "credentials")]
    kept = [(logger, list(logger.handlers), logger.level) for logger in loggers]
    for logger in loggers:
        logger.handlers.clear()
        logger.setLevel(logging.CRITICAL)
    yield
    for logger, handlers, level in kept:
        logger.handlers[:] = handlers
        logger.setLevel(level)
