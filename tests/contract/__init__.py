"""The contract of an engine: suites that its tests inherit, one per port of `apiserver/stores/` (`base.py`, `registry.py`, `state.py`).

A new engine gets `tests/stores/test_<name>.py` with a fixture that opens it and a class for each suite:

    @pytest.fixture(scope="module")
    def opened(tmp_path_factory):
        events, registry = open_mine(tmp_path_factory.mktemp("mine"))
        yield events, registry
        events.close()

    class TestEvents(EventStoreContract): ...
    class TestSeries(SeriesContract): ...
    class TestRegistry(RegistryContract): ...

A state defines a fixture `state` and inherits `StateContract`; a bus defines `bus` and inherits `BusContract`.
"""
