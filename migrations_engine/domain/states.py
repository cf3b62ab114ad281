"""The states of a run and of its steps, and every way from one to another. No other way exists."""

from enum import StrEnum


class StepName(StrEnum):
    ANALYZE = "analyze"
    MERGE = "merge"
    MIGRATE = "migrate"
    POST_SCRIPT = "post_script"


STEPS = tuple(StepName)
"""In the order in which they run."""


class StepState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


STEP_TRANSITIONS = frozenset(
    {
        (StepState.WAITING, StepState.RUNNING),  # a worker claims it
        (StepState.RUNNING, StepState.RUNNING),  # another worker takes over an expired lease
        (StepState.RUNNING, StepState.WAITING),  # a person has to decide something before it can go on
        (StepState.RUNNING, StepState.SUCCEEDED),
        (StepState.RUNNING, StepState.FAILED),
        (StepState.RUNNING, StepState.CANCELLED),  # it saw the cancel request
        (StepState.WAITING, StepState.CANCELLED),  # its run was cancelled before it began
        (StepState.FAILED, StepState.CANCELLED),  # its run was given up
        (StepState.FAILED, StepState.WAITING),  # a person retries on the same snapshot
        (StepState.SUCCEEDED, StepState.WAITING),  # a retry whose source ran since: it is copied once more
    }
)


class RunState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DECIDING = "deciding"
    CONFIRMING = "confirming"
    ROLLING_BACK = "rolling_back"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled_back"


RUN_TRANSITIONS = frozenset(
    {
        (RunState.QUEUED, RunState.RUNNING),  # a step is claimed
        (RunState.QUEUED, RunState.CANCELLING),  # asked before a step began; a retried run has made things already
        (RunState.RUNNING, RunState.CANCELLING),  # asked; the running step has not stopped yet
        (RunState.RUNNING, RunState.DECIDING),  # the source does not go off; a person says what becomes of it
        (RunState.DECIDING, RunState.RUNNING),  # it is asked once more, or switched off as it is
        (RunState.DECIDING, RunState.CANCELLING),  # it is left alone: by a person, or not decided in time
        (RunState.RUNNING, RunState.SUCCEEDED),  # the last step succeeded, and that is all its terms ask for
        (RunState.RUNNING, RunState.CONFIRMING),  # the last step succeeded; a person says whether it stays
        (RunState.CONFIRMING, RunState.SUCCEEDED),  # confirmed
        (RunState.CONFIRMING, RunState.ROLLING_BACK),  # asked, or not confirmed in time
        (RunState.SUCCEEDED, RunState.ROLLING_BACK),  # asked before it was finalized
        (RunState.ROLLING_BACK, RunState.ROLLED_BACK),
        (RunState.ROLLING_BACK, RunState.FAILED),  # the target could not be cleaned up: a person must look
        (RunState.RUNNING, RunState.FAILED),  # a step failed, or its workers died too often
        (RunState.CANCELLING, RunState.CANCELLED),  # the step stopped, what it made is removed
        (RunState.CANCELLING, RunState.FAILED),  # the clean-up failed: a person must look
        (RunState.FAILED, RunState.QUEUED),  # retry
        (RunState.FAILED, RunState.CANCELLING),  # a person gives it up: what it made is removed
    }
)

RUN_ENDED = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.ROLLED_BACK})
RUN_ALIVE = frozenset(RunState) - RUN_ENDED
RUN_WAITS = frozenset({RunState.DECIDING, RunState.CONFIRMING})
"""For a person."""
RUN_AT_WORK = RUN_ALIVE - RUN_WAITS
"""A worker has something to do for it; for a run that waits for a person nothing runs."""
