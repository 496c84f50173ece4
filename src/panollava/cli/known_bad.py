"""Versions of packages that are not to be used: malware, or faults that an input of somebody else can reach.

Read by ``panollava check-env`` (what is installed) and by the tests (what pyproject.toml and constraints.txt allow). It
is short, and needs no network; ``make audit`` asks the advisory service about every package.
"""

from typing import NamedTuple


class KnownBad(NamedTuple):
    """A range of versions of a package.

    Attributes:
        package: Name on the package index, normalised.
        versions: Specifier of the bad versions.
        why: What is wrong with them.
        instead: Specifier of what to install.
    """

    package: str
    versions: str
    why: str
    instead: str


KNOWN_BAD = (
    KnownBad("filelock", "<3.20.3", "follows links when it makes a lock (CVE-2025-68146, CVE-2026-22701)", ">=3.20.3"),
    KnownBad("jinja2", "<3.1.6", "a chat template can leave its sandbox (CVE-2025-27516)", ">=3.1.6"),
    KnownBad("lightning", "==2.6.2", "malware was published as this version", ">=2.6.5"),
    KnownBad("lightning", "==2.6.3", "malware was published as this version", ">=2.6.5"),
    KnownBad("nltk", "<3.9.3", "its downloader writes outside of its folder (CVE-2025-14009)", ">=3.9.3"),
    KnownBad("opencv-python-headless", "<4.8.1.78", "a WebP picture writes past its memory (CVE-2023-4863)", ">=4.10"),
    KnownBad("pillow", "<13", "a picture writes past its memory (GHSA-5x8w-8jj5-q52h, CVE-2026-96639)", ">=13"),
    KnownBad("pytorch-lightning", "==2.6.2", "malware was published as this version", ">=2.6.5"),
    KnownBad("pytorch-lightning", "==2.6.3", "malware was published as this version", ">=2.6.5"),
    KnownBad("pyyaml", "<5.4", "a file can run code when it is read (CVE-2020-14343)", ">=6"),
    KnownBad("ray", "<2.54", "web pages reach its dashboard (CVE-2025-62593, CVE-2026-27482)", ">=2.54"),
    KnownBad("torch", "<2.10", "a file of weights can run code even if weights only (CVE-2026-24747)", ">=2.10"),
)


def known_faults(package: str, version: str) -> list[KnownBad]:
    """Return the entries that name this version of a package.

    Example:
        >>> [fault.why for fault in known_faults("lightning", "2.6.3")]
        ['malware was published as this version']
        >>> known_faults("lightning", "2.6.6")
        []
    """
    from packaging.specifiers import SpecifierSet
    from packaging.utils import canonicalize_name
    from packaging.version import InvalidVersion, Version

    try:
        release = Version(version).base_version  # 2.13.0+cpu is 2.13.0, a preview of a release is counted as it
    except InvalidVersion:
        return []
    name = canonicalize_name(package)
    return [bad for bad in KNOWN_BAD if bad.package == name and SpecifierSet(bad.versions).contains(release)]
