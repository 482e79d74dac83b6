"""Magentic-One: a team led by an orchestrator that keeps facts, a plan and a ledger of progress. Import from the modules."""
