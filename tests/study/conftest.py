from __future__ import annotations

from tests.heads.conftest import make_pool, pool, single_thread

__all__ = ["make_pool", "pool", "single_thread"]
