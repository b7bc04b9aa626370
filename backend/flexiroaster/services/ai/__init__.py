"""What the AI layer knows of the history, kept and shown: predictions, insights, suggestions, models."""
