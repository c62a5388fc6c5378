"""Who acts, and what shows it: a name that somebody typed, or one that a CI server signed."""

from __future__ import annotations

from dataclasses import dataclass

CLAIMED = "claimed"
"""Nothing shows that this name is true: typed by hand, or taken from Git or a variable."""


@dataclass(frozen=True)
class Actor:
    """Who acts and from where: a person or a CI job."""

    name: str
    """`login <address>`, one of them may be missing."""
    commit: str | None = None
    """The commit it acts for; None outside git."""
    proof: str = CLAIMED
    """CLAIMED, or `ISSUER PROJECT@REF` of a signed identity that was checked (pipeline/ci/identity.py)."""

    @property
    def verified(self) -> bool:
        """Whether a signature shows the name."""
        return self.proof != CLAIMED

    @property
    def login(self) -> str:
        """The name without the address."""
        return self.name.partition("<")[0].strip()

    @property
    def address(self) -> str:
        """The mail address in lower case, or ""."""
        return self.name.partition("<")[2].rstrip("> ").casefold()

    @property
    def issuer(self) -> str:
        """Who signed the identity, or ""."""
        return self.proof.partition(" ")[0] if self.verified else ""

    @property
    def place(self) -> str:
        """PROJECT@REF of a signed identity, or ""."""
        return self.proof.partition(" ")[2] if self.verified else ""


def same_person(one: Actor, other: Actor) -> bool:
    """Whether two names can be one person's: equal addresses, or equal names (in any case of letters)."""
    if one.address and one.address == other.address:
        return True
    return bool(one.login) and one.login.casefold() == other.login.casefold()
