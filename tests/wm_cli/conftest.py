"""What tests of the verbs share with those of wm_live."""

from tests.wm_live.conftest import localnet

__all__ = ["localnet"]
