"""What runs in processes of its own, with the standard library only: it holds nothing of the server.

`zygote` is started once and forks a `supervisor` per attempt; the supervisor forks the process of the user's `code` and
ends everything that it leaves. Loaded as the package `flexiroaster_stage` (see `start`), never from `flexiroaster`,
whose imports alone would take longer than most stages.
"""

MARKER = "FLEXIROASTER_STAGE_PROCESS"
"""In the environment of all processes of a stage, to find those that outlived everything that watched them."""
MARKER_BYTES = 49
