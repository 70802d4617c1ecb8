"""The spaces and objects that tests of strategies share."""

from tests.plan.conftest import captured, norb, objects_of, photographs, small

__all__ = ["captured", "norb", "objects_of", "photographs", "small"]
