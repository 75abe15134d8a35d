"""Which folders of tests an environment can run: an adapter's need its trainer."""

from importlib.metadata import PackageNotFoundError, version


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


# `make test` names the folders of each trainer, so that none is left out unseen.
collect_ignore = [name for name in ("llamafactory", "xtuner") if not _installed(name)]
