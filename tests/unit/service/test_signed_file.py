"""Files at addresses that the service gives: which may be asked for, and what is said of the others."""

import pytest

from batchsearch.service.http_exchange import Timeouts
from batchsearch.service.signed_file import FetchError, fetch_signed

SECRET = "Signature=s3cr3t"


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:9/file?{SECRET}",
        f"http://169.254.169.254/latest?{SECRET}",
        f"https://[::1]/file?{SECRET}",
        f"https://100.100.100.200/latest?{SECRET}",
        f"https://user@example.com/file?{SECRET}",
        f"ftp://example.com/file?{SECRET}",
        f"file:///etc/passwd?{SECRET}",
        f"https:///file?{SECRET}",
        f"http://[bad/?{SECRET}",
        "",
    ],
)
async def test_an_address_inside_or_of_another_kind_is_not_asked(url, tmp_path):
    """An answer cannot make this machine read its own network; no error quotes the signature."""
    with pytest.raises(FetchError) as told:
        await fetch_signed(None, url, tmp_path / "file", timeouts=Timeouts())
    assert "s3cr3t" not in str(told.value)
    assert list(tmp_path.iterdir()) == []
