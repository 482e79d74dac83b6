"""Two organisations share what their contracts say, are refused the rest, and can compare what they wrote down."""

import json

from running import run_example


def test_organisations_share_by_contract_and_nothing_else() -> None:
    lines = run_example("organisations.py").splitlines()
    said = dict(line.split(": ", 1) for line in lines if not line.startswith("audit "))
    assert said["agent"] == "Can you help? Of course!"
    assert said["topic"] == "number=7 pieces=3"
    assert said["schema"].startswith("not of the schema Question")
    assert said["rate"].endswith("more than 3 in a minute")
    assert said["expiry"].endswith("the contract expired on 2020-01-01")
    assert said["another agent of A"] == said["an organisation without contract"] == "nobody there"

    audit = [json.loads(line.removeprefix("audit ")) for line in lines if line.startswith("audit ")]
    ours, theirs = (
        [(line["contract"], line["id"], line["outcome"]) for line in audit if line["by"] == organisation]
        for organisation in ("org-a", "org-b")
    )
    # What B's own program did stands in both books, in one order and with one id; A has what went past it, too.
    same = [(contract, id, "received" if outcome == "shared" else outcome) for contract, id, outcome in ours]
    assert [line for line in same if line[1] != "forged"] == theirs
    assert [contract for contract, _, _ in theirs] == ["helper", "orders", "helper", "helper", "former-helper"]
    assert {outcome.partition(":")[0] for _, id, outcome in ours if id == "forged"} == {"refused"}
