"""The catalogue of profiles: reads the profile files, refuses what it does not understand, finds one by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path

from certs.errors import ProfileUnknown, TableUnreadable
from certs.oids import TRAINING_POLICY
from certs.profile import SELF, Profile, check_profile
from certs.strict import nearest, parse_toml, read_table

# What a profile writes among its policies for the policy that the operator has set.
OWN_POLICY = "installation"


class Catalogue:
    """All profiles by name. A new kind of certificate is a new file `NAME.toml` and no code."""

    def __init__(self, profiles: Mapping[str, Profile], *, training: bool = False) -> None:
        """`training`: all of it is for a chain that only serves to practise."""
        self.training = training
        for profile in profiles.values():
            check_profile(profile)
        self._profiles = dict(profiles)
        for profile in profiles.values():
            for issuer in profile.issued_by:
                if issuer != SELF:
                    self.get(issuer)

    def get(self, name: str) -> Profile:
        """The profile, or ProfileUnknown with the nearest name."""
        try:
            return self._profiles[name]
        except KeyError:
            raise ProfileUnknown(
                f"no profile {name!r}",
                profile=name,
                nearest=nearest(name, self._profiles),
                valid=", ".join(sorted(self._profiles)),
            ) from None

    def __iter__(self) -> Iterator[Profile]:
        return iter(self._profiles.values())


def read_catalogue(extra: Path | None = None, *, policy: str = "", training: bool = False) -> Catalogue:
    """The profiles shipped with Antin, and those of a folder, which may replace them by name.

    `policy` is the object identifier that stands for the word `installation` among a profile's policies; without one
    such certificates name no policy. With `training` the policy of training takes the place of all others, in every profile.
    """
    texts: dict[str, tuple[str, str]] = {}
    shipped = resources.files("certs").joinpath("profiles")
    for entry in sorted(shipped.iterdir(), key=lambda found: found.name):
        if entry.name.endswith(".toml"):
            texts[entry.name.removesuffix(".toml")] = (entry.name, entry.read_text("utf-8"))
    for path in sorted(extra.glob("*.toml")) if extra is not None else ():
        try:
            texts[path.stem] = (path.name, path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise TableUnreadable(f"{path.name}: {error}", where=path.name, problem=str(error)) from error
    profiles = {name: parse_profile(name, text, where) for name, (where, text) in texts.items()}
    if training:
        # Also in the root: below it RFC 5280 6.1.3 (d) leaves no other policy.
        marked = {name: replace(profile, policies=(TRAINING_POLICY,)) for name, profile in profiles.items()}
        return Catalogue(marked, training=True)
    return Catalogue({name: _with_policy(profile, policy) for name, profile in profiles.items()})


def parse_profile(name: str, text: str, where: str) -> Profile:
    """One profile file to its values. `name` is the file's name without .toml."""
    # A file that gave itself another name than its own would be found under neither.
    return read_table(Profile, {"name": name} | parse_toml(text, where), where)


def _with_policy(profile: Profile, policy: str) -> Profile:
    own = (policy,) if policy else ()
    policies = [each for named in profile.policies for each in (own if named == OWN_POLICY else (named,))]
    return replace(profile, policies=tuple(policies))
