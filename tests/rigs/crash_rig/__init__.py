"""The rig of the crash tests: a world to run in, processes to kill, disks that lose what was not synced.

`fork_server` starts real runs fast, `world` has the emulator and the jobs, `checks` compares what came out,
`campaign` is kill after kill; `disk_log` records what a run does to its disk, `disk_model` says what is left
of it after a power loss, `mounts` makes small real file systems.
"""
