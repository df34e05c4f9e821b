"""Whether the files of a data folder are those that were written."""

from pathlib import Path

from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.features import side
from mmssl_jax.files import checksums

CHECK = "checksum"
ACCEPT = "--accept"  # of mmssl data check


def check(folder: Path, modalities: str, findings: Findings) -> None:
    """Refuses files that are not what files.sha256 lists, but features that are not asked for.

    `modalities` is as `features.choose` has it. Raises InputError, unless `findings` collects it.
    """
    for problem in findings.attempt(CHECK, _problems, folder, modalities) or []:
        findings.error(CHECK, problem)


def _problems(folder: Path, modalities: str) -> list[str]:
    ends = (features.SUFFIX, features.MASK_SUFFIX)
    asked = {f"{name.strip()}{end}" for name in modalities.split(",") for end in ends}
    remedy = (
        f"make the folder again, or, if the change is meant, mmssl data check {folder} {ACCEPT}"
    )

    def not_read(name: str) -> bool:
        other = name.endswith(ends) and name not in asked and not side.is_side(name)
        return other and bool(modalities.strip())

    return checksums.problems(folder, remedy, not_read)
