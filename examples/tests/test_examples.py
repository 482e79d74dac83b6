"""Each example runs as its user runs it and prints what it promises."""

from running import run_example


def test_an_agent_of_your_own_keeps_its_own_state() -> None:
    """Two orders of one table are numbered; another table starts at one."""
    lines = run_example("custom_agent.py").splitlines()
    assert lines[0] == "waiter/table-1 serves soup to a guest"
    assert [line for line in lines if line.startswith("Bill")] == [
        "Bill(dish='soup', number=1)",
        "Bill(dish='cake', number=2)",
        "Bill(dish='soup', number=1)",
    ]


def test_a_tool_of_your_own_is_described_to_the_model_and_called() -> None:
    lines = run_example("custom_tool.py").splitlines()
    assert lines[0].startswith("route_length ")
    assert "The places to visit, in order." in lines[0]
    assert lines[-1] == "The route is 673 km long."


def test_a_model_client_of_your_own_streams_and_counts() -> None:
    output = run_example("custom_model_client.py")
    assert "THE MARKET OPENS AT NINE" in output
    assert output.splitlines()[-1] == "RequestUsage(prompt_tokens=5, completion_tokens=5)"
