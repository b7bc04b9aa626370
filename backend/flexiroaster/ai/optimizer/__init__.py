"""What a change of a definition would save: measured by a replay of the runs there were."""
