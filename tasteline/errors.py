"""Every error that callers may meet. Two questions decide the class: whose fault is it, and may it be retried?

TastelineError
├── InputError            the caller's: change the request          (HTTP 4xx, exit 2)
│   ├── InvalidInput        a value is wrong; `field` says which
│   ├── NotFound            a named thing does not exist
│   ├── TooLarge            over a stated limit
│   └── Unauthorised        no key, or a wrong one
├── SetupError            the operator's: run the command in `remedy` (HTTP 503, exit 3)
│   ├── SnapshotMismatch    the index was built by another model or is damaged
│   ├── ModelDamaged        files of a trained model are missing or not what its card says
│   └── MissingExtra        an optional package or weight is not installed
└── TransientError        nobody's: the same call may succeed later  (HTTP 503 or 429 + Retry-After, exit 4)
    ├── DeadlineExceeded    the time given for it ran out
    ├── Overloaded          the queue is full                           (HTTP 429)
    └── EngineFailed        a language model or server broke off
"""

from __future__ import annotations


class TastelineError(Exception):
    """Base of all. `str(error)` is one line that says what, which, and what to do."""


class InputError(TastelineError):
    """The request is at fault; the same request will fail again."""


class InvalidInput(InputError):
    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NotFound(InputError):
    pass


class TooLarge(InputError):
    pass


class Unauthorised(InputError):
    pass


class SetupError(TastelineError):
    """The installation is at fault; `remedy` is the command that mends it."""

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(f"{message} Run: {remedy}")
        self.remedy = remedy


class SnapshotMismatch(SetupError):
    pass


class ModelDamaged(SetupError):
    pass


class MissingExtra(SetupError):
    pass


class TransientError(TastelineError):
    """May succeed when tried again after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlineExceeded(TransientError):
    pass


class Overloaded(TransientError):
    pass


class EngineFailed(TransientError):
    pass
