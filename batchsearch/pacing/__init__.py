"""How fast calls may leave: one slot at a time, never above what was bought, learning from denials.

`pacer` hands out slots, `adaptive` decides how far apart they are, `in_flight` says how many calls may
wait for their answers at once. `shared` lets several processes keep one rate together, through a file
(`shared_file`) or a Redis server (`shared_redis`).
"""
