"""The board for several hosts: one small script on a Redis server, by the server's clock.

Two commands a call and no polling. The hosts' clocks play no part: the server says how long to wait, and each
process measures that with its own monotonic clock. What is kept expires an hour after the last call.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import MissingExtraError
from batchsearch.pacing.shared import Kind, Note, Reserved, SlotBoardError, Taken, Visit

if TYPE_CHECKING:
    from collections.abc import Sequence

_SLIP: Final = 0.002
"""Lateness that the schedule makes up for; by what is more, all later places move."""

_KEPT: Final = 2000
"""Notes kept: what a newcomer learns from."""

_EXPIRES: Final = 3600
_ANSWER: Final = 5.0
"""Seconds that the server may take to connect or answer."""

# KEYS: line (due, hold, seq), left (latest departures, newest first: "at source slot"), notes (oldest first:
# "seq source kind slot at"). Numbers travel as text with six digits after the point, since Lua would
# print seconds since 1970 with too few. Notes are as `Kind` numbers them.
_SCRIPT: Final = """
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000
local function text(x) return string.format('%.6f', x) end
local line = redis.call('HMGET', KEYS[1], 'due', 'hold', 'seq')
local due, hold, seq = tonumber(line[1] or '0'), tonumber(line[2] or '0'), tonumber(line[3] or '0')
local function keep(...)
  redis.call('HSET', KEYS[1], ...)
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[3]) end
end
local asked = tonumber(ARGV[2])
if asked > 0 and now + asked > hold then hold = now + asked end
if ARGV[1] == 'reserve' then
  due = math.max(now, due + tonumber(ARGV[4]), hold)
  keep('due', text(due), 'hold', text(hold))
  return {text(due), text(due - now)}
end
local mine, calls, source, seen = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local slack, slip, kept = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local function note(kind, slot, at)
  seq = seq + 1
  redis.call('RPUSH', KEYS[3], table.concat({string.format('%d', seq), source, kind, slot, at}, ' '))
end
for i = 11, #ARGV, 3 do
  if ARGV[i] == '3' then
    for place, left in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
      local at, who, slot = string.match(left, '(%S+) (%S+) (%S+)')
      if who == source and slot == ARGV[i + 1] and tonumber(ARGV[i + 2]) > tonumber(at) then
        redis.call('LSET', KEYS[2], place - 1, ARGV[i + 2] .. ' ' .. source .. ' ' .. slot)
      end
    end
  else
    note(ARGV[i], ARGV[i + 1], ARGV[i + 2])
  end
end
if ARGV[1] == 'tell' then
  keep('seq', string.format('%d', seq))
  return {}
end
local wait = hold - now
local full = redis.call('LINDEX', KEYS[2], calls - 1)
if full then wait = math.max(wait, tonumber(string.match(full, '%S+')) + 1 + slack - now) end
if wait <= 0 then
  wait = 0
  redis.call('LPUSH', KEYS[2], text(now) .. ' ' .. source .. ' ' .. text(now))
  redis.call('LTRIM', KEYS[2], 0, 2 * calls)
  note('0', text(now), text(now))
  if now - mine > slip then due = due + now - mine - slip end
end
redis.call('LTRIM', KEYS[3], -kept, -1)
keep('due', text(due), 'hold', text(hold), 'seq', string.format('%d', seq))
local answer = {text(wait), text(now), string.format('%d', seq)}
if seq > seen then
  for _, entry in ipairs(redis.call('LRANGE', KEYS[3], seen - seq, -1)) do
    if string.match(entry, '%S+ (%S+)') ~= source then table.insert(answer, entry) end
  end
end
return answer
"""


class RedisBoard:
    """Lines up the processes of several hosts.

    Args:
        url: The server, as `redis://host:port/0` or `rediss://…`. Never logged: it may hold a password.
        what: Names of what is shared, such as endpoint, instance and budget.

    Raises:
        MissingExtraError: The extra `redis` is not installed.
        SlotBoardError: The address is none of a Redis server.
    """

    slack = 0.005

    def __init__(self, url: str, *what: str) -> None:
        try:
            client: Any = import_module("redis.asyncio")  # an extra, and slow to import
        except ImportError as error:
            raise MissingExtraError("redis", "sharing a rate between hosts") from error
        self._client = client
        self._url = url
        try:
            client.Redis.from_url(url)
        except ValueError:
            raise SlotBoardError(
                "the address of the Redis server is not one; it looks like redis://host:6379/0"
            ) from None
        # One hash tag, so that a cluster keeps the three keys together.
        name = hashlib.sha256("\0".join(what).encode()).hexdigest()[:16]
        self._keys = tuple(f"batchsearch:{{{name}}}:{part}" for part in ("line", "left", "notes"))
        self._server: Any = None
        self._script: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def close(self) -> None:
        """As `SlotBoard.close`."""
        server, self._server = self._server, None
        if server is not None and self._loop is asyncio.get_running_loop():
            await server.aclose()

    async def reserve(self, interval: float, hold: float) -> Reserved:
        """As `SlotBoard.reserve`."""
        due, wait = await self._visit("reserve", hold, [f"{interval:.6f}"])
        return Reserved(float(due), float(wait))

    async def take(self, visit: Visit) -> Taken:
        """As `SlotBoard.take`."""
        since = time.monotonic()
        wait, at, seen, *news = await self._visit(
            "take",
            visit.hold,
            [
                f"{visit.due:.6f}",
                str(visit.calls),
                visit.source,
                str(visit.seen),
                str(self.slack),
                str(_SLIP),
                str(max(_KEPT, 4 * visit.calls)),
                *_told(visit.notes),
            ],
        )
        return Taken(float(wait), float(at), since, int(seen), tuple(map(_note, news)))

    async def tell(self, source: str, notes: Sequence[Note]) -> None:
        """As `SlotBoard.tell`."""
        await self._visit("tell", 0.0, ["0", "0", source, "0", "0", "0", str(_KEPT), *_told(notes)])

    async def _visit(self, what: str, hold: float, arguments: Sequence[str]) -> list[str]:
        loop = asyncio.get_running_loop()
        if self._server is None or self._loop is not loop:  # its connections belong to one event loop
            self._server = self._client.Redis.from_url(
                self._url, decode_responses=True, socket_timeout=_ANSWER, socket_connect_timeout=_ANSWER
            )
            self._script = self._server.register_script(_SCRIPT)
            self._loop = loop
        try:
            answer: list[str] = await self._script(
                keys=self._keys, args=[what, f"{hold:.6f}", str(_EXPIRES), *arguments]
            )
        except (self._client.RedisError, OSError) as error:
            # Not the error's own text: it may quote the address.
            raise SlotBoardError(
                f"the Redis server that shares the rate cannot be used ({type(error).__name__}): "
                "check that it runs and that this host may use it"
            ) from None
        return answer


def _told(notes: Sequence[Note]) -> list[str]:
    return [text for kind, slot, at in notes for text in (str(int(kind)), f"{slot:.6f}", f"{at:.6f}")]


def _note(entry: str) -> Note:
    _, _, kind, slot, at = entry.split(" ")
    return Note(Kind(int(kind)), float(slot), float(at))
