"""Where credentials are found, how often they are asked for, and what is said when there are none."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

from batchsearch.errors import ConfigError
from batchsearch.service.credential_roles import RoleSource, role_sources
from batchsearch.service.credentials import (
    REREAD_SECONDS,
    Absent,
    CliProfileSource,
    CredentialChain,
    Credentials,
    CredentialsFileSource,
    EnvironmentSource,
    StaticCredentials,
    default_chain,
)

_NO_NETWORK = {"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}
_KEY = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "the-secret"}


class _Role:
    """A place for roles that records what it is asked."""

    place = "role"
    temporary = True

    def __init__(self, found=None):
        self.found = found or Absent("no role")
        self.asked = []

    def fetch(self, *, renewed=False):
        self.asked.append(renewed)
        return self.found


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _cli(home, *profiles, current="default"):
    _write(home / ".aliyun" / "config.json", json.dumps({"current": current, "profiles": profiles}))


def test_the_environment_is_read_when_asked():
    """Variables set after the source was made are seen, with the token when there is one."""
    environ = {}
    source = EnvironmentSource(environ)
    assert isinstance(source.fetch(), Absent)
    environ.update(_KEY)
    assert source.fetch() == Credentials("id", "the-secret", None, "environment")
    environ["ALIBABA_CLOUD_SECURITY_TOKEN"] = "token"
    assert source.fetch().security_token == "token"


def test_the_environment_names_what_is_unset():
    """Half a key is no key, and the missing half is named."""
    source = EnvironmentSource({"ALIBABA_CLOUD_ACCESS_KEY_ID": "id"})
    assert source.fetch() == Absent("ALIBABA_CLOUD_ACCESS_KEY_SECRET is not set")


@pytest.mark.parametrize(
    ("profile", "token"),
    [
        ({"mode": "AK", "access_key_id": "id", "access_key_secret": "s"}, None),
        ({"mode": "StsToken", "access_key_id": "id", "access_key_secret": "s", "sts_token": "t"}, "t"),
    ],
)
def test_the_cli_profile(tmp_path, profile, token):
    """The current profile's plain key is read without any library."""
    _cli(tmp_path, {"name": "other", "mode": "AK"}, {"name": "default", **profile})
    found = CliProfileSource({}, tmp_path, _Role()).fetch()
    assert (found.access_key_id, found.access_key_secret, found.security_token) == ("id", "s", token)


def test_the_environment_chooses_the_profile(tmp_path):
    """ALIBABA_CLOUD_PROFILE wins over the current profile, in both files."""
    _cli(
        tmp_path,
        {"name": "default", "mode": "AK", "access_key_id": "a", "access_key_secret": "s"},
        {"name": "work", "mode": "AK", "access_key_id": "b", "access_key_secret": "s"},
    )
    _write(
        tmp_path / ".alibabacloud" / "credentials.ini",
        "[work]\ntype = access_key\naccess_key_id = c # mine\naccess_key_secret = p%s\n",
    )
    environ = {"ALIBABA_CLOUD_PROFILE": "work"}
    assert CliProfileSource(environ, tmp_path, _Role()).fetch().access_key_id == "b"
    found = CredentialsFileSource(environ, tmp_path, _Role()).fetch()
    assert (found.access_key_id, found.access_key_secret) == ("c", "p%s")


