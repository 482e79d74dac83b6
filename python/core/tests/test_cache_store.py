"""The cache store and the one that lives in memory."""

from autogen_core import ComponentLoader, InMemoryStore


def test_a_value_is_kept_under_its_key() -> None:
    store = InMemoryStore[int]()
    store.set("one", 1)
    store.set("one", 2)
    assert store.get("one") == 2


def test_a_missing_key_gives_the_default() -> None:
    store = InMemoryStore[int]()
    assert store.get("one") is None
    assert store.get("one", 7) == 7


def test_a_configuration_makes_an_empty_store() -> None:
    store = InMemoryStore[int]()
    store.set("one", 1)
    dumped = store.dump_component()
    assert (dumped.provider, dumped.config) == ("autogen_core.InMemoryStore", {})
    loaded = ComponentLoader.load_component(dumped, InMemoryStore[int])
    assert loaded.get("one") is None
