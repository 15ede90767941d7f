"""The states of an upload, and every step between them: who may take it, and what must hold.

    receiving --> joined            a partial upload, joined with others into a new upload
        |
    verifying <-> ready             waits until its owner publishes it, and is looked at anew after each choice
        |           |
        +-----------+
        v
    received --> checked <--> converted <--> sending --> published --> processing --> active
                                                             |                          ^
                                                             `--------------------------+
    receiving … sending, published, processing --> failed
    receiving … converted, sending --> cancelled
    failed, duplicate --> cancelled --> verifying               an administrator holds the file, and lets it go on
    verifying, ready, received --> duplicate
    failed, duplicate --> verifying, failed --> sending         its owner tries again, or has it looked at anew

`TRANSITIONS` is the only place that lists steps, and `uploads.set_state` takes no other one. A step that it does not
list is a mistake in the program (`IllegalStepError`); for one that the row does not allow now, `set_state` returns
False. Pure: `openml-web upload` knows the states as well, and has no database.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple


class UploadState(StrEnum):
    """State of an upload: in this order, but for the last four, which end it before `active`.

    `ready` waits for its owner; an upload that is to be published at once goes by it. A partial upload is
    only received, and then `joined` with others into a new upload.
    """

    RECEIVING = "receiving"
    VERIFYING = "verifying"
    READY = "ready"
    RECEIVED = "received"
    CHECKED = "checked"
    CONVERTED = "converted"
    SENDING = "sending"
    PUBLISHED = "published"
    PROCESSING = "processing"
    ACTIVE = "active"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DUPLICATE = "duplicate"
    JOINED = "joined"


class Actor(StrEnum):
    """Who takes a step. Those that hold a lease take it only while it is theirs."""

    OWNER = "owner"
    """A request of the user whose upload it is."""
    RECEIVER = "receiver"
    """The request whose bytes count: of several that send some, the latest."""
    PUBLISHER = "publisher"
    """The worker that claimed it from the queue `TO_PUBLISH`."""
    WATCHER = "watcher"
    """The worker that claimed it from the queue `TO_WATCH`, and asks OpenML whether it is active."""
    JANITOR = "janitor"
    """What ends uploads whose time limit has passed: the janitor's loop, or the same form when it is sent again."""
    DELETION = "deletion"
    """The deletion of its owner's account."""
    ADMINISTRATOR = "administrator"
    """A request of an administrator, or an operator's command."""

    @property
    def holds_lease(self) -> bool:
        """Say whether the row names it as `lease_owner`."""
        return self in {Actor.RECEIVER, Actor.PUBLISHER, Actor.WATCHER}


class Condition(StrEnum):
    """What else must hold of the row, in the very statement that takes the step."""

    WHOLE = "it is a whole file"
    PARTIAL = "it is a partial upload"
    REQUESTED = "its owner wants it published"
    UNREQUESTED = "its owner has not said that it is to be published"
    NOT_SENT = "OpenML cannot have it"
    MAYBE_SENT = "OpenML may have it"
    ARRIVED = "OpenML has it"
    UNWANTED = "its owner wants it no more"
    WANTED = "its owner has not cancelled it"
    INTERRUPTED = "its one request is over by its lease"
    EXPIRED = "its owner did not come back in time"
    QUARANTINED = "its file is in quarantine"


class Transition(NamedTuple):
    """A step from one state to another one: who takes it, and what must hold (None: nothing else)."""

    before: UploadState
    after: UploadState
    actor: Actor
    condition: Condition | None = None


class IllegalStepError(Exception):
    """A step that no line of `TRANSITIONS` has: a mistake in the program."""


def _steps(
    before: str, after: UploadState, actors: Collection[Actor], condition: Condition | None = None
) -> list[Transition]:
    """Return the steps from each of the states (separated by blanks) by each of the actors."""
    return [
        Transition(UploadState(state), after, actor, condition)
        for state in before.split()
        for actor in actors
    ]


