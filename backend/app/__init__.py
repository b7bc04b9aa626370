"""The specification's import paths: `uvicorn app.main:app`, `python -m app.database.init`."""