def test_roles_in_the_files_are_the_librarys(tmp_path):
    """A mode or type that is a role is handed on, and counts as temporary."""
    given = Credentials("role-id", "s", "t")
    _cli(tmp_path, {"name": "default", "mode": "RamRoleArn"})
    _write(tmp_path / ".alibabacloud" / "credentials.ini", "[default]\ntype = ram_role_arn\n")
    for kind in (CliProfileSource, CredentialsFileSource):
        source = kind({}, tmp_path, _Role(given))
        assert source.fetch(renewed=True) is given
        assert source.temporary


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "no such file"),
        ("{", "not JSON"),
        ("[]", "no profiles"),
        ('{"profiles": []}', "no profile is current"),
        ('{"profiles": [5, {"name": "x"}], "current": "y"}', "no profile 'y'"),
        (
            '{"profiles": [{"name": "y", "mode": "AK", "access_key_secret": "the-secret"}], "current": "y"}',
            "lacks access_key_id",
        ),
        (
            '{"profiles": [{"name": "y", "mode": "AK", "access_key_id": 5}], "current": "y"}',
            "lacks access_key_id",
        ),
    ],
)
def test_a_cli_profile_that_is_not_usable(tmp_path, text, reason):
    """Whatever is in the file, the reason says what is wrong and quotes no secret."""
    if text is not None:
        _write(tmp_path / ".aliyun" / "config.json", text)
    found = CliProfileSource({}, tmp_path, _Role()).fetch()
    assert reason in found.reason
    assert "the-secret" not in found.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no section", "not in INI form"),
        ("[other]\ntype=access_key\n", "no section [default]"),
        ("[default]\ntype=access_key\naccess_key_id=a\n", "lacks access_key_id or access_key_secret"),
    ],
)
def test_a_credentials_file_that_is_not_usable(tmp_path, text, reason):
    """Whatever is in the file, the reason says what is wrong."""
    path = tmp_path / "elsewhere.ini"
    _write(path, text)
    source = CredentialsFileSource({"ALIBABA_CLOUD_CREDENTIALS_FILE": str(path)}, tmp_path, _Role())
    assert reason in source.fetch().reason


async def test_no_credentials_names_every_place(tmp_path):
    """The error lists each place that was looked in, in order, and why it had none."""
    _cli(tmp_path, {"name": "default", "mode": "AK", "access_key_secret": "the-secret"})
    with pytest.raises(ConfigError) as caught:
        await default_chain(_NO_NETWORK, tmp_path).get()
    lines = str(caught.value).splitlines()
    assert lines[0] == "no credentials were found; looked in:"
    places = [
        "environment",
        "OIDC role",
        "CLI profile",
        "credentials file",
        "ECS instance role",
        "credentials URI",
    ]
    assert [line.strip().startswith(place) for line, place in zip(lines[1:], places, strict=True)] == [
        True
    ] * 6
    assert "the-secret" not in str(caught.value)


async def test_the_environment_comes_first(tmp_path):
    """A key in the environment wins over the profile."""
    _cli(tmp_path, {"name": "default", "mode": "AK", "access_key_id": "file", "access_key_secret": "s"})
    assert (await default_chain({**_KEY, **_NO_NETWORK}, tmp_path).get()).source == "environment"
    assert (await default_chain(_NO_NETWORK, tmp_path).get()).access_key_id == "file"


class _Counting:
    """A place that counts its fetches and holds each until it is let go."""

    place = "counting"

    def __init__(self, *, temporary=True, held=False):
        self.temporary = temporary
        self.fetches = []
        self.failing = False
        self.gate = threading.Event()
        if not held:
            self.gate.set()

    def fetch(self, *, renewed):
        self.gate.wait(10)
        self.fetches.append(renewed)
        if self.failing:
            return Absent("gone")
        return Credentials(f"id{len(self.fetches)}", "s", "t")


async def test_many_callers_share_one_fetch():
    """However many calls ask at once, the place is asked once, and the event loop goes on meanwhile."""
    source = _Counting(held=True)
    chain = CredentialChain([source])
    callers = [asyncio.create_task(chain.get()) for _ in range(20)]
    await asyncio.sleep(0)  # all of them are waiting, and this loop runs
    callers[0].cancel()
    source.gate.set()
    found = await asyncio.gather(*callers[1:])
    assert {credentials.access_key_id for credentials in found} == {"id1"}
    assert source.fetches == [False]


async def test_temporary_credentials_are_renewed_ahead():
    """Old credentials serve on while new ones are fetched; plain keys are never asked for again."""
    now = [0.0]
    source = _Counting()
    chain = CredentialChain([source], clock=lambda: now[0])
    assert (await chain.get()).access_key_id == "id1"
    now[0] = REREAD_SECONDS - 1
    await chain.get()
    assert len(source.fetches) == 1
    now[0] = REREAD_SECONDS
    assert (await chain.get()).access_key_id == "id1"
    await chain._fetching
    assert (await chain.get()).access_key_id == "id2"
    plain = _Counting(temporary=False)
    chain = CredentialChain([plain], clock=lambda: now[0])
    await chain.get()
    now[0] = 1e9
    await chain.get()
    assert len(plain.fetches) == 1