_S, _A, _C = UploadState, Actor, Condition
TRANSITIONS: tuple[Transition, ...] = (
    # Its bytes: all are there, or will never be.
    *_steps("receiving", _S.VERIFYING, [_A.RECEIVER, _A.OWNER], _C.WHOLE),
    *_steps("receiving", _S.JOINED, [_A.OWNER], _C.PARTIAL),
    *_steps("receiving", _S.FAILED, [_A.RECEIVER, _A.OWNER]),
    *_steps("receiving", _S.FAILED, [_A.JANITOR], _C.INTERRUPTED),
    *_steps("receiving ready", _S.FAILED, [_A.JANITOR], _C.EXPIRED),
    # It is known what they are; nothing goes to OpenML unless its owner wants it.
    *_steps("verifying", _S.READY, [_A.PUBLISHER], _C.UNREQUESTED),
    *_steps("ready", _S.VERIFYING, [_A.OWNER], _C.UNREQUESTED),
    *_steps("verifying", _S.RECEIVED, [_A.PUBLISHER], _C.REQUESTED),
    *_steps("ready", _S.RECEIVED, [_A.OWNER], _C.REQUESTED),
    *_steps("verifying received", _S.DUPLICATE, [_A.PUBLISHER], _C.REQUESTED),
    *_steps("ready", _S.DUPLICATE, [_A.OWNER], _C.REQUESTED),
    # On its way. The ARFF file may have to be made again; what did not arrive may be sent again.
    *_steps("received converted", _S.CHECKED, [_A.PUBLISHER]),
    *_steps("checked", _S.CONVERTED, [_A.PUBLISHER]),
    *_steps("converted", _S.SENDING, [_A.PUBLISHER]),
    *_steps("sending", _S.CONVERTED, [_A.PUBLISHER], _C.WANTED),
    *_steps("sending", _S.PUBLISHED, [_A.PUBLISHER]),
    *_steps("verifying received checked converted sending", _S.FAILED, [_A.PUBLISHER]),
    # OpenML has it.
    *_steps("published", _S.PROCESSING, [_A.WATCHER]),
    *_steps("published processing", _S.ACTIVE, [_A.WATCHER]),
    *_steps("published processing", _S.FAILED, [_A.WATCHER]),
    # Given up by its owner, as long as OpenML has nothing of it.
    *_steps(
        "receiving verifying ready received checked converted",
        _S.CANCELLED,
        [_A.OWNER, _A.DELETION, _A.ADMINISTRATOR],
    ),
    *_steps("sending", _S.CANCELLED, [_A.PUBLISHER], _C.UNWANTED),
    # Tried again. What may have arrived is looked for before it is sent.
    *_steps("failed duplicate", _S.VERIFYING, [_A.OWNER, _A.ADMINISTRATOR], _C.NOT_SENT),
    *_steps("failed", _S.SENDING, [_A.OWNER, _A.ADMINISTRATOR], _C.MAYBE_SENT),
    # Held by an administrator, who looks at the file, and lets it go on.
    *_steps("failed duplicate", _S.CANCELLED, [_A.ADMINISTRATOR], _C.NOT_SENT),
    *_steps("cancelled", _S.VERIFYING, [_A.ADMINISTRATOR], _C.QUARANTINED),
    # Its description was mended at OpenML.
    *_steps("failed", _S.PROCESSING, [_A.OWNER], _C.ARRIVED),
)
"""Every step that there is. `docs/architecture.md` has the same table, and a test compares."""


def steps_to(after: UploadState, actor: Actor) -> tuple[Transition, ...]:
    """Return the steps by which the actor may bring an upload into the state.

    Raises:
        IllegalStepError: there are none.
    """
    found = tuple(step for step in TRANSITIONS if step.after == after and step.actor == actor)
    if not found:
        raise IllegalStepError(f"no step of {actor} ends in {after!s}")
    return found


