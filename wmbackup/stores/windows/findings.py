"""What a Windows machine can do with its licenses, and what to do about what it cannot.

The machine is looked at elsewhere; what follows from it is decided here, on any system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from wmbackup.errors import ExitCode, WmbackupError
from wmbackup.status import WarningEvent

# EditionID of those that come without Windows Media Player, N for Europe and KN for Korea. A list:
# Education and ProfessionalWorkstation end with that letter and have it.
_N_EDITIONS = {
    f"{edition}{mark}".lower()
    for edition in (
        *("Starter", "HomeBasic", "HomePremium", "Home", "Business", "Professional", "Ultimate"),
        *("Enterprise", "EnterpriseS", "Core", "Education", "ProfessionalEducation"),
        *("ProfessionalWorkstation", "ProfessionalStudent", "IoTEnterprise", "Cloud", "CloudE"),
    )
    for mark in ("N", "KN", "NEval")
}

INTERFACE = "WMVCore.dll"
ENUMERATION = "wmdrmsdk.dll"
LIBRARIES = (INTERFACE, ENUMERATION, "drmv2clt.dll", "drmclien.dll", "blackbox.dll")
"""The DLLs whose versions tell which DRM a machine has; the first two are called."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A Windows machine, as far as its licenses are concerned.

    ``libraries`` maps DLLs to their versions, None for one that is not there. ``offline`` is the
    policy DisableOnline. ``readable`` says whether this user can list ``store``, the folder of
    the licenses; both are None where there is none.
    """

    product: str
    edition: str
    build: str
    system_bits: int
    process_bits: int
    libraries: Mapping[str, str | None]
    offline: bool = False
    administrator: bool = False
    store: str | None = None
    readable: bool | None = None

    def fingerprint(self) -> str:
        """Return all that tells the licenses' machine from another, on one line."""
        libraries = ", ".join(f"{name} {self.libraries[name] or 'none'}" for name in self.libraries)
        return (
            f"{self.product} ({self.edition}), build {self.build},"
            f" {self.system_bits}-bit, process {self.process_bits}-bit; {libraries};"
            f" DisableOnline {int(self.offline)}"
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. Without a trouble, a short slug, it is in order.

    ``cause`` is the error that told, where one did. ``exit_code`` is other than OK where nothing
    can be done as long as it is so. ``backup`` and ``restore`` say whether it matters to one.
    """

    name: str
    message: str
    trouble: str | None = None
    exit_code: ExitCode = ExitCode.OK
    backup: bool = True
    restore: bool = True
    cause: WmbackupError | None = None

    @property
    def warning(self) -> WarningEvent:
        """The same as an event."""
        code = f"windows-{self.name}"
        return WarningEvent(code, self.message, reason=self.trouble, cause=self.cause)


def findings(machine: Machine, probe: Callable[[], object]) -> Iterator[Finding]:
    """Say what works on a machine and what does not; ``probe`` raises where nothing answers."""
    yield Finding("windows", f"{machine.product} ({machine.edition}), build {machine.build}")
    yield _bits(machine)
    components = _components(machine)
    yield components
    if components.exit_code is ExitCode.OK:
        yield _interface(probe)
    yield _enumeration(machine)
    yield _policy(machine)
    yield _rights(machine)


def _bits(machine: Machine) -> Finding:
    if machine.process_bits == 32:  # noqa: PLR2004 - bits
        return Finding("bitness", "a 32-bit Python, which is what the interface is documented for")
    message = "a 64-bit Python: the interface is documented for 32-bit programs alone"
    return Finding("bitness", message, "64-bit")


def _components(machine: Machine) -> Finding:
    version = machine.libraries.get(INTERFACE)
    if version is not None:
        return Finding("components", f"{INTERFACE} {version}")
    if "server" in machine.edition.lower():
        trouble = "server"
        what = f"Windows Server comes without {INTERFACE}"
    elif machine.edition.lower() in _N_EDITIONS:
        trouble = "n-edition"
        what = f"this N edition of Windows comes without {INTERFACE}"
    else:
        trouble = "missing"
        what = f"this Windows has no {INTERFACE}"
    return Finding("components", what, trouble, ExitCode.NOT_FOUND)


def _interface(probe: Callable[[], object]) -> Finding:
    try:
        probe()
    except WmbackupError as error:
        if error.hresult == 0x80004001:  # noqa: PLR2004 - E_NOTIMPL
            return Finding("interface", error.message, "gone", error.exit_code)
        return Finding("interface", error.message, "failed", error.exit_code, cause=error)
    return Finding("interface", "the Windows Media license backup answers")


def _enumeration(machine: Machine) -> Finding:
    version = machine.libraries.get(ENUMERATION)
    if version is not None:
        return Finding("enumeration", f"{ENUMERATION} {version}")
    message = f"there is no {ENUMERATION}: archives will not name the licenses that are in them"
    return Finding("enumeration", message, "missing")


def _policy(machine: Machine) -> Finding:
    if not machine.offline:
        return Finding("policy", "no policy keeps Windows Media DRM from the Internet")
    return Finding(
        "policy",
        "the policy DisableOnline keeps Windows Media DRM from the Internet, which a restore needs",
        "offline",
        backup=False,
    )


def _rights(machine: Machine) -> Finding:
    who = "an administrator" if machine.administrator else "a user without administrator rights"
    if machine.store is None:
        message = f"running as {who}; there is no license folder on this machine"
        return Finding("rights", message, "no-folder", restore=False)
    if machine.readable is False:
        return Finding("rights", f"running as {who}, who cannot read {machine.store}", "unreadable")
    return Finding("rights", f"running as {who}, who can read {machine.store}")