async def test_a_renewal_that_fails_leaves_the_old_ones():
    """A source that is gone for a while does not take credentials away that still work."""
    now = [0.0]
    source = _Counting()
    chain = CredentialChain([source], clock=lambda: now[0])
    await chain.get()
    source.failing = True
    now[0] = REREAD_SECONDS
    await chain.get()
    await asyncio.wait([chain._fetching])
    assert (await chain.get()).access_key_id == "id1"


async def test_refused_credentials_are_fetched_anew_once():
    """However many calls they were refused to, the place is asked once, and until then they serve on."""
    source = _Counting()
    chain = CredentialChain([source])
    old = await chain.get()
    source.gate.clear()
    chain.refuse(old)
    waiting = [asyncio.create_task(chain.refresh()) for _ in range(5)]
    await asyncio.sleep(0)
    assert await chain.get() is old
    source.gate.set()
    assert {(await task).access_key_id for task in waiting} == {"id2"}
    # A late answer to a call that was signed with the old ones says nothing about the new ones.
    chain.refuse(old)
    assert (await chain.refresh()).access_key_id == "id2"
    assert source.fetches == [False, True]


async def test_a_fetch_on_its_way_is_not_taken_for_a_new_one():
    """What was being fetched when the credentials were refused may be what was refused."""
    now = [0.0]
    source = _Counting()
    chain = CredentialChain([source], clock=lambda: now[0])
    old = await chain.get()
    source.gate.clear()
    now[0] = REREAD_SECONDS
    await chain.get()
    chain.refuse(old)
    waiting = asyncio.create_task(chain.refresh())
    await asyncio.sleep(0)
    source.gate.set()
    assert (await waiting).access_key_id == "id3"
    assert source.fetches == [False, False, True]


async def test_credentials_that_nobody_refused_are_not_fetched_anew():
    """Asking for a refresh costs nothing as long as the service takes what is held."""
    source = _Counting()
    chain = CredentialChain([source])
    assert await chain.get() is await chain.refresh()
    assert source.fetches == [False]


async def test_given_credentials_stay():
    """Static credentials are the same before and after a refresh."""
    given = Credentials("id", "s")
    provider = StaticCredentials(given)
    provider.refuse(given)
    assert await provider.get() is await provider.refresh() is given


@pytest.mark.parametrize("bad", ["a b", "a\n", "ä", "a\x00"])
def test_characters_that_no_key_has(bad):
    """A key that was copied wrongly is refused with the part that is wrong, not with its value."""
    with pytest.raises(ConfigError, match="access key secret") as caught:
        Credentials("id", bad)
    assert bad not in str(caught.value)


def test_roles_say_what_is_not_set_up(tmp_path):
    """Each role names the variables that it would need."""
    roles = role_sources(_NO_NETWORK, tmp_path)
    assert roles.oidc.fetch().reason.startswith("ALIBABA_CLOUD_ROLE_ARN, ")
    assert roles.ecs.fetch().reason == "ALIBABA_CLOUD_ECS_METADATA_DISABLED is true"
    assert roles.uri.fetch().reason == "ALIBABA_CLOUD_CREDENTIALS_URI not set"


def test_a_librarys_error_quotes_no_answer():
    """What the library's error quotes of answers and output is cut off: it may hold a secret."""

    class _Library:
        def get_credentials(self):
            raise RuntimeError(
                "error retrieving credentials, http_code: 200, result: {'Secret': 'the-secret'}"
            )

    source = RoleSource("role", lambda _: _Library())
    pytest.importorskip("alibabacloud_credentials")
    assert source.fetch() == Absent("error retrieving credentials, http_code: 200")


def test_the_library_gives_credentials(tmp_path):
    """The vendor's library reads its own file form through us, and its log handlers are taken off."""
    pytest.importorskip("alibabacloud_credentials")
    _write(
        tmp_path / ".alibabacloud" / "credentials.ini",
        "[default]\ntype = access_key\naccess_key_id = i\naccess_key_secret = s\n",
    )
    found = role_sources({}, tmp_path).credentials_file.fetch()
    assert (found.access_key_id, found.source) == ("i", "credentials file")