def _before(after: UploadState, actor: Actor) -> frozenset[UploadState]:
    return frozenset(step.before for step in steps_to(after, actor))


def _moved_by(actor: Actor) -> tuple[UploadState, ...]:
    """Return the states that the actor takes uploads out of, in their order."""
    return tuple(
        state for state in UploadState if any(s.before == state and s.actor == actor for s in TRANSITIONS)
    )


_WHO_ASKS = frozenset({Actor.OWNER, Actor.ADMINISTRATOR})
ENDED = frozenset(
    state for state in UploadState if all(s.actor in _WHO_ASKS for s in TRANSITIONS if s.before == state)
)
"""States that nothing follows, unless somebody asks for it: active, failed, cancelled, duplicate, joined."""
CAN_RETRY = ENDED.intersection(step.before for step in TRANSITIONS if step.actor == Actor.OWNER)
"""States from which an upload goes on if its owner asks for it, as long as its bytes are kept: failed, duplicate."""
GIVEN_UP = frozenset({UploadState.FAILED, UploadState.CANCELLED})
"""States that end an upload without a dataset."""
WITHOUT_PREVIEW = frozenset({UploadState.DUPLICATE, UploadState.CANCELLED})
"""States whose preview was removed with the bytes."""
TO_RECEIVE = _moved_by(Actor.RECEIVER)
"""The queue of forms that come in: receiving."""
TO_PUBLISH = _moved_by(Actor.PUBLISHER)
"""The queue of uploads that a worker brings to OpenML: verifying, received, checked, converted, sending."""
TO_WATCH = _moved_by(Actor.WATCHER)
"""The queue of datasets that OpenML processes: published, processing."""
IN_QUEUE = frozenset({*TO_PUBLISH, *TO_WATCH})
"""States in which a worker has an upload, or will take it."""
AT_OPENML = frozenset({*TO_WATCH, UploadState.ACTIVE})
"""States in which OpenML has the dataset, and all is well."""
HAS_OUTCOME = ENDED | AT_OPENML
"""States in which the person who uploaded can be told how it ended."""
HOLDS_BYTES = frozenset(UploadState) - HAS_OUTCOME
"""States whose bytes are needed, and count against the quota of their owner."""
ON_ITS_WAY = frozenset(TO_PUBLISH) - {UploadState.VERIFYING}
"""States between the owner's word and OpenML's."""
COUNTS_AS_PUBLISHED = ON_ITS_WAY | AT_OPENML
"""States of which another upload of the same file is a duplicate."""
BEFORE_PUBLISH = HOLDS_BYTES - ON_ITS_WAY
"""States in which the owner may still say what is to be published: receiving, verifying, ready."""
CAN_CHANGE = BEFORE_PUBLISH | {UploadState.FAILED}
"""States in which its description may be changed."""
PREVIEWED_ANEW = CAN_CHANGE - {UploadState.RECEIVING, UploadState.VERIFYING}
"""States in which the table is looked at anew after another choice of how it is read or published: ready, failed."""
CAN_STOP = _before(UploadState.CANCELLED, Actor.OWNER)
"""States in which OpenML has nothing of the upload, and its owner can stop it."""
CAN_HOLD = _before(UploadState.CANCELLED, Actor.ADMINISTRATOR)
"""States in which an administrator can stop an upload and keep its file: those before `sending`, failed, duplicate."""
CAN_EXPIRE = frozenset(step.before for step in TRANSITIONS if step.condition == Condition.EXPIRED)
"""States that wait for the owner, and not for ever: receiving, ready."""
EXPIRE_HOURS = 72
"""How long an upload may lie still, its bytes missing or nobody publishing it: over a long weekend."""


def expiry(now: datetime) -> datetime:
    """Return when an upload is given up that nobody touches from now on."""
    return now + timedelta(hours=EXPIRE_HOURS)
