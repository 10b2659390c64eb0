"""Where the scheduler keeps what must outlive it: the index of checkpoints, lease and silences."""

INDEX = "security-control-v1"
ALIAS = "security-control"
