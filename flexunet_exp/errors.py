"""Errors that the reader can fix: problems in a configuration or in data, all at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """Bad input, as a list of sentences: what was found, where, and what to type next."""

    def __init__(self, problems: str | list[str]):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class Hopeless(InputError):
    """A failure that would recur at the same place, so that the run is not continued."""


class Pruned(Hopeless):
    """A study ended a trial early, and would end it again if it were continued."""


class Enough(BaseException):
    """Ends a command from within a Hydra callback once the work is done."""


class Abort(BaseException):
    """Carries an error out of a Hydra callback or a resolver: Hydra swallows an Exception there."""

    def __init__(self, error: Exception):
        self.error = error
        super().__init__(str(error))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence with the closest known word; empty where no known word is close."""
    close = difflib.get_close_matches(word, [str(name) for name in known], n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def not_installed(launcher: str, package: str) -> str:
    return (
        f"launcher={launcher} needs the package {package}, which is not installed. Try "
        "pip install 'flexunet_exp[sweep]'"
    )
